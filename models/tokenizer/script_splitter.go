package tokenizer

// scriptSplitter cuts where the script changes. What belongs to any script
// goes with what stands before it, and is lost where nothing does.
type scriptSplitter struct{}

func (scriptSplitter) split(dst []piece, p piece) []piece {
	start := -1 // nothing so far
	last := uint8(anyScript)
	for i, r := range p.text {
		script := scriptOf(r)
		if script == anyScript || script == last {
			continue
		}
		if start >= 0 {
			dst = append(dst, p.part(start, i))
		}
		start, last = i, script
	}
	if start < 0 {
		return dst
	}
	return p.appendPart(dst, start, len(p.text))
}
