package simulated

import "encoding/json"

// Stats are counted since the start.
type Stats struct {
	Passes         int64
	Sequences      int64 // summed over the passes they were in
	TokensComputed int64
	TokensReused   int64 // of prompts, by the cache
	TokensChosen   int64
	// BusySeconds is what all passes took by the law, overruns included; ComputeSeconds
	// went into the true rows meanwhile. LateSeconds is how much later than the passes'
	// ends the machine noticed them: clients hear so much later of each.
	BusySeconds, ComputeSeconds, LateSeconds float64
	// Overruns counts the passes that true rows made longer, OverrunSeconds by how much.
	Overruns       int64
	OverrunSeconds float64
}

// MarshalJSON adds the means.
func (s Stats) MarshalJSON() ([]byte, error) {
	per := func(n int64) float64 { return float64(n) / float64(max(1, s.Passes)) }
	return json.Marshal(map[string]any{
		"passes": s.Passes, "sequences": s.Sequences, "mean_batch": per(s.Sequences),
		"tokens_computed": s.TokensComputed, "mean_tokens": per(s.TokensComputed),
		"tokens_reused": s.TokensReused, "tokens_chosen": s.TokensChosen,
		"busy_seconds": s.BusySeconds, "compute_seconds": s.ComputeSeconds, "late_seconds": s.LateSeconds,
		"overruns": s.Overruns, "overrun_seconds": s.OverrunSeconds,
	})
}
