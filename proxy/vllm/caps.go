package vllm

import (
	"fmt"
	"strconv"

	"github.com/graft-gateway/graft/proxy"
)

const (
	capFlag      = "--max-logprobs"
	capFlagGraft = "logprobs.completions" // of a route in the other's configuration
)

// choose settles the kind of rows by what is wanted and what there is.
func (p *probe) choose(want int) error {
	k := want
	switch {
	case want == wholeVocabulary && p.vocabulary == 0:
		return fmt.Errorf("top_logprobs: -1 wants the whole vocabulary, whose size this server does not tell: set a number, at most %d, or use a newer vLLM", p.limit)
	case want == wholeVocabulary:
		k = p.vocabulary
	case want == 0 && p.limit == wholeVocabulary:
		k = proxy.DefaultTopLogprobs
	case want == 0:
		k = min(proxy.DefaultTopLogprobs, p.limit)
	}
	if p.limit != wholeVocabulary && k > p.limit && (p.vocabulary == 0 || p.limit < p.vocabulary) {
		return p.tooFew(want, k)
	}
	if k < 1 {
		return fmt.Errorf("the server gives no log-probs: start it with %s %d", p.flag(), proxy.DefaultTopLogprobs)
	}
	p.shape = shape{k: k, ask: k, vocabulary: p.vocabulary, sparse: p.graft}
	if p.vocabulary > 0 && k >= p.vocabulary {
		p.shape.k, p.shape.dense, p.shape.ask = p.vocabulary, true, p.vocabulary
		if p.limit == wholeVocabulary {
			p.shape.ask = wholeVocabulary
		}
	}
	return nil
}

// tooFew says how to get k.
func (p *probe) tooFew(want, k int) error {
	asked := strconv.Itoa(want)
	if want == wholeVocabulary {
		asked = "-1 (the whole vocabulary of " + strconv.Itoa(k) + ")"
	}
	if p.graft {
		return fmt.Errorf("top_logprobs: %s is more than the %d that the server gives: set %s of its route to %d, or lower top_logprobs", asked, p.limit, capFlagGraft, k)
	}
	return fmt.Errorf("top_logprobs: %s is more than the %d that the server gives: start vLLM with %s %d, or lower top_logprobs", asked, p.limit, capFlag, want)
}

func (p *probe) flag() string {
	if p.graft {
		return capFlagGraft
	}
	return capFlag
}

// caps is what was found.
func (p *probe) caps() proxy.Caps {
	caps := proxy.Caps{
		Dialect: "vllm", Model: p.model.ID, Identity: p.model.identity(),
		Context: p.model.Context, VocabSize: p.vocabulary,
		TopLogprobs: p.shape.k, TopLogprobsCap: p.limit, CapFlag: p.flag(), Dense: p.shape.dense,
		Names: p.names, Tokens: proxy.TokenIDs, Batch: true, Scoring: proxy.ScoringList, Stream: true,
		PrefixCache: p.prefixCache,
	}
	if p.salted {
		caps.Isolation = "cache_salt"
	} else {
		caps.Notes = append(caps.Notes, "the server knows no cache_salt: tenants share its prefix cache and could tell by the time what others asked; use vLLM 0.9 or newer")
	}
	if p.names == 0 && !p.shape.dense {
		caps.Notes = append(caps.Notes, p.withoutNames())
	}
	if p.prefixCache == "no" {
		caps.Notes = append(caps.Notes, "the server caches no prefixes: every position is computed from the start; start vLLM with --enable-prefix-caching")
	}
	return caps
}

// withoutNames says why names are not used. What it says of model runners is how vLLM 0.32
// chooses (VllmConfig.use_v2_model_runner) and what their samplers do.
func (p *probe) withoutNames() string {
	const without = "; what tuning wants and the base does not list is estimated"
	switch p.hazard {
	case spoiling:
		return "log-probs by id (logprob_token_ids) are not used, because they spoil the log-probs of every request that this server computes beside them, other clients' too, as vLLM 0.32's V1 model runner does and its V2 model runner does not: use vLLM 0.32 or newer with Triton installed (builds for processors: one with a backend for them) and without VLLM_USE_V2_MODEL_RUNNER=0; its log names what else makes it use V1" + without
	case unproven:
		return "log-probs by id (logprob_token_ids) are not used, because it could not be proven that they leave the rows of other requests alone: no stream of the server was still under way when they were answered; let no proxy hold its streams back, and try again when it is less busy" + without
	}
	return "the server gives no log-probs by id (logprob_token_ids): use a newer vLLM" + without
}
