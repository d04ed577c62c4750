package bench

import (
	"context"
	"errors"
	"fmt"
)

// Section is a part of the measurement that can be chosen by its name.
type Section struct {
	Name  string // as --only takes it
	About string // what it measures, in a line for people
	// Measure writes what it finds into the report and tells how far it is. With an
	// error the report keeps what was found until then. It ends soon after ctx.
	Measure func(ctx context.Context, report *Report, tell Progress) error
}

// Progress shows people how a measurement goes on.
type Progress interface {
	// Plan adds to the number of steps that are to come.
	Plan(steps int)
	// Begin says what is measured from now on.
	Begin(what string)
	// Done says that one step is done.
	Done()
}

// Measure runs sections one after the other. One that fails is told in the report, and
// the next ones run all the same; the errors come back together. Only an end of ctx ends
// it early.
func Measure(ctx context.Context, report *Report, sections []Section, tell Progress) error {
	var failed []error
	for _, s := range sections {
		tell.Begin(s.About)
		err := s.Measure(ctx, report, tell)
		if ctx.Err() != nil {
			failed = append(failed, ctx.Err())
			break
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", s.Name, err)
			report.Failures = append(report.Failures, err.Error())
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
