package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// unicodeForm brings text into one of the four normalisation forms, with two
// differences from golang.org/x/text. What Unicode assigned after the
// reference's tables were made stays as it is and keeps its neighbours apart;
// and long runs of combining marks are not broken up, as x/text does behind
// every 30th (stream-safe text, UAX #15 section 13).
type unicodeForm struct {
	form       norm.Form
	decomposed norm.Form // NFD for the canonical forms, NFKD for the others
	inert      *charClass
}

func newUnicodeForm(form, decomposed norm.Form) unicodeForm {
	return unicodeForm{form, decomposed, newCharClass(inert)}
}

func (f unicodeForm) normalize(text string) string {
	first := f.firstInert(text)
	if first < 0 {
		return f.stretch(text)
	}
	var b strings.Builder
	for first >= 0 {
		_, size := utf8.DecodeRuneInString(text[first:])
		b.WriteString(f.stretch(text[:first]))
		b.WriteString(text[first : first+size])
		text = text[first+size:]
		first = f.firstInert(text)
	}
	b.WriteString(f.stretch(text))
	return b.String()
}

// head takes composition with what follows as part of the last character.
func (f unicodeForm) head(text string, n int) int { return len(f.normalize(text[:n])) }

// stretch normalises text without inert characters.
func (f unicodeForm) stretch(text string) string {
	if f.form.QuickSpanString(text) == len(text) {
		return text
	}
	const joiner = "\u034F" // what x/text breaks runs of marks with
	out := f.form.String(text)
	if strings.Count(out, joiner) == strings.Count(text, joiner) {
		return out
	}
	marks := f.decompose(text)
	if f.form == norm.NFC || f.form == norm.NFKC {
		marks = compose(marks)
	}
	var b strings.Builder
	for _, m := range marks {
		b.WriteRune(m.r)
	}
	return b.String()
}

// mark is a character with its canonical combining class.
type mark struct {
	r     rune
	class uint8
}

// decompose takes characters apart and puts the marks behind each starter into
// the order of their classes (Unicode 3.11, D106 to D109).
func (f unicodeForm) decompose(text string) []mark {
	var out []mark
	start := 0 // of the marks behind the last starter
	order := func() {
		slices.SortStableFunc(out[start:], func(a, b mark) int { return int(a.class) - int(b.class) })
	}
	for _, whole := range text {
		for _, r := range f.decomposed.String(string(whole)) {
			m := mark{r, norm.NFD.PropertiesString(string(r)).CCC()}
			if m.class == 0 {
				order()
				start = len(out) + 1
			}
			out = append(out, m)
		}
	}
	order()
	return out
}

// compose joins each mark that is not blocked to its starter where a composite
// exists (Unicode 3.11, D115 to D117). It reuses list.
func compose(list []mark) []mark {
	out := list[:0]
	starter := -1
	for _, m := range list {
		if starter >= 0 && (starter == len(out)-1 || out[len(out)-1].class < m.class) {
			joined := norm.NFC.String(string([]rune{out[starter].r, m.r}))
			if r, size := utf8.DecodeRuneInString(joined); size == len(joined) {
				out[starter].r = r
				continue
			}
		}
		if m.class == 0 {
			starter = len(out)
		}
		out = append(out, m)
	}
	return out
}

// firstInert finds the first character that the reference's normalisation does
// not know, −1 if there is none.
func (f unicodeForm) firstInert(text string) int {
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			i++
			continue
		}
		if f.inert.size(text, i) > 0 {
			return i
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		i += size
	}
	return -1
}
