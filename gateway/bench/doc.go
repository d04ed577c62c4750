// Package bench measures how fast proxied decoding is, as a client of the servers
// that do it. It owns what `graft bench` tells: the [Report], the sections that fill
// it, the table for people and the plots.
//
//	report := bench.NewReport(quick)
//	err := bench.Measure(ctx, report, sections, progress)
//	bench.WriteTable(os.Stdout, report)          // or as JSON, whose names are stable
//	bench.WritePlots("docs", report)
//
// What is measured is brought by the caller: servers to ask ([Target]), and functions
// that start them. A section writes what it found into the report:
//
//	| section     | what it measures                                                    |
//	|-------------|---------------------------------------------------------------------|
//	| in-process  | tokens a second, proxied ÷ plain, over a base in this process       |
//	| server      | the same over a base behind a real server                           |
//	| simulated   | the same over a simulated large base                                |
//	| first-token | time to the first token: cold, from memory, from Redis              |
//	| models      | tokens a second of a small model by batch, against memory bandwidth |
//	| overhead    | what the gateway adds to a request and to a token                   |
//
// A ratio is of equal work: the gateway and the base's own server are asked the same
// questions for the same number of tokens, in turns, so that noise hits both alike.
package bench
