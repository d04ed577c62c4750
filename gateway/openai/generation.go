package openai

import (
	"math"
	"slices"
	"strconv"

	"github.com/graft-gateway/graft/eft"
)

// The limits that hold on every route.
const (
	MaxN         = 16
	MaxStops     = 4
	MaxStopBytes = 256
	MaxSaltBytes = 1024
	maxInt       = math.MaxInt32 // of every count a client may give
)

// Generation is what chat and text completions share. Absent values have
// OpenAI's defaults; only where the default is not a value are they Optional.
type Generation struct {
	Model        string // as the client wrote it, with the @strength it may end in
	Stream       bool
	IncludeUsage bool // stream_options.include_usage
	N            int  // 1 … MaxN

	// MaxTokens absent means to the end token or the end of the context. On chat
	// it is at least 1; on completions 0 asks for an empty answer.
	MaxTokens Optional[int]
	MinTokens int // end tokens and stops are held back for so many tokens
	IgnoreEOS bool
	Stop      []string // at most MaxStops, each of 1 … MaxStopBytes bytes

	Temperature      float64 // 0 … 2
	TopP             float64 // (0, 1]; 1 is off
	TopK             int     // 0 is off
	MinP             float64 // 0 … 1; 0 is off
	PresencePenalty  float64 // −2 … 2
	FrequencyPenalty float64 // −2 … 2
	Seed             Optional[int64]
	LogitBias        map[eft.Token]float64 // −100 … 100; CheckVocabulary holds it to a vocabulary

	// ReturnTokensAsTokenIDs asks for "token_id:7" in place of a token's text in
	// log-probs, as [TokenName] writes it.
	ReturnTokensAsTokenIDs bool
	KeepSpecialTokens      bool   // shows them in the text; "skip_special_tokens" is false
	CacheSalt              string // 1 … MaxSaltBytes bytes; parts what a tenant's requests share in caches

	Tuning Tuning // of the body alone; ResolveTuning adds headers and model name
}

// generation is a Generation while it is read, with what its rules between
// keys need.
type generation struct {
	Generation
	maxTokens     Optional[int]
	bestOf        Optional[int]
	streamOptions bool
}

func newGeneration() generation {
	return generation{Generation: Generation{N: 1, Temperature: 1, TopP: 1}}
}

// read reads the value of one key. leastTokens is the least that max_tokens may be.
func (g *generation) read(r *reader, key string, leastTokens int64) error {
	switch key {
	case "model":
		return stringField(r, &g.Model)
	case "stream":
		return boolField(r, &g.Stream)
	case "stream_options":
		return optional(r, func() error { return g.readStreamOptions(r) })
	case "n":
		return intField(r, &g.N, 1, MaxN)
	case "best_of":
		return given(r, &g.bestOf, func() (int, error) { return count(r, 1) })
	case "max_tokens":
		return given(r, &g.maxTokens, func() (int, error) { return count(r, leastTokens) })
	case "min_tokens":
		return intField(r, &g.MinTokens, 0, maxInt)
	case "ignore_eos":
		return boolField(r, &g.IgnoreEOS)
	case "stop":
		return optional(r, func() error { return g.readStop(r) })
	case "temperature":
		return numberField(r, &g.Temperature, Bounds{Min: 0, Max: 2})
	case "top_p":
		return numberField(r, &g.TopP, Bounds{Min: 0, Max: 1, Open: true})
	case "top_k":
		return optional(r, func() error { return g.readTopK(r) })
	case "min_p":
		return numberField(r, &g.MinP, Bounds{Min: 0, Max: 1})
	case "presence_penalty":
		return numberField(r, &g.PresencePenalty, Bounds{Min: -2, Max: 2})
	case "frequency_penalty":
		return numberField(r, &g.FrequencyPenalty, Bounds{Min: -2, Max: 2})
	case "seed":
		return given(r, &g.Seed, func() (int64, error) { return r.integer(math.MinInt64, math.MaxInt64) })
	case "logit_bias":
		return optional(r, func() error { return g.readLogitBias(r) })
	case "return_tokens_as_token_ids":
		return boolField(r, &g.ReturnTokensAsTokenIDs)
	case "skip_special_tokens":
		return optional(r, func() error {
			skip, err := r.boolean()
			g.KeepSpecialTokens = !skip
			return err
		})
	case "cache_salt":
		return optional(r, func() error { return g.readSalt(r) })
	case "tuning":
		return optional(r, func() error { return g.Tuning.read(r) })
	}
	return leftover(r, key)
}

