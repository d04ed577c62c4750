package cli

import "errors"

// bench is the command that measures, and what it measures against.
type bench struct {
	Measure benchMeasure `cmd:"" name:"run" default:"withargs" help:"Measure how fast proxied decoding is, against the plain base."`
	Base    benchBase    `cmd:"" help:"Serve the embedded base as if it were a large one, for others to measure against."`
}

// benchMeasure is the command that measures.
type benchMeasure struct{}

// Run is the measurement.
func (*benchMeasure) Run() error { return errors.New("measuring is not built yet; bench base is") }
