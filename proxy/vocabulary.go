package proxy

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/graft-gateway/graft/eft"
)

const (
	// batchesMost requests show all ids of a vocabulary, with idsLeast each or more.
	batchesMost, idsLeast = 48, 256
	// narrowMost further requests find out which ids of a batch differ.
	narrowMost = 24
	// differencesMost are named in the error.
	differencesMost = 3
	// atOnce requests are made side by side.
	atOnce = 4
)

// checkVocabulary proves by the server's own tokenizer that its ids stand for the
// vocabulary's bytes, or says by how much less it was proven. Ids decide, and not how
// a tokenizer splits: prompts are sent as ids, so a server that would have split a text
// otherwise, into ids that spell the same, has the same vocabulary.
func checkVocabulary(ctx context.Context, server Server, vocabulary *eft.Vocabulary, tokenizer Tokenizer) (note string, err error) {
	if tokenizer == nil {
		return "that the server's vocabulary is the routes' was not checked but for its size: there is no tokenizer to compare with", nil
	}
	c := comparison{server: server, vocabulary: vocabulary, tokenizer: tokenizer}
	if c.anchor = tokenizer.Encode("a", false); len(c.anchor) == 0 {
		return "", errors.New(`the vocabulary cannot be compared: the tokenizer makes no ids of "a"`)
	}
	split, err := c.texts(ctx)
	untold := errors.Is(err, errors.ErrUnsupported)
	if err != nil && !untold {
		return "", err
	}
	partial, err := c.ids(ctx)
	unspelt := errors.Is(err, errors.ErrUnsupported)
	switch {
	case err != nil && !unspelt:
		return "", err
	case untold && unspelt:
		return "that the server's vocabulary is the routes' is not proven: the server has no endpoint that tells its tokens", nil
	case unspelt:
		return fmt.Sprintf("the server's vocabulary was compared by %d texts only: it has no endpoint that spells ids", len(samples())), nil
	case split != "":
		return fmt.Sprintf("the server has the vocabulary, but splits text otherwise, such as %q", split), nil
	case partial != nil:
		return fmt.Sprintf("ids that stand for parts of characters were not compared with the server's: %v", partial), nil
	}
	return "", nil
}

// comparison is of a server's vocabulary with ours.
type comparison struct {
	server     Server
	vocabulary *eft.Vocabulary
	tokenizer  Tokenizer
	// anchor goes before whatever is spelt: many tokenizers strip the space that begins
	// a text.
	anchor []eft.Token
}

// texts has the server encode the samples. It returns the first that it splits into
// other ids that spell the same, if any.
func (c *comparison) texts(ctx context.Context) (split string, err error) {
	texts := samples()
	others := make([]bool, len(texts))
	err = sideBySide(ctx, len(texts), func(ctx context.Context, i int) error {
		theirs, err := c.server.Tokenize(ctx, texts[i])
		if err != nil {
			return fmt.Errorf("tokenize %q: %w", texts[i], err)
		}
		ours := c.tokenizer.Encode(texts[i], false)
		if slices.Equal(theirs, ours) {
			return nil
		}
		others[i] = true
		for _, id := range theirs {
			if c.vocabulary.Piece(id) == nil {
				return fmt.Errorf("the server's vocabulary is another one: %q has id %d there, which the routes' vocabulary lacks", texts[i], id)
			}
		}
		if !same(c.tokenizer.Decode(theirs), c.tokenizer.Decode(ours)) {
			at := 0
			for at < min(len(theirs), len(ours)) && theirs[at] == ours[at] {
				at++
			}
			return fmt.Errorf("the server's vocabulary is another one: token %d of %q is %s there and %s here",
				at, texts[i], c.word(theirs, at), c.word(ours, at))
		}
		return nil
	})
	if i := slices.Index(others, true); i >= 0 {
		split = texts[i]
	}
	return split, err
}

// word tells the id at a place and what we take it for.
func (c *comparison) word(ids []eft.Token, at int) string {
	if at >= len(ids) {
		return "missing"
	}
	return fmt.Sprintf("id %d (%q)", ids[at], c.vocabulary.Piece(ids[at]))
}