// finish applies the rules between keys.
func (g *generation) finish() error {
	if g.Model == "" {
		return BadRequest("model", CodeMissing, "model is missing; GET /v1/models lists those that can be asked for")
	}
	if g.streamOptions && !g.Stream {
		return BadRequest("stream_options", CodeInvalidValue, "stream_options is only allowed when stream is true")
	}
	if g.bestOf.Set && g.bestOf.Value != g.N {
		return BadRequest("best_of", CodeUnsupported,
			"best_of is not supported: leave it out or make it n (%d), got %d", g.N, g.bestOf.Value)
	}
	if g.MaxTokens.Set && g.MinTokens > g.MaxTokens.Value {
		return BadRequest("min_tokens", CodeInvalidValue,
			"min_tokens must not be above the most tokens asked for (%d), got %d", g.MaxTokens.Value, g.MinTokens)
	}
	return nil
}

func (g *generation) readStreamOptions(r *reader) error {
	g.streamOptions = true
	return r.object(func(key string) error {
		switch key {
		case "include_usage":
			return boolField(r, &g.IncludeUsage)
		case "include_obfuscation", "continuous_usage_stats":
			return refuse(r, "false")
		}
		return unknown(r)
	})
}

// readStop reads a string or a list of strings; an empty list stops nothing.
func (g *generation) readStop(r *reader) error {
	k, err := r.kind()
	if err != nil {
		return err
	}
	switch k {
	case kindString:
		return g.addStop(r)
	case kindArray:
		return r.array(func(i int) error {
			if i == MaxStops {
				return BadRequest("stop", CodeInvalidValue, "stop has more than %d strings", MaxStops)
			}
			return g.addStop(r)
		})
	}
	return r.wrongType("a string or a list of strings", k)
}

func (g *generation) addStop(r *reader) error {
	s, err := r.text()
	if err != nil {
		return err
	}
	if s == "" || len(s) > MaxStopBytes {
		return r.fail(CodeInvalidValue, "%s must have between 1 and %d bytes, got %d", r.where(), MaxStopBytes, len(s))
	}
	g.Stop = append(g.Stop, s)
	return nil
}

func (g *generation) readSalt(r *reader) error {
	s, err := r.text()
	if err == nil && (s == "" || len(s) > MaxSaltBytes) {
		err = r.fail(CodeInvalidValue, "%s must be a non-empty string of at most %d bytes, got %d", r.where(), MaxSaltBytes, len(s))
	}
	g.CacheSalt = s
	return err
}

// readTopK takes both usual words for "off", −1 and 0.
func (g *generation) readTopK(r *reader) error {
	v, err := r.integer(-1, maxInt)
	if err == nil {
		g.TopK = max(0, int(v))
	}
	return err
}

func (g *generation) readLogitBias(r *reader) error {
	g.LogitBias = make(map[eft.Token]float64)
	return r.object(func(key string) error {
		id, err := strconv.ParseInt(key, 10, 32)
		// Another spelling of the same id would be that key twice.
		if err != nil || id < 0 || strconv.FormatInt(id, 10) != key {
			return r.fail(CodeInvalidValue, "the keys of logit_bias must be token ids in decimal, got %s", quote(key))
		}
		v, err := r.number(Bounds{Min: -100, Max: 100})
		g.LogitBias[eft.Token(id)] = v
		return err
	})
}

// CheckVocabulary is a 400 if logit_bias names an id that is not below size; it
// names the lowest of them.
func (g *Generation) CheckVocabulary(size int) error {
	var beyond []eft.Token
	for id := range g.LogitBias {
		if int(id) >= size {
			beyond = append(beyond, id)
		}
	}
	if len(beyond) == 0 {
		return nil
	}
	id := slices.Min(beyond)
	return BadRequest("logit_bias."+strconv.Itoa(int(id)), CodeInvalidValue,
		"logit_bias names token %d, but the vocabulary has ids 0 to %d", id, size-1)
}

// count reads an integer of at least lo.
func count(r *reader, lo int64) (int, error) {
	v, err := r.integer(lo, maxInt)
	return int(v), err
}
