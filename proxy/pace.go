package proxy

// pace decides when a text reads the base's own continuation ahead, in a stream,
// instead of asking for one row at a time. A stream's rows cost one request together,
// but only as long as the text goes on with the base's own tokens; the rest is made
// for nothing.
//
//	need   tokens in a row must have been the base's own before a stream is opened:
//	       two; twice as many behind each stream of which more was thrown away than
//	       read, up to needMost, half as many behind any other that was thrown away,
//	       and two again behind one that was read to its end
//	limit  tokens are asked for: 4, 8, 16 … limitMost, twice as many behind each that
//	       was read to its end, and 4 again behind a token that was not the base's
//
// So at most as many tokens are thrown away as were read since the last divergence,
// and three more; and a text that hardly agrees hardly opens streams. What comes of
// it, per row, in texts of 200 tokens that agree with the base with probability a (a
// test says so):
//
//	a                   0   0.3   0.5   0.7   0.8   0.9   0.95     1
//	rows from streams   0   .02   .06   .23   .41   .71    .86   .99
//	tokens for nothing  0   .03   .07   .19   .28   .40    .43   .27
//
// The last line is a bound: a stream that is closed is stopped at the server, mostly
// within a token or two.
//
// Of a text that leads, whose caller means to go along the base's own tokens as far as
// they are right, a stream is opened whenever there is none, and of limitLead tokens:
// each divergence costs a new one.
type pace struct {
	agreed, need, limit int
	broken              int
	leads               bool
}

const (
	needLeast, needMost   = 2, 32
	limitLeast, limitMost = 4, 64
	// limitLead is long, since behind the end of a stream the next one misses a pass of
	// the server.
	limitLead = 512
	// brokenMost streams may fail within a text before it has no more of them.
	brokenMost = 2
)

func newPace() pace { return pace{need: needLeast, limit: limitLeast} }

// saw is told of each token that the text went on with.
func (p *pace) saw(own bool) {
	if own {
		p.agreed++
		return
	}
	p.agreed, p.limit = 0, limitLeast
}

// ahead is how many tokens to ask for in a stream now, of at most room. Below two a
// stream has nothing to offer, and 0 is returned.
func (p *pace) ahead(room int) int {
	if p.leads && p.broken < brokenMost && room > 1 {
		return min(limitLead, room)
	}
	if limit := min(p.limit, room); p.agreed >= p.need && p.broken < brokenMost && limit > 1 {
		return limit
	}
	return 0
}

// finished is told of a stream that was read to its end.
func (p *pace) finished() {
	p.need = needLeast
	p.limit = min(2*p.limit, limitMost)
}

// ended is told of a stream that the base ended before its limit. There is nothing to
// read ahead for now.
func (p *pace) ended() { p.agreed = 0 }

// left is told of a stream that the text parted from, with tokens in it.
func (p *pace) left(read, unread int) {
	p.limit = limitLeast
	if unread > read {
		p.need = min(2*p.need, needMost)
	} else {
		p.need = max(p.need/2, needLeast)
	}
}

// broke is told of a stream that failed.
func (p *pace) broke() {
	p.broken++
	p.agreed, p.limit = 0, limitLeast
}
