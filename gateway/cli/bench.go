package cli

// benchmark is the command that measures, and what it measures against.
type benchmark struct {
	Measure benchMeasure `cmd:"" name:"run" default:"withargs" help:"Measure how fast proxied decoding is, against the plain base."`
	Plot    benchPlot    `cmd:"" help:"Draw a report of graft bench --json as SVG files."`
	Base    benchBase    `cmd:"" help:"Serve the embedded base as if it were a large one, for others to measure against."`
}

// Help is what `graft bench --help` says below its first line.
func (*benchmark) Help() string {
	return `Without a command it measures, as "graft bench run" does, whose --help shows all flags:

  graft bench --quick                  what matters most, within 45 seconds
  graft bench --out results.json       everything, in some 10 minutes
  graft bench plot results.json        pictures of it
  graft bench --only simulated,models  some sections alone`
}
