package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/graft-gateway/graft/gateway/bench"
)

// benchPlot is the command that draws a report.
type benchPlot struct {
	Report string `arg:"" help:"What graft bench --json wrote." placeholder:"FILE"`
	Out    string `help:"Folder for the pictures; it is made where it is not there." default:"." placeholder:"DIR"`
}

// Run draws.
func (p *benchPlot) Run() error {
	text, err := os.ReadFile(p.Report)
	if err != nil {
		return fmt.Errorf("bench plot: %w", err)
	}
	var report bench.Report
	if err := json.Unmarshal(text, &report); err != nil {
		return fmt.Errorf("bench plot: %s is no report of graft bench --json: %w", p.Report, err)
	}
	if report.Date.IsZero() {
		return errors.New("bench plot: " + p.Report + " is no report of graft bench --json")
	}
	return drawReport(p.Out, &report)
}

// drawReport draws and says what it wrote.
func drawReport(dir string, report *bench.Report) error {
	names, err := bench.WritePlots(dir, report)
	for _, name := range names {
		fmt.Fprintln(os.Stderr, "wrote", filepath.Join(dir, name))
	}
	return err
}
