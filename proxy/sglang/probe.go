package sglang

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// probeTokens is how long the texts of probes are: more than a page of the server's
// cache, which keeps whole pages only.
const probeTokens = 160

var (
	versions = regexp.MustCompile(`^(\d+)\.(\d+)`)
	keysIn   = regexp.MustCompile(`\[0, (\d+)\]`)
)

// askVocabularySize lets the server complain of a bias on an id that no model has: it
// names the ids that it scores. Versions before 0.5 may not look before they use it,
// and are not asked.
func (s *server) askVocabularySize(ctx context.Context) error {
	version := versions.FindStringSubmatch(s.caps.Version)
	if version == nil || version[1] == "0" && len(version[2]) == 1 && version[2] < "5" {
		return nil
	}
	request := s.request([]eft.Token{s.probe(1)[0]}, "")
	request.ReturnLogprob, request.TopLogprobs = false, 0
	request.Sampling.LogitBias = map[string]float64{strconv.Itoa(math.MaxInt32): 0}
	var out answer
	err := s.client.Post(ctx, generate, request, &out)
	failure := (*proxy.Error)(nil)
	if !errors.As(err, &failure) || failure.Fault != proxy.Refused {
		return err
	}
	if last := keysIn.FindStringSubmatch(failure.Message); last != nil {
		n, err := strconv.ParseInt(last[1], 10, 32)
		if err != nil {
			return s.client.Malformed("POST "+generate, "the vocabulary's last id is said to be %s", last[1])
		}
		s.caps.VocabSize = int(n) + 1
	}
	return nil
}

// chooseK decides how many of the best are asked for. The server has no cap of its
// own, but breaks when it is asked for more than the ids that it scores.
func (s *server) chooseK(want int) error {
	most := s.vocabulary.Size()
	if s.caps.VocabSize > 0 {
		most = s.caps.VocabSize
	}
	switch {
	case want < 0 && s.caps.VocabSize == 0:
		return errors.New("top_logprobs: all was asked for, and this SGLang does not tell how many ids it scores (version 0.5 and later do): ask for a number")
	case want < 0:
		s.caps.Dense, s.caps.TopLogprobs = true, most
	case want > most:
		return fmt.Errorf("top_logprobs: %d asked for, and the server scores %d ids", want, most)
	case want == 0:
		s.caps.TopLogprobs = min(proxy.DefaultTopLogprobs, most)
	default:
		s.caps.TopLogprobs = want
	}
	return nil
}

// try asks for rows as the decode loop will: of a path in one pass, or else by a list
// of prefixes; then whether prefixes are kept, and kept apart.
func (s *server) try(ctx context.Context) error {
	text := s.probe(s.probeLength())
	prefix, path := text[:len(text)-2], text[len(text)-2:]
	singly, err := s.rows(ctx, "", prefix, nil)
	if err != nil {
		return err
	}
	if err := s.tryPass(ctx, prefix, path, singly[0]); err != nil {
		return err
	}
	if err := s.tryGather(ctx, prefix, path, singly[0]); err != nil {
		return err
	}
	if s.caps.PrefixCache == "no" {
		return nil
	}
	return s.tryCache(ctx, text)
}

// alike is how far log-probs of one row may lie apart that come from a pass and from
// a step: kernels sum in other orders, some of them in bfloat16.
const alike = 0.5

// tryPass scores a path in one pass and compares its first row with the same one had
// singly.
func (s *server) tryPass(ctx context.Context, prefix, path []eft.Token, singly eft.Row) error {
	rows, err := s.rows(ctx, "", prefix, path)
	failure := (*proxy.Error)(nil)
	switch {
	case err == nil && near(rows[0], singly):
		return nil
	case err == nil:
		s.note("the server's rows of a prompt are not those of its answers: every position of a path is a request of its own in a batch")
	case errors.As(err, &failure) && (failure.Fault == proxy.Refused || failure.Fault == proxy.Malformed):
		s.note("the server does not score a path in one pass (%v): every position of a path is a request of its own in a batch", failure)
	default:
		return err
	}
	s.pass, s.caps.Scoring, s.caps.Names = false, proxy.ScoringList, 0
	_, err = s.rows(ctx, "", prefix, path)
	return err
}

