package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// model is one model that a server was found to have. It never changes.
type model struct {
	server Server
	caps   Caps
	gather *gather // nil where one request is one text's
}

// recognise finds what the server is and that it can be taken: at first for what the
// configuration wants, later for what was promised then.
func (b *Base) recognise(ctx context.Context) (*model, error) {
	want := b.config.Want
	if b.promised != nil && want.Vocabulary != nil {
		// Rows must stay of one kind, whatever the new server could do.
		want.TopLogprobs = b.promised.TopLogprobs
		if b.promised.Dense {
			want.TopLogprobs = -1
		}
	}
	server, err := b.ask(ctx, want)
	if err != nil {
		return nil, err
	}
	caps := server.Caps()
	caps.Notes = slices.Clone(caps.Notes)
	if err := b.fits(&caps); err != nil {
		return nil, fmt.Errorf("base %s: %w", b.config.Name, err)
	}
	if want.Vocabulary != nil {
		note, err := checkVocabulary(ctx, server, want.Vocabulary, b.config.Tokenizer)
		if err != nil {
			return nil, fmt.Errorf("base %s: %w", b.config.Name, err)
		}
		if note != "" {
			caps.Notes = append(caps.Notes, note)
		}
	}
	m := &model{server: server, caps: caps}
	if gatherer, can := server.(Gatherer); can && caps.Batch {
		m.gather = newGather(gatherer, caps.Isolation != "", &b.counts)
	}
	return m, nil
}

// ask tries the dialects in turn. A dialect that knows the server and finds something
// wrong has the last word: a later one might take the same server for less than it is.
func (b *Base) ask(ctx context.Context, want Want) (Server, error) {
	var said []string
	for _, dialect := range b.config.Dialects {
		server, err := dialect.Recognise(ctx, b.config.Client, want)
		switch {
		case err == nil:
			return server, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case unanswered(err):
			return nil, err // which the others would only say again
		case !errors.Is(err, ErrOtherDialect):
			return nil, fmt.Errorf("base %s: %s: %w", b.config.Name, dialect.Name(), err)
		}
		said = append(said, fmt.Sprintf("%s: %v", dialect.Name(), err))
	}
	switch len(said) {
	case 0:
		return nil, fmt.Errorf("base %s: no dialect to try", b.config.Name)
	case 1:
		return nil, fmt.Errorf("base %s: %s (dialect: auto tries them all)", b.config.Name, said[0])
	}
	return nil, fmt.Errorf("base %s: no dialect fits the server: %s", b.config.Name, strings.Join(said, "; "))
}

// unanswered says whether err is that nobody answered, in whatever dialect.
func unanswered(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Fault {
	case Unreachable, TimedOut, Overloaded, Open:
		return true
	}
	return false
}

// fits says whether texts can be had from a server with these caps, and of the kind
// that was promised.
func (b *Base) fits(caps *Caps) error {
	if b.config.Want.Vocabulary == nil {
		return nil
	}
	size := b.config.Want.Vocabulary.Size()
	if caps.VocabSize > 0 && caps.VocabSize < size {
		return fmt.Errorf("the server scores %d ids, and the vocabulary has %d: it is another model's", caps.VocabSize, size)
	}
	if !caps.Dense && caps.TopLogprobs < 1 {
		return errors.New("the server gives no log-probs, so nothing can be mixed with its rows")
	}
	if b.promised == nil {
		return nil
	}
	old := *b.promised
	switch {
	case caps.Dense != old.Dense:
		return fmt.Errorf("its rows are %s now, and were %s", kind(caps.Dense), kind(old.Dense))
	case !caps.Dense && caps.TopLogprobs != old.TopLogprobs:
		return fmt.Errorf("it gives the %d best log-probs now, and gave %d%s", caps.TopLogprobs, old.TopLogprobs, flagged(caps.CapFlag))
	case caps.Context < old.Context:
		return fmt.Errorf("its context is %s now, and was %d tokens", told(caps.Context), old.Context)
	case min(caps.Names, b.config.Names) < min(old.Names, b.config.Names):
		return fmt.Errorf("it can be asked for %d tokens by id now, and could for %d", caps.Names, old.Names)
	}
	return nil
}

func kind(dense bool) string {
	if dense {
		return "dense"
	}
	return "truncated"
}

func told(context int) string {
	if context == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%d tokens", context)
}

func flagged(flag string) string {
	if flag == "" {
		return ""
	}
	return fmt.Sprintf("; %s raises it", flag)
}
