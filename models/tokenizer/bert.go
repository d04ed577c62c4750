package tokenizer

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bert reads the component BertNormalizer, whose four steps are stages here.
func (c component) bert() (normalizer, error) {
	var f struct {
		Type         string
		CleanText    *bool `json:"clean_text"`
		ChineseChars *bool `json:"handle_chinese_chars"`
		StripAccents *bool `json:"strip_accents"`
		Lowercase    *bool
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	if f.CleanText == nil || f.ChineseChars == nil || f.Lowercase == nil {
		return nil, c.refuse("clean_text, handle_chinese_chars or lowercase are missing")
	}
	var list normalizers
	if *f.CleanText {
		list = append(list, newMapping(cleanText))
	}
	if *f.ChineseChars {
		list = append(list, newMapping(spaceIdeographs))
	}
	if f.StripAccents == nil {
		f.StripAccents = f.Lowercase
	}
	if *f.StripAccents {
		list = append(list, newUnicodeForm(norm.NFD, norm.NFD), newMapping(stripMarks))
	}
	if *f.Lowercase {
		list = append(list, newMapping(lowercase))
	}
	return list, nil
}

// cleanText drops control and format characters and writes white space as
// spaces. Some format characters are younger than the reference's tables.
func cleanText(dst []byte, r rune) []byte {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return append(dst, ' ')
	case r == 0x890 || r == 0x891 || r == 0x8E2 || r == 0x110CD || r >= 0x13430 && r <= 0x1343F:
	case r == 0xFFFD || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
		return dst
	case isSpace(r):
		return append(dst, ' ')
	}
	return utf8.AppendRune(dst, r)
}

// spaceIdeographs puts spaces round Chinese characters.
func spaceIdeographs(dst []byte, r rune) []byte {
	if !isIdeograph(r) {
		return utf8.AppendRune(dst, r)
	}
	return append(utf8.AppendRune(append(dst, ' '), r), ' ')
}

func isIdeograph(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0xF900 && r <= 0xFAFF ||
		r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0x2F800 && r <= 0x2FA1F
}

// stripMarks drops the marks that decomposition left.
func stripMarks(dst []byte, r rune) []byte {
	if r >= bertMarks[0][0] && isWithin(bertMarks, r) {
		return dst
	}
	return utf8.AppendRune(dst, r)
}
