package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graft-gateway/graft/eft/decode"
)

// metrics are the gateway's own. Durations have the names that OpenTelemetry gives
// to servers of generative models.
type metrics struct {
	requests     *prometheus.CounterVec
	tokens       *prometheus.CounterVec
	changed      *prometheus.CounterVec
	rejected     *prometheus.CounterVec
	queued       prometheus.Gauge
	waited       prometheus.Histogram
	duration     *prometheus.HistogramVec
	firstToken   *prometheus.HistogramVec
	perToken     *prometheus.HistogramVec
	divergence   *prometheus.CounterVec
	baseCalls    *prometheus.CounterVec
	baseFailures *prometheus.CounterVec
	draftedWalks *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, first float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(first, 2, 16)}, labels)
		registry.MustRegister(h)
		return h
	}
	m := &metrics{
		requests:     counter("graft_requests_total", "Requests by route, endpoint and status; 499 is a client that left.", "route", "endpoint", "status"),
		tokens:       counter("graft_tokens_total", "Tokens by route and kind (prompt, completion).", "route", "kind"),
		changed:      counter("graft_changed_tokens_total", "Positions whose best token is not the base's. Above a fifth of the completion tokens a pair is likely to fail.", "route"),
		divergence:   counter("graft_kl_nats_total", "KL divergence of the mixed distribution from the base's, summed over positions.", "route"),
		baseCalls:    counter("graft_base_calls_total", "Rounds of the decode loop.", "route"),
		baseFailures: counter("graft_base_failures_total", "Requests that a base's server failed, by route and the status that the client got.", "route", "status"),
		draftedWalks: counter("graft_drafted_tokens_total", "Tokens of drafts that were walked to, by what became of them (agreed, refused).", "route", "fate"),
		rejected:     counter("graft_queue_rejected_total", "Requests answered 429, because the queue was full or the wait too long.", "why"),
		queued:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "graft_queue_waiting", Help: "Requests that wait for a place."}),
		waited:       prometheus.NewHistogram(prometheus.HistogramOpts{Name: "graft_queue_wait_seconds", Help: "How long admitted requests waited.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
		duration:     histogram("gen_ai_server_request_duration_seconds", "From a request's arrival to the end of its answer.", 0.002, "route"),
		firstToken:   histogram("gen_ai_server_time_to_first_token_seconds", "From a request's arrival to a choice's first token.", 0.001, "route"),
		perToken:     histogram("gen_ai_server_time_per_output_token_seconds", "Mean time of a choice's tokens behind the first.", 0.0001, "route"),
	}
	registry.MustRegister(m.queued, m.waited)
	return m
}

// text counts one choice.
func (m *metrics) text(p *plan, c *choice, r decode.Report, arrived time.Time) {
	route := p.route.Name
	if c.index%p.n == 0 {
		m.tokens.WithLabelValues(route, "prompt").Add(float64(len(p.prompts[c.index/p.n].base)))
	}
	m.tokens.WithLabelValues(route, "completion").Add(float64(r.Tokens))
	m.changed.WithLabelValues(route).Add(float64(r.Changed))
	m.divergence.WithLabelValues(route).Add(r.KL)
	m.baseCalls.WithLabelValues(route).Add(float64(r.BaseCalls))
	m.draftedWalks.WithLabelValues(route, "agreed").Add(float64(r.Agreed))
	m.draftedWalks.WithLabelValues(route, "refused").Add(float64(r.Drafted - r.Agreed))
	if r.Tokens > 0 {
		m.firstToken.WithLabelValues(route).Observe(c.first.Sub(arrived).Seconds())
	}
	if r.Tokens > 1 {
		m.perToken.WithLabelValues(route).Observe(c.last.Sub(c.first).Seconds() / float64(r.Tokens-1))
	}
}
