package chattemplate

import (
	"slices"
	"strings"
	"unicode"
)

// filterWordWrap is wordwrap(width, break_long_words, wrapstring,
// break_on_hyphens): every line of the text is broken for itself.
func filterWordWrap(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("wordwrap", 0, "width", "break_long_words", "wrapstring", "break_on_hyphens")
	if err != nil {
		return nil, err
	}
	s, ok := textOf(of)
	if !ok {
		return nil, misfit(of, fail(attributeError, "'%s' object has no attribute 'splitlines'", typeName(of)))
	}
	w := wrapper{width: 79, breakWords: bound[1] == nil || truth(bound[1]), hyphens: bound[3] == nil || bound[3] == boolean(true)}
	width, err := needInt(bound[0], 79)
	if err != nil {
		return nil, err
	}
	w.width = int(min(width, 1<<31))
	end := "\n"
	if _, isNone := bound[2].(none); bound[2] != nil && !isNone {
		if end, err = needText("join", bound[2]); err != nil {
			return nil, err
		}
	}
	lines := splitLines(s, false)
	if w.width <= 0 && len(lines) > 0 {
		return nil, fail(valueError, "invalid width %d (must be > 0)", w.width)
	}
	// Every character can become a chunk, and with a narrow width a line.
	if err := r.repeat(2*valueSize+len(end), len(s)+1); err != nil {
		return nil, err
	}
	var out []string
	for _, line := range lines {
		out = append(out, strings.Join(w.wrap([]rune(line)), end))
	}
	return str(strings.Join(out, end)), nil
}

// wrapper breaks a line as Python's textwrap does.
type wrapper struct {
	width               int
	breakWords, hyphens bool
}

// wrap fills lines with chunks of text. Blank space at the ends of lines goes,
// but not that at the start of the first.
func (w wrapper) wrap(text []rune) []string {
	var lines []string
	chunks := w.chunks(text)
	for len(chunks) > 0 {
		if len(lines) > 0 && isBlank(chunks[0]) {
			chunks = chunks[1:]
		}
		var line [][]rune
		size := 0
		for len(chunks) > 0 && size+len(chunks[0]) <= w.width {
			size += len(chunks[0])
			line, chunks = append(line, chunks[0]), chunks[1:]
		}
		if len(chunks) > 0 && len(chunks[0]) > w.width {
			if w.breakWords {
				at := w.breakAt(chunks[0], w.width-size)
				line = append(line, chunks[0][:at])
				chunks[0] = chunks[0][at:]
			} else if len(line) == 0 {
				line, chunks = append(line, chunks[0]), chunks[1:]
			}
		}
		if n := len(line); n > 0 && isBlank(line[n-1]) {
			line = line[:n-1]
		}
		if len(line) > 0 {
			var sb strings.Builder
			for _, chunk := range line {
				sb.WriteString(string(chunk))
			}
			lines = append(lines, sb.String())
		}
	}
	return lines
}

// breakAt is where a word that is too long for any line is cut: after its last
// hyphen that fits, if anything but hyphens is before it.
func (w wrapper) breakAt(word []rune, space int) int {
	if !w.hyphens || len(word) <= space {
		return min(space, len(word))
	}
	for i := space - 1; i > 0; i-- {
		if word[i] != '-' {
			continue
		}
		if strings.Trim(string(word[:i]), "-") != "" {
			return i + 1
		}
		break
	}
	return space
}

func isBlank(chunk []rune) bool {
	return !slices.ContainsFunc(chunk, func(c rune) bool { return !isSpace(c) })
}

func isWrapSpace(c rune) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// chunks cuts text into runs of blanks and the pieces between which a line may
// be broken.
func (w wrapper) chunks(text []rune) [][]rune {
	var chunks [][]rune
	for at := 0; at < len(text); {
		end := at + 1
		switch {
		case isWrapSpace(text[at]):
			for end < len(text) && isWrapSpace(text[end]) {
				end++
			}
		case !w.hyphens:
			for end < len(text) && !isWrapSpace(text[end]) {
				end++
			}
		default:
			end = pieceEnd(text, at)
		}
		chunks = append(chunks, text[at:end])
		at = end
	}
	return chunks
}

// pieceEnd is the end of the piece of a word at at: a dash of two hyphens or
// more between words, or what comes before one, after a hyphen between letters,
// or at the word's end.
func pieceEnd(text []rune, at int) int {
	if end := dashEnd(text, at); end > 0 {
		return end
	}
	letter := func(i int) bool {
		return i >= 0 && i < len(text) && isWord(text[i]) && !unicode.Is(unicode.Nd, text[i])
	}
	for i := at + 1; i < len(text); i++ {
		if isWrapSpace(text[i]) || dashEnd(text, i) > 0 {
			return i
		}
		if text[i] != '-' {
			continue
		}
		before := letter(i-1) && (letter(i-2) || i >= 2 && text[i-2] == '-' && letter(i-3))
		after := letter(i+1) && (letter(i+2) || i+2 < len(text) && text[i+2] == '-' && letter(i+3))
		if before && after {
			return i + 1
		}
	}
	return len(text)
}

// dashEnd is where a run of hyphens ends that stands for a dash between words,
// 0 if there is none at at.
func dashEnd(text []rune, at int) int {
	// What is before comes first, so that a run is only measured at its start.
	if at == 0 || !isWord(text[at-1]) && !strings.ContainsRune(`!"'&.,?`, text[at-1]) {
		return 0
	}
	end := at
	for end < len(text) && text[end] == '-' {
		end++
	}
	if end-at < 2 || end == len(text) || !isWord(text[end]) {
		return 0
	}
	return end
}
