package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// spaced puts spaces between tokens, as is done without a decoder.
type spaced struct{ begun bool }

func (s *spaced) decode(token string, next sink) {
	if s.begun {
		token = " " + token
	}
	s.begun = true
	next.token(token)
}

func (s *spaced) finish(sink)                {}
func (s *spaced) middle(token string) string { return " " + token }

// replaceToken replaces within each token.
type replaceToken struct{ replace }

func (r replaceToken) decode(token string, next sink) { next.token(r.normalize(token)) }
func (r replaceToken) finish(sink)                    {}

// middle leaves single bytes of a character alone.
func (r replaceToken) middle(token string) string {
	if !utf8.ValidString(token) {
		return token
	}
	return r.normalize(token)
}

// unspace writes Metaspace's signs as spaces, and drops those of the first
// token where Metaspace would have put one before it.
type unspace struct {
	metaspace
	begun bool
}

func (u *unspace) decode(token string, next sink) {
	if !u.begun && u.scheme != prependNever {
		next.token(strings.ReplaceAll(token, u.sign, ""))
	} else {
		next.token(u.middle(token))
	}
	u.begun = true
}

func (u *unspace) finish(sink)                {}
func (u *unspace) middle(token string) string { return strings.ReplaceAll(token, u.sign, " ") }

// joinWords is the decoder WordPiece: tokens that continue a word lose their
// prefix, the others get a space before them.
type joinWords struct {
	prefix string
	tidied bool
	begun  bool
}

func (j *joinWords) decode(token string, next sink) {
	switch {
	case j.begun:
		token = j.middle(token)
	case j.tidied:
		token = tidy(token)
	}
	j.begun = true
	next.token(token)
}

func (j *joinWords) finish(sink) {}

func (j *joinWords) middle(token string) string {
	if rest, ok := strings.CutPrefix(token, j.prefix); ok {
		token = rest
	} else {
		token = " " + token
	}
	if j.tidied {
		token = tidy(token)
	}
	return token
}

// tidy takes back what cutting English into words did. The rules apply one
// after the other.
func tidy(text string) string {
	if !strings.Contains(text, " ") {
		return text // every rule has a space
	}
	for _, rule := range [...][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		text = strings.ReplaceAll(text, rule[0], rule[1])
	}
	return text
}

func (c component) wordPieceDecoder() (decoderStage, error) {
	var f struct {
		Type    string
		Prefix  *string
		Cleanup *bool
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	if f.Prefix == nil || f.Cleanup == nil {
		return nil, c.refuse("prefix or cleanup are missing")
	}
	return eachToken(func() tokenDecoding { return &joinWords{prefix: *f.Prefix, tidied: *f.Cleanup} }), nil
}

// endWords is BPEDecoder: the sign of a word's end becomes a space, in the last
// token nothing. So the last token is held back.
type endWords struct {
	suffix string
	held   string
	begun  bool
}

func (e *endWords) decode(token string, next sink) {
	if e.begun {
		next.token(e.middle(e.held))
	}
	e.held, e.begun = token, true
}

func (e *endWords) finish(next sink) {
	if e.begun {
		next.token(strings.ReplaceAll(e.held, e.suffix, ""))
	}
}

func (e *endWords) middle(token string) string { return strings.ReplaceAll(token, e.suffix, " ") }

func (c component) suffixDecoder() (decoderStage, error) {
	var f struct {
		Type   string
		Suffix *string
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	if isEmpty(f.Suffix) {
		return nil, c.refuse("suffix is missing or empty")
	}
	return eachToken(func() tokenDecoding { return &endWords{suffix: *f.Suffix} }), nil
}

// ctc drops repeated tokens and padding.
type ctc struct {
	pad, delimiter string
	tidied         bool
	last           string
	begun          bool
}

func (d *ctc) decode(token string, next sink) {
	if d.begun && token == d.last {
		return
	}
	d.last, d.begun = token, true
	if token = d.middle(token); token != "" {
		next.token(token)
	}
}

func (d *ctc) finish(sink) {}

func (d *ctc) middle(token string) string {
	token = strings.ReplaceAll(token, d.pad, "")
	if d.tidied {
		token = strings.ReplaceAll(tidy(token), d.delimiter, " ")
	}
	return token
}

func (c component) ctcDecoder() (decoderStage, error) {
	var f struct {
		Type      string
		Pad       *string `json:"pad_token"`
		Delimiter *string `json:"word_delimiter_token"`
		Cleanup   *bool
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	if isEmpty(f.Pad) || isEmpty(f.Delimiter) || f.Cleanup == nil {
		return nil, c.refuse("pad_token, word_delimiter_token or cleanup are missing or empty")
	}
	return eachToken(func() tokenDecoding { return &ctc{pad: *f.Pad, delimiter: *f.Delimiter, tidied: *f.Cleanup} }), nil
}
