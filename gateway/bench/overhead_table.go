package bench

import "github.com/jedib0t/go-pretty/v6/table"

// overheads prints what each way through the gateway costs.
func (t *tables) overheads(all []OverheadReport) {
	for _, o := range all {
		t.print("gateway overhead, %s, before a base that answers at once\n", o.Way)
		rows := []table.Row{}
		for _, c := range o.Cells {
			rows = append(rows, table.Row{
				c.Concurrency, c.Tokens, number(c.DirectRequests), number(c.RequestsPerSecond), number(c.TokensPerSecond), number(1e6 * c.AddedPerRequest), number(1e6 * c.CPUPerRequest),
				milliseconds(c.DirectP50), milliseconds(c.P50), milliseconds(c.DirectP99), milliseconds(c.P99),
			})
		}
		t.table(0, table.Row{"clients", "tokens", "direct/s", "requests/s", "tokens/s", "added µs", "CPU µs", "direct p50 ms", "p50 ms", "direct p99 ms", "p99 ms"}, rows)
		for _, s := range o.Slope {
			t.print("%3d clients: %s µs a request and %s µs a token, R² %.3f; CPU of the gateway %s and %s µs, R² %.3f\n", s.Concurrency,
				number(1e6*s.PerRequest), number(1e6*s.PerToken), s.Fit, number(1e6*s.CPURequest), number(1e6*s.CPUToken), s.CPUFit)
		}
		l := o.Open
		if l.Tokens == 0 {
			t.print("\n")
			continue
		}
		t.print("open loop, %d streams, %s tokens a second of %s: late by %s ms in the median and %s ms in p99, directly %s and %s; added %s and %s (%s in the median window), to the first token %s and %s, to the last %s and %s; CPU of the gateway %s µs a token\n\n",
			l.Streams, number(l.TokensPerSecond), number(l.Capacity), milliseconds(l.P50), milliseconds(l.P99), milliseconds(l.DirectP50), milliseconds(l.DirectP99),
			milliseconds(l.AddedP50), milliseconds(l.AddedP99), milliseconds(l.AddedP99Usual), milliseconds(l.AddedFirstP50), milliseconds(l.AddedFirstP99), milliseconds(l.AddedLastP50), milliseconds(l.AddedLastP99), number(1e6*l.CPUPerToken))
	}
}
