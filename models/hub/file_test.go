package hub

import (
	"strings"
	"testing"
)

func TestDigestsAreGitsAndSHA256(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		want    Digest
	}{
		// echo hello | git hash-object --stdin
		"git": {"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"},
		// git hash-object -t blob /dev/null
		"git, empty": {"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"},
		// echo hello | sha256sum
		"sha256": {"hello\n", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"},
	} {
		h := c.want.hasher(int64(len(c.content)))
		h.Write([]byte(c.content))
		if got := sum(h); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	for text, ok := range map[string]bool{
		`"ce013625030ba8dba906f756967f9e9ca394464a"`: true, `W/"CE013625030BA8DBA906F756967F9E9CA394464A"`: true,
		"": false, `"abc"`: false, "ce013625030ba8dba906f756967f9e9ca394464a-2": false, strings.Repeat("g", 64): false,
	} {
		if _, got := parseDigest(text); got != ok {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestNamesThatReachOutAreRefused(t *testing.T) {
	for _, path := range []string{
		"", "/etc/passwd", "../x", "a/../../x", "a/..", ".", "a//b", "a/", `a\b`, `..\x`, "C:/x", "a:b", "a\x00b", "a\nb", "a\u202eb", "a\x1b[2Jb",
		"con", "CON.json", "a/aux.onnx", "lpt1", "com9.txt", "nul ", "a.", "a ", ".git/config", "a/.GIT/hooks/x", "x.incomplete",
		strings.Repeat("a", 240), strings.Repeat("a/", 600) + "b", "\xff",
	} {
		if checkPath(path) == nil {
			t.Errorf("%q is taken", path)
		}
	}
	for _, path := range []string{
		"config.json", "onnx/model_q4f16.onnx", "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/model.onnx.data", "a b/ü.json", "...a", "console", "com", "com10", ".gitattributes",
	} {
		if err := checkPath(path); err != nil {
			t.Error(err)
		}
	}
}
