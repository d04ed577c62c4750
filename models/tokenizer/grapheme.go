package tokenizer

import "unicode/utf8"

// graphemeKind is how a character joins its neighbours to what readers take for
// one (Grapheme_Cluster_Break, UAX #29 section 3.1).
type graphemeKind uint8

const (
	graphemeOther graphemeKind = iota
	graphemeCR
	graphemeLF
	graphemeControl
	graphemeExtend
	graphemeJoiner
	graphemeSpacing
	graphemePrepend
	graphemePicture
	graphemeConsonant
	graphemeRegion
	graphemeL
	graphemeV
	graphemeT
	graphemeLV
	graphemeLVT
)

// graphemes finds the borders between grapheme clusters.
type graphemes struct {
	pages [(utf8.MaxRune >> 8) + 1]*[256]graphemeKind
}

func newGraphemes() *graphemes {
	g := &graphemes{}
	for _, list := range graphemeRanges {
		for _, r := range list.ranges {
			g.set(r[0], r[1], list.kind)
		}
	}
	g.set('\r', '\r', graphemeCR)
	g.set('\n', '\n', graphemeLF)
	g.set(0x200D, 0x200D, graphemeJoiner)
	g.set(0x1F1E6, 0x1F1FF, graphemeRegion)
	for r := rune(0xAC00); r <= 0xD7A3; r++ {
		kind := graphemeLVT
		if (r-0xAC00)%28 == 0 {
			kind = graphemeLV
		}
		g.set(r, r, kind)
	}
	return g
}

func (g *graphemes) set(first, last rune, kind graphemeKind) {
	for r := first; r <= last; r++ {
		if g.pages[r>>8] == nil {
			g.pages[r>>8] = new([256]graphemeKind)
		}
		g.pages[r>>8][r&0xFF] = kind
	}
}

func (g *graphemes) kind(r rune) graphemeKind {
	if page := g.pages[r>>8]; page != nil {
		return page[r&0xFF]
	}
	return graphemeOther
}

// next returns the end of the cluster at the start of text, which is not empty.
func (g *graphemes) next(text string) int {
	r, at := utf8.DecodeRuneInString(text)
	if at == len(text) {
		return at
	}
	last := g.kind(r)
	regions := 0        // in a row
	pictured := false   // a picture, extensions
	conjoining := false // a consonant, extensions, …
	linked := false     // … and a linker among them
	for at < len(text) {
		switch {
		case last == graphemeRegion:
			regions++
		case last == graphemePicture:
			pictured = true
		case last != graphemeExtend && last != graphemeJoiner:
			pictured = false
		}
		switch {
		case last == graphemeConsonant:
			conjoining, linked = true, false
		case last == graphemeExtend || last == graphemeJoiner:
			linked = linked || isLinker(r)
		default:
			conjoining = false
		}
		next, size := utf8.DecodeRuneInString(text[at:])
		kind := g.kind(next)
		joined := joins(last, kind)
		switch {
		case kind == graphemeConsonant:
			joined = joined || conjoining && linked
		case kind == graphemePicture && last == graphemeJoiner:
			joined = pictured
		case kind == graphemeRegion && last == graphemeRegion:
			joined = regions%2 == 1
		}
		if !joined {
			return at
		}
		at += size
		r, last = next, kind
	}
	return at
}

// joins is rules GB3 to GB9b for two neighbours.
func joins(a, b graphemeKind) bool {
	switch {
	case a == graphemeCR && b == graphemeLF:
		return true
	case a == graphemeControl || a == graphemeCR || a == graphemeLF:
		return false
	case b == graphemeControl || b == graphemeCR || b == graphemeLF:
		return false
	case a == graphemeL && (b == graphemeL || b == graphemeV || b == graphemeLV || b == graphemeLVT):
		return true
	case (a == graphemeLV || a == graphemeV) && (b == graphemeV || b == graphemeT):
		return true
	case (a == graphemeLVT || a == graphemeT) && b == graphemeT:
		return true
	}
	return b == graphemeExtend || b == graphemeJoiner || b == graphemeSpacing || a == graphemePrepend
}

// isLinker says whether r is a virama that joins consonants
// (Indic_Conjunct_Break=Linker).
func isLinker(r rune) bool {
	switch r {
	case 0x94D, 0x9CD, 0xACD, 0xB4D, 0xC4D, 0xD4D, 0x1039, 0x17D2, 0x1A60, 0x1B44, 0x1BAB, 0xA9C0, 0xAAF6, 0x10A3F, 0x11133, 0x113D0,
		0x1193E, 0x11A47, 0x11A99, 0x11F42:
		return true
	}
	return false
}
