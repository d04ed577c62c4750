package cli

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graft-gateway/graft/models/onnx"
)

// collectModels tells what loaded models have run. Those of one name that are run in
// several ways are told together: a sample told twice fails the whole scrape.
func (w *wiring) collectModels(tell tell) {
	const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
	sums := map[string]onnx.Tally{}
	for _, m := range w.order {
		sums[m.Name()] = plus(sums[m.Name()], m.Tally())
	}
	for name, t := range sums {
		for i, runs := range t.Batches {
			texts := "more"
			if bounds := onnx.BatchBounds(); i < len(bounds) {
				texts = fmt.Sprint(bounds[i])
			}
			tell(count, "graft_model_batches_total", "Runs of single steps, by the most texts that such a run has.", float64(runs), "model", name, "texts", texts)
		}
		for kind, runs := range map[string]int64{"steps": t.StepRuns, "prompt": t.PromptRuns} {
			tell(count, "graft_model_runs_total", "Runs of the model's graph: of single steps, and of prompts and paths.", float64(runs), "model", name, "kind", kind)
		}
		for kind, tokens := range map[string]int64{"steps": t.Steps, "prompt": t.PromptTokens} {
			tell(count, "graft_model_tokens_total", "Tokens that the model has read, by the kind of run.", float64(tokens), "model", name, "kind", kind)
		}
		tell(gauge, "graft_model_waiting", "What waits for the model's graph, or runs.", float64(t.Waiting), "model", name)
	}
	crossed := w.env.Traffic()
	for direction, bytes := range map[string]int64{"to_device": crossed.ToDevice, "to_host": crossed.ToHost} {
		tell(count, "graft_device_bytes_total", "Bytes that crossed between the host and GPUs.", float64(bytes), "direction", direction)
	}
	tell(count, "graft_device_cache_bytes_total", "Of the bytes that crossed, those of keys and values.", float64(crossed.Cache))
}

// plus adds up what two models have run.
func plus(a, b onnx.Tally) onnx.Tally {
	if a.Batches == nil {
		return b
	}
	a.StepRuns, a.Steps, a.PaddedRows = a.StepRuns+b.StepRuns, a.Steps+b.Steps, a.PaddedRows+b.PaddedRows
	a.PromptRuns, a.PromptTokens, a.Waiting = a.PromptRuns+b.PromptRuns, a.PromptTokens+b.PromptTokens, a.Waiting+b.Waiting
	for i, n := range b.Batches {
		a.Batches[i] += n
	}
	return a
}