// tryGather asks for two texts' rows in one request, and looks at those that are known.
func (s *server) tryGather(ctx context.Context, prefix, path []eft.Token, singly eft.Row) error {
	rows, err := s.Gather(ctx, "", []proxy.Ask{{Prefix: prefix, Path: path}, {Prefix: prefix}})
	failure := (*proxy.Error)(nil)
	switch {
	case err == nil && near(rows[0][0], singly) && near(rows[1][0], singly):
		return nil
	case err == nil:
		s.note("the server gives other rows for two texts at once than for each alone: texts side by side take a request each")
	case errors.As(err, &failure) && (failure.Fault == proxy.Refused || failure.Fault == proxy.Malformed):
		s.note("the server takes no list of texts with a logprob_start_len each (%v): texts side by side take a request each", failure)
	default:
		return err
	}
	s.caps.Batch = false
	return nil
}

// near says whether what either row lists among its best few has about the same
// log-prob in the other, where that lists it, too.
func near(a, b eft.Row) bool {
	if a.Dense() {
		return slices.EqualFunc(a.Scores, b.Scores, func(x, y float32) bool {
			return x == y || math.Abs(float64(x-y)) < alike || x < -20 && y < -20
		})
	}
	shared := 0
	for i, id := range a.IDs {
		if j := slices.Index(b.IDs, id); j >= 0 && (a.LogProbs[i] > -10 || i == 0) {
			if shared++; math.Abs(float64(a.LogProbs[i]-b.LogProbs[j])) > alike {
				return false
			}
		}
	}
	return shared > 0
}

// tryCache tells the server's cache by what it says was cached: a text asked for twice
// under one key, then under another.
func (s *server) tryCache(ctx context.Context, text []eft.Token) error {
	for _, field := range []string{"extra_key", "cache_salt"} {
		s.caps.Isolation = field
		one, two := rand.Text(), rand.Text()
		var cached [3]int
		for i, key := range []string{one, one, two} {
			request := s.request(text, key)
			request.TopLogprobs = 1
			var out answer
			err := s.client.Post(ctx, generate, request, &out)
			if refused(err) {
				s.caps.Isolation = ""
				break
			}
			if err != nil {
				return err
			}
			if out.Meta.CachedTokens == nil {
				s.caps.Isolation = ""
				s.note("the server does not tell what it had cached: whether it keeps prefixes, and apart for each client, is not known")
				return nil
			}
			cached[i] = *out.Meta.CachedTokens
		}
		if s.caps.Isolation == "" {
			continue
		}
		s.caps.PrefixCache = "no"
		if cached[1] > 0 {
			s.caps.PrefixCache = "yes"
		}
		if cached[2] == 0 {
			break
		}
		s.caps.Isolation = ""
	}
	if s.caps.Isolation == "" {
		s.note("the server does not keep the prefixes of clients apart: by timing, one could learn what another has asked")
	}
	if s.caps.PrefixCache == "no" {
		s.caps.Isolation = ""
		s.note("the server was asked the same text twice and had none of it cached")
	}
	return nil
}

func (s *server) probeLength() int {
	if s.caps.Context > 0 {
		return max(3, min(probeTokens, s.caps.Context/2))
	}
	return probeTokens
}

// probe is a text of n tokens that the vocabulary has.
func (s *server) probe(n int) []eft.Token {
	var has []eft.Token
	for id := eft.Token(0); int(id) < s.vocabulary.Size() && len(has) < n; id++ {
		if len(s.vocabulary.Piece(id)) > 0 {
			has = append(has, id)
		}
	}
	text := make([]eft.Token, n)
	for i := range text {
		if len(has) > 0 {
			text[i] = has[i%len(has)]
		}
	}
	return text
}

func (s *server) note(format string, args ...any) {
	s.caps.Notes = append(s.caps.Notes, fmt.Sprintf(format, args...))
}
