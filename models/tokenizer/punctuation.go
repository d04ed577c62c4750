package tokenizer

import (
	"sort"
	"unicode"
)

// youngPunctuation is, in order and with both ends, what Unicode gave the
// category P after the tables that the reference's Punctuation uses.
var youngPunctuation = [][2]rune{
	{0x61D, 0x61D},
	{0x9FD, 0x9FD},
	{0xA76, 0xA76},
	{0xC77, 0xC77},
	{0xC84, 0xC84},
	{0x1B7D, 0x1B7E},
	{0x2E43, 0x2E4F},
	{0x2E52, 0x2E5D},
	{0x10EAD, 0x10EAD},
	{0x10F55, 0x10F59},
	{0x10F86, 0x10F89},
	{0x1144B, 0x1144F},
	{0x1145A, 0x1145B},
	{0x1145D, 0x1145D},
	{0x11660, 0x1166C},
	{0x116B9, 0x116B9},
	{0x1183B, 0x1183B},
	{0x11944, 0x11946},
	{0x119E2, 0x119E2},
	{0x11A3F, 0x11A46},
	{0x11A9A, 0x11A9C},
	{0x11A9E, 0x11AA2},
	{0x11B00, 0x11B09},
	{0x11C41, 0x11C45},
	{0x11C70, 0x11C71},
	{0x11EF7, 0x11EF8},
	{0x11F43, 0x11F4F},
	{0x11FFF, 0x11FFF},
	{0x12FF1, 0x12FF2},
	{0x16E97, 0x16E9A},
	{0x16FE2, 0x16FE2},
	{0x1E95E, 0x1E95F},
}

// isPunctuation is what the component Punctuation cuts at: the signs of ASCII
// and the category P as it was, with U+166D and U+111C9, which have left it.
func isPunctuation(r rune) bool {
	switch {
	case r <= unicode.MaxASCII:
		return r > ' ' && r < 0x7F && asciiClass(byte(r)) == other
	case r == 0x166D || r == 0x111C9:
		return true
	case !unicode.IsPunct(r):
		return false
	}
	i := sort.Search(len(youngPunctuation), func(i int) bool { return youngPunctuation[i][1] >= r })
	return i == len(youngPunctuation) || r < youngPunctuation[i][0]
}
