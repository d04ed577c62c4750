package tokenizer

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// precompiled is SentencePiece's table of rewriting rules: a double array that
// leads from a sequence of bytes to a place in replacements, where a text ends
// at a zero byte.
//
// The reference looks up grapheme clusters of at most 5 bytes as a whole, and
// takes the shortest rule that the cluster begins with for all of it; else each
// character alone. SentencePiece itself takes the longest rule anywhere.
type precompiled struct {
	units        []uint32
	replacements string
	graphemes    *graphemes
	plain        [utf8.RuneSelf]bool // ASCII that no rule touches
}

// longestCluster is the length up to which clusters are looked up.
const longestCluster = 5

func (p *precompiled) normalize(text string) string {
	var out []byte
	done := 0 // text[:done] is in out
	for i := 0; i < len(text); {
		// ASCII before ASCII is a cluster of its own, but for CR before LF,
		// which are not plain.
		if p.isPlain(text, i) {
			i++
			continue
		}
		end := i + p.graphemes.next(text[i:])
		p.rewrite(text[i:end], func(old, new string) {
			out = append(out, text[done:i]...)
			out = append(out, new...)
			i += len(old)
			done = i
		}, func(kept string) { i += len(kept) })
	}
	if done == 0 {
		return text
	}
	return string(append(out, text[done:]...))
}

func (p *precompiled) isPlain(text string, i int) bool {
	return text[i] < utf8.RuneSelf && p.plain[text[i]] && (i+1 == len(text) || text[i+1] < utf8.RuneSelf)
}

// rewrite tells, part by part, what becomes of a cluster.
func (p *precompiled) rewrite(cluster string, replace func(old, new string), keep func(old string)) {
	if len(cluster) <= longestCluster {
		if new, ok := p.lookup(cluster); ok {
			replace(cluster, new)
			return
		}
		if utf8.RuneCountInString(cluster) == 1 {
			keep(cluster)
			return
		}
	}
	for _, r := range cluster {
		char := string(r)
		if new, ok := p.lookup(char); ok {
			replace(char, new)
		} else {
			keep(char)
		}
	}
}

// lookup returns what the shortest rule that chunk begins with puts in its place.
func (p *precompiled) lookup(chunk string) (string, bool) {
	if len(p.units) == 0 {
		return "", false
	}
	at := unitOffset(p.units[0])
	for i := range len(chunk) {
		b := uint32(chunk[i])
		if b == 0 {
			return "", false
		}
		at ^= b
		if int(at) >= len(p.units) {
			return "", false
		}
		unit := p.units[at]
		if unit&(1<<31|0xFF) != b {
			return "", false
		}
		at ^= unitOffset(unit)
		if unit>>8&1 == 1 {
			if int(at) >= len(p.units) {
				return "", false
			}
			return p.replacement(p.units[at] & (1<<31 - 1))
		}
	}
	return "", false
}

// unitOffset is where the children of a unit lie, relative to it.
func unitOffset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

func (p *precompiled) replacement(start uint32) (string, bool) {
	if int(start) > len(p.replacements) {
		return "", false
	}
	text, _, _ := strings.Cut(p.replacements[start:], "\x00")
	return text, utf8.ValidString(text)
}

// head follows the reference's book-keeping: new characters stand for old ones
// one by one, surplus new ones for the last of them, and surplus old ones for
// the new one before them, if there is one.
func (p *precompiled) head(text string, n int) int {
	type change struct{ size, steps int }
	var list []change
	for at := 0; at < len(text) && at < n+utf8.UTFMax; {
		end := at + p.graphemes.next(text[at:])
		p.rewrite(text[at:end], func(old, new string) {
			surplus := utf8.RuneCountInString(new) - utf8.RuneCountInString(old)
			first := len(list)
			for _, r := range new {
				list = append(list, change{utf8.RuneLen(r), 1})
			}
			switch {
			case surplus > 0:
				for i := max(first, len(list)-surplus); i < len(list); i++ {
					list[i].steps = 0
				}
			case surplus < 0 && len(list) > 0:
				list[len(list)-1].steps -= surplus
			}
		}, func(kept string) {
			for _, r := range kept {
				list = append(list, change{utf8.RuneLen(r), 1})
			}
		})
		at = end
	}
	out, old := 0, 0
	for _, c := range list {
		if c.steps > 0 && old >= n || c.steps == 0 && old > n {
			break
		}
		out += c.size
		for range c.steps {
			_, size := utf8.DecodeRuneInString(text[old:])
			old += size
		}
	}
	return out
}

// precompiled reads the component Precompiled.
func (c component) precompiled() (normalizer, error) {
	var f struct {
		Type    string
		Charmap *string `json:"precompiled_charsmap"`
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	if isEmpty(f.Charmap) {
		return normalizers(nil), nil // no rules
	}
	data, err := base64.StdEncoding.DecodeString(*f.Charmap)
	if err != nil {
		return nil, c.refuse("precompiled_charsmap: %v", err)
	}
	if len(data) < 4 {
		return nil, c.refuse("precompiled_charsmap has %d bytes", len(data))
	}
	size := int64(binary.LittleEndian.Uint32(data)) / 4
	data = data[4:]
	if size*4 > int64(len(data)) {
		return nil, c.refuse("precompiled_charsmap announces a table of %d bytes and has %d", size*4, len(data))
	}
	p := &precompiled{units: make([]uint32, size), graphemes: newGraphemes()}
	for i := range p.units {
		p.units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	p.replacements = string(data[4*size:])
	if !utf8.ValidString(p.replacements) {
		return nil, c.refuse("precompiled_charsmap has replacements that are not UTF-8")
	}
	for b := range p.plain {
		_, ok := p.lookup(string(rune(b)))
		p.plain[b] = !ok && b != '\r' && b != '\n'
	}
	return p, nil
}
