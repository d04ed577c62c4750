package tokenizer

import (
	"strings"
	"testing"
)

// refusedPatterns maps to a part of the error. What other patterns mean is
// compared with the reference in reference_test.go; these must not be guessed.
var refusedPatterns = map[string]string{
	`a(b`:                      "a group without its )",
	`a)b`:                      "an unmatched )",
	`(?<name>a)`:               "a group of another kind",
	`(?#note)`:                 "a group of another kind",
	`(?m:.)`:                   "a group of another kind",
	strings.Repeat("(", 40):    "nested deeper",
	strings.Repeat("a", 20000): "20000 bytes",
	`*a`:                       "nothing before it",
	`a|+`:                      "nothing before it",
	`a**`:                      "two quantifiers",
	`a+{2}`:                    "two quantifiers",
	`a{2}+`:                    "{2}+ is not supported",
	`a{x}`:                     "no quantifier",
	`a{,}`:                     "no quantifier",
	`a{1`:                      "no quantifier",
	`a{3,2}`:                   "repetition of 3 to 2",
	`a{2000}`:                  "repetition of 2000",
	`a{99999999999999999999}`:  "repetition of 1001",
	`^*`:                       "matches a place",
	`(?=a)+`:                   "matches a place",
	`(a+)+`:                    "endless repetition",
	`(?:a|aa)+c`:               "several ways",
	`(a|a|ab)*c`:               "several ways",
	`(?:a?b?)*c`:               "several ways",
	`(?:a{1,3})+c`:             "several ways",
	`(?:\ba)+`:                 "several ways",
	`((?:ab*|c){2,})*`:         "endless repetition",
	`a\`:                       "a backslash at the end",
	`[a\`:                      "a backslash at the end",
	`\h`:                       `\h is not supported`,
	`\1`:                       `\1 is not supported`,
	`\k<a>`:                    `\k is not supported`,
	`[\b]`:                     `\b within a class`,
	`[]a]`:                     "an empty class",
	`[^]`:                      "an empty class",
	`[a`:                       "a class without its ]",
	`[[a]`:                     "a class without its ]",
	`[[:alpha:]]`:              "within a class is not supported",
	`[a&&]`:                    "an empty class",
	`[a&&&&b]`:                 "an empty class",
	`[&&a]`:                    "an empty class",
	`[a&&b`:                    "a class without its ]",
	`(?i:[a[^b]])`:             "a negated class under",
	`(?i)ss`:                   "also matches a single character",
	`a{3}?`:                    "{3}? is not supported",
	`a{2,3}+`:                  "{2,3}+ is not supported",
	`(?:ab){1,2}+`:             "{1,2}+ is not supported",
	`(a{1,2}+)*`:               "endless repetition",
	`a{1,2}+*`:                 "two quantifiers",
	`[a-[bc]]`:                 "ends in a class",
	`[a-\d]`:                   "does not end in a later character",
	`[a-\`:                     "a backslash at the end",
	`[z-a]`:                    "does not end in a later character",
	strings.Repeat("[", 40):    "nested deeper",
	`\pL`:                      `\p without a {`,
	`\p{L`:                     `\p{ without its }`,
	`\p{Mn}`:                   `\p{Mn} is not supported`,
	`\p{}`:                     `\p{} is not supported`,
	`\p{L Lu}`:                 "is not supported",
	`\p{Klingon}`:              `\p{Klingon} is not supported`,
	`\x{110000}`:               "is no character",
	`\x{d800}`:                 "is no character",
	`\xE9`:                     "is no character",
	`\xg0`:                     "is no character",
	`\x{41`:                    `\x{ without its }`,
	`\u41`:                     "too few digits",
	`(?i:é)`:                   "only ASCII is",
	`(?i:ss)`:                  "also matches a single character",
	`(?i:oFfer)`:               "also matches a single character",
	`(?i:[^a])`:                "a negated class under",
	`(?i:\w)`:                  `\w under`,
	`(?i:[\p{L}])`:             `\p under`,
	`(?i:\b)`:                  `\b under`,
}

func TestPatternsThatAreRefused(t *testing.T) {
	for pattern, want := range refusedPatterns {
		if _, err := newRegex(pattern); err == nil {
			t.Errorf("%.40q was accepted", pattern)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: the error is %q, want %q in it", pattern, err, want)
		}
	}
}

// The expected matches are Oniguruma's, as the reference gives them by
// Split with the behaviour Isolated.
func TestPatternsThatAreTranslated(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          string // matches, joined by |
	}{
		{`\x41\u00e9\x{1F642}`, "xAé🙂", "Aé🙂"},
		{`[\x41-\x{43}]+`, "ABCD", "ABC"},
		{`a\.\*\[`, "a.*[", "a.*["},
		{`(?i:kS)`, "KſKS", "Kſ|KS"},
		{`[^^]+`, "a^b", "a|b"},
		{`a$`, "a\na", "a|a"},
		{`\Ba`, "aa a", "a"},
		{`a{,2}b`, "aaab", "aab"},
		{`a{2,}`, "aaa", "aaa"},
		{`b??c`, "bc", "bc"},
		{`(?:a|b)?+b`, "ab b", "ab"},
		{`[\p{L}&&[^\p{Han}]]+`, "ab中c", "ab|c"},
		{`[a-z&&\P{L}]|b`, "abc", "b"},
		{`[\w&&[^\d_]&&[^a]]+`, "ab_1c", "b|c"},
		{`[^\p{L}&&[^a]]+`, "ab1", "a|1"},
		{`[^\S\n]+`, "a \t\n b", " \t| "},
		{`[\W\d]+`, "a-1b", "-1"},
		{`[a[^b]]+`, "abc", "a|c"},
		{`[\d\D]`, "a1", "a|1"},
		{`[^\d\D]|a`, "a1", "a"},
		{`(?:[^\S\n])\b`, "a b", " "},
		{`(?:\r?\n)+(?!\r?\n)`, "\r\n\n\r\nx", "\r\n\n\r\n"},
		{`(?:ab?|cd)*e`, "abacdae", "abacdae"},
		{`(?=(\d{3})+(?!\d))`, "1234", ""},
		{`x(?i)a|b`, "xAxbBa", "xA|xb"},
		{`(?i)'S|the`, "The's", "The|'s"},
		{`\p{N}{1,3}+`, "1234567", "1234567"},
		{`\d{0,2}+a`, "123a", "123a"},
		{`\w{2,4}?(?=\s)`, "abc de", "abc"},
	} {
		m, err := newRegex(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		var got []string
		for _, s := range m.match(nil, c.text) {
			got = append(got, c.text[s.start:s.end])
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s in %q matches %q, want %s", c.pattern, c.text, got, c.want)
		}
	}
}