// ids has the server spell all ids of the vocabulary, and the samples. Partial is why
// ids that are no whole characters could not be spelt, if they could not.
func (c *comparison) ids(ctx context.Context) (partial, err error) {
	whole, parts := c.groups()
	size := max(idsLeast, (len(whole)+batchesMost-1)/batchesMost)
	batches := slices.Collect(slices.Chunk(whole, size))
	differs := make([]bool, len(batches))
	err = sideBySide(ctx, len(batches), func(ctx context.Context, i int) error {
		got, err := c.spell(ctx, batches[i])
		if err != nil {
			return err
		}
		differs[i] = !c.agree(batches[i], got)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if first := slices.Index(differs, true); first >= 0 {
		return nil, c.narrow(ctx, batches[first])
	}
	if len(parts) == 0 {
		return nil, nil
	}
	got, err := c.spell(ctx, parts)
	var e *Error
	switch {
	case errors.As(err, &e) && !unanswered(err):
		return err, nil // a server that spells everything else may choke on these
	case err != nil:
		return nil, err
	case !c.agree(parts, got):
		return nil, c.narrow(ctx, parts)
	}
	return nil, nil
}

// groups are the ids to be spelt, in groups that must not be torn: whole characters,
// and parts of them with an anchor behind each to end them.
func (c *comparison) groups() (whole, parts [][]eft.Token) {
	for id := range eft.Token(c.vocabulary.Size()) {
		switch piece := c.vocabulary.Piece(id); {
		case len(piece) == 0:
		case utf8.Valid(piece):
			whole = append(whole, []eft.Token{id})
		default:
			parts = append(parts, append([]eft.Token{id}, c.anchor...))
		}
	}
	for _, text := range samples() { // characters whose parts are ids of their own
		if ids := c.tokenizer.Encode(text, false); len(ids) > 0 {
			whole = append(whole, append(ids, c.anchor...))
		}
	}
	return whole, parts
}

// line is groups as they are sent.
func (c *comparison) line(groups [][]eft.Token) []eft.Token {
	return slices.Concat(c.anchor, slices.Concat(groups...))
}

func (c *comparison) spell(ctx context.Context, groups [][]eft.Token) (string, error) {
	text, err := c.server.Detokenize(ctx, c.line(groups))
	if err != nil {
		return "", fmt.Errorf("detokenize %d ids from id %d on: %w", len(groups), groups[0][0], err)
	}
	return text, nil
}

// agree says whether a server's text of groups is ours. Servers may leave out special
// tokens.
func (c *comparison) agree(groups [][]eft.Token, got string) bool {
	ids := c.line(groups)
	if same(got, c.tokenizer.Decode(ids)) {
		return true
	}
	shown := slices.DeleteFunc(ids, func(id eft.Token) bool { return bracketed(c.vocabulary.Piece(id)) })
	return same(got, c.tokenizer.Decode(shown))
}

// narrow words the first differences in a batch that differs.
func (c *comparison) narrow(ctx context.Context, batch [][]eft.Token) error {
	var found []string
	for left, todo := narrowMost, [][][]eft.Token{batch}; len(todo) > 0 && left > 0 && len(found) < differencesMost; left-- {
		groups := todo[0]
		todo = todo[1:]
		got, err := c.spell(ctx, groups)
		switch {
		case err != nil:
			return err
		case c.agree(groups, got):
		case len(groups) > 1:
			half := len(groups) / 2
			todo = append([][][]eft.Token{groups[:half], groups[half:]}, todo...)
		default:
			ids := any(groups[0][0])
			if len(groups[0]) > 1 {
				ids = groups[0]
			}
			want := c.tokenizer.Decode(c.line(groups))
			found = append(found, fmt.Sprintf("id %v is %q there and %q here (behind %q)", ids, got, want, c.tokenizer.Decode(c.anchor)))
		}
	}
	if found == nil {
		last := batch[len(batch)-1]
		found = append(found, fmt.Sprintf("they differ between ids %d and %d", batch[0][0], last[0]))
	}
	return fmt.Errorf("the server's vocabulary is another one: %s", strings.Join(found, ", "))
}

// same says whether two texts spell the same tokens. Servers strip the space before a
// text, tidy spaces before punctuation as Python libraries do, and have one mark for
// broken characters, several or none.
func same(a, b string) bool {
	if a == b {
		return true
	}
	const broken = "\uFFFD"
	if strings.Contains(a, broken) || strings.Contains(b, broken) {
		a, b = strings.ReplaceAll(a, broken, ""), strings.ReplaceAll(b, broken, "")
	}
	a, b = strings.TrimPrefix(a, " "), strings.TrimPrefix(b, " ")
	return a == b || tidied(a) == tidied(b)
}

// tidied drops spaces as clean_up_tokenization_spaces does.
func tidied(s string) string {
	for _, tidy := range []string{".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"} {
		s = strings.ReplaceAll(s, " "+tidy, tidy)
	}
	return strings.ReplaceAll(s, " ' ", "'")
}

// bracketed says whether a token may be a special one by its looks.
func bracketed(piece []byte) bool {
	n := len(piece)
	return n > 2 && (piece[0] == '<' && piece[n-1] == '>' || piece[0] == '[' && piece[n-1] == ']')
}

// sideBySide calls do for 0 … n−1, few at a time. The first error ends the others.
func sideBySide(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var pending sync.WaitGroup
	for range min(n, atOnce) {
		pending.Go(func() {
			// Nobody above a goroutine can catch a panic: it would end the process.
			defer func() {
				if v := recover(); v != nil {
					cancel(fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
				}
			}()
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	pending.Wait()
	return context.Cause(ctx)
}
