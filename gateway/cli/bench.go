package cli

// benchmark is the command that measures, and what it measures against.
type benchmark struct {
	Measure benchMeasure `cmd:"" name:"run" default:"withargs" help:"Measure how fast proxied decoding is, against the plain base."`
	Plot    benchPlot    `cmd:"" help:"Draw a report of graft bench --json as SVG files."`
	Base    benchBase    `cmd:"" help:"Serve the embedded base as if it were a large one, for others to measure against."`
}
