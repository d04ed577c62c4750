package chattemplate

import (
	"strings"
	"unicode"
)

// isDigitRune is Python's str.isdigit for one character: decimal digits, and
// those whose Unicode property Numeric_Type is Digit (Unicode 15,
// DerivedNumericType.txt), such as ² and ④.
func isDigitRune(c rune) bool {
	if decimalDigit(c) >= 0 {
		return true
	}
	for _, r := range [...][2]rune{
		{0xb2, 0xb3},
		{0xb9, 0xb9},
		{0x1369, 0x1371},
		{0x19da, 0x19da},
		{0x2070, 0x2070},
		{0x2074, 0x2079},
		{0x2080, 0x2089},
		{0x2460, 0x2468},
		{0x2474, 0x247c},
		{0x2488, 0x2490},
		{0x24ea, 0x24ea},
		{0x24f5, 0x24fd},
		{0x24ff, 0x24ff},
		{0x2776, 0x277e},
		{0x2780, 0x2788},
		{0x278a, 0x2792},
		{0x10a40, 0x10a43},
		{0x10e60, 0x10e68},
		{0x11052, 0x1105a},
		{0x1f100, 0x1f10a},
	} {
		if c >= r[0] && c <= r[1] {
			return true
		}
	}
	return false
}

// isNumericLetter says whether a letter has a numeric value (Unicode 15,
// DerivedNumericType.txt): the Han numerals.
func isNumericLetter(c rune) bool {
	const letters = "㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零參拾兩零六陸什𠀁𠁤𠃢𠄡𠤪𠦃𠦌𠦜𠫪𠫽𠬙𢎐𢦘𣬛𦉭廾"
	return strings.ContainsRune(letters, c)
}

// isIdentifier is Python's str.isidentifier: the Unicode properties XID_Start
// and then XID_Continue.
func isIdentifier(s string) bool {
	for i, c := range s {
		if !startsName(c) && (i == 0 || !continuesName(c)) {
			return false
		}
	}
	return s != ""
}

func startsName(c rune) bool {
	switch c {
	case '_', 0x1885, 0x1886, 0x2118, 0x212e: // Other_ID_Start
		return true
	case 0x37a, 0xe33, 0xeb3, 0x2e2f, 0xff9e, 0xff9f: // not after normalisation
		return false
	}
	return unicode.In(c, unicode.L, unicode.Nl) && !decomposes(c)
}

func continuesName(c rune) bool {
	switch c {
	case 0xb7, 0x387, 0x19da, 0xe33, 0xeb3, 0xff9e, 0xff9f: // Other_ID_Continue, and what cannot come first
		return true
	}
	return c >= 0x1369 && c <= 0x1371 || unicode.In(c, unicode.Nd, unicode.Mn, unicode.Mc, unicode.Pc)
}

// decomposes says that normalisation makes an Arabic presentation form
// something that no name can begin with.
func decomposes(c rune) bool {
	return c >= 0xfc5e && c <= 0xfc63 || c == 0xfdfa || c == 0xfdfb || c >= 0xfe70 && c <= 0xfe7e && c&1 == 0
}
