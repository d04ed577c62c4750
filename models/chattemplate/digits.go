package chattemplate

import "strings"

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
