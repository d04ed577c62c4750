package tokenizer

// piece is a part of a text on its way to the model.
type piece struct {
	text string
	// head is how many bytes of text, from its start, come from the first
	// character of the whole text as it was before normalisation: 0 for all
	// pieces but the first, and for that too if its beginning was stripped.
	// Metaspace has an option that asks for it.
	head int
}

// part returns the bytes start to end of p.
func (p piece) part(start, end int) piece {
	return piece{p.text[start:end], max(0, min(p.head, end)-start)}
}

// appendPart appends the bytes start to end of p unless there are none.
func (p piece) appendPart(dst []piece, start, end int) []piece {
	if start == end {
		return dst
	}
	return append(dst, p.part(start, end))
}
