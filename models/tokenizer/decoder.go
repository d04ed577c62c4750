package tokenizer

import (
	"encoding/json"
	"strings"
)

// decoder turns tokens back into text, in stages.
type decoder struct{ stages []decoderStage }

// decoderStage turns a list of tokens into another one. The last stage's
// tokens, joined, are the text.
type decoderStage interface {
	// open starts a text, whose tokens go to next.
	open(next sink) sink
	// middle gives the bytes that a token becomes within a text.
	middle(token string) string
}

// sink takes the tokens of one text as they come. It belongs to one goroutine.
type sink interface {
	// token is a whole token.
	token(text string)
	// write is a part of a token that is not complete yet, and cut its end.
	write(text string)
	cut()
	// end is the end of the text.
	end()
}

func newDecoder(raw json.RawMessage) (*decoder, error) {
	if absent(raw) {
		return &decoder{[]decoderStage{eachToken(func() tokenDecoding { return &spaced{} })}}, nil
	}
	c, err := newComponent("decoder", raw, 0)
	if err != nil {
		return nil, err
	}
	list, err := c.flatten("decoders")
	if err != nil {
		return nil, err
	}
	d := &decoder{}
	fused := false // all tokens have become one
	var growth []int
	for _, c := range list {
		stage, err := c.decoderStage(fused)
		if err != nil {
			return nil, err
		}
		fused = fused || c.kind == "Fuse" || c.kind == "ByteLevel"
		if g, ok := stage.(interface{ growth() int }); ok {
			growth = append(growth, g.growth())
		}
		d.stages = append(d.stages, stage)
	}
	return d, c.checkGrowth(growth)
}

// decoderStage interprets one stage. Some have a form of their own for the one
// token that is left behind Fuse, so that text need not wait for its end.
func (c component) decoderStage(fused bool) (decoderStage, error) {
	switch c.kind {
	case "Fuse":
		return fuse{}, c.read(&struct{ Type string }{})
	case "ByteLevel":
		return byteDecoder{newAlphabet()}, c.read(&byteLevelFields{})
	case "ByteFallback":
		return byteFallback{}, c.read(&struct{ Type string }{})
	case "Strip":
		return c.stripDecoder(fused)
	case "Replace":
		m, content, err := c.replacement()
		if err != nil {
			return nil, err
		}
		r := replace{m, content}
		if l, ok := m.(literal); ok && fused {
			return replaceRunning{r, string(l)}, nil
		}
		return replaceEach{r, eachToken(func() tokenDecoding { return replaceToken{r} })}, nil
	case "Metaspace":
		m, err := c.metaspace()
		return eachToken(func() tokenDecoding { return &unspace{metaspace: m} }), err
	case "WordPiece":
		return c.wordPieceDecoder()
	case "BPEDecoder":
		return c.suffixDecoder()
	case "CTC":
		return c.ctcDecoder()
	}
	return nil, c.unsupported()
}

// piece gives the bytes that token stands for within a text.
func (d *decoder) piece(token string) []byte {
	for _, s := range d.stages {
		token = s.middle(token)
	}
	return []byte(token)
}

// decoding is one text on its way. It belongs to one goroutine.
type decoding struct {
	decoder *decoder
	first   sink
	out     output
}

func (d *decoder) begin() *decoding {
	s := &decoding{decoder: d}
	s.restart()
	return s
}

func (s *decoding) restart() {
	s.first = &s.out
	for i := len(s.decoder.stages) - 1; i >= 0; i-- {
		s.first = s.decoder.stages[i].open(s.first)
	}
}

// push takes the next token and appends what became certain.
func (s *decoding) push(dst []byte, token string) []byte {
	s.out.text = dst
	s.first.token(token)
	return s.out.text
}

// flush appends the rest; the text ends here, and the next one begins.
func (s *decoding) flush(dst []byte) []byte {
	s.out.text = dst
	s.first.end()
	s.restart()
	return s.out.text
}

// output is the last sink.
type output struct{ text []byte }

func (o *output) token(text string) { o.text = append(o.text, text...) }
func (o *output) write(text string) { o.text = append(o.text, text...) }
func (o *output) cut()              {}
func (o *output) end()              {}

// fuse makes one token of all.
type fuse struct{}

func (fuse) open(next sink) sink        { return fusing{next} }
func (fuse) middle(token string) string { return token }

type fusing struct{ next sink }

func (f fusing) token(text string) { f.next.write(text) }
func (f fusing) write(text string) { f.next.write(text) }
func (f fusing) cut()              {}

func (f fusing) end() {
	f.next.cut()
	f.next.end()
}

// tokenDecoding is a stage that looks at whole tokens, in one text.
type tokenDecoding interface {
	// decode passes on what becomes of the next token.
	decode(token string, next sink)
	// finish passes on what was held back.
	finish(next sink)
	// middle is decoderStage's.
	middle(token string) string
}

// eachToken makes a stage of a function that starts a tokenDecoding.
type eachToken func() tokenDecoding

// replaceEach is Replace on each token.
type replaceEach struct {
	replace
	eachToken
}

func (f eachToken) open(next sink) sink        { return &gathering{stage: f(), next: next} }
func (f eachToken) middle(token string) string { return f().middle(token) }

// gathering puts the parts of a token together for a stage.
type gathering struct {
	stage tokenDecoding
	next  sink
	parts strings.Builder
}

func (g *gathering) token(text string) { g.stage.decode(text, g.next) }
func (g *gathering) write(text string) { g.parts.WriteString(text) }

func (g *gathering) cut() {
	text := g.parts.String()
	g.parts.Reset()
	g.stage.decode(text, g.next)
}

func (g *gathering) end() {
	g.stage.finish(g.next)
	g.next.end()
}
