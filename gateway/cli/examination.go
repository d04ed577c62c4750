// What doctor examines, gathered for gateway/doctor to judge. Invariants:
//
//   - one model is loaded at a time, and closed before the next: examining a
//     configuration takes no more memory than its largest model;
//   - what was read of each stays, for routes are checked when all are closed.

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/doctor"
	"github.com/graft-gateway/graft/models"
	"github.com/graft-gateway/graft/models/onnx"
)

// examination gathers a report.
type examination struct {
	env      *onnx.Environment // nil if there is none
	dir      string            // of the configuration file
	probe    time.Duration
	progress io.Writer
	log      *slog.Logger
	free     func() int64 // bytes of memory that can be had; 0: not known
	report   doctor.Report
	known    map[loadKey]*examined
}

// examined is a model that was read, and closed again.
type examined struct {
	name        string // in the report
	description models.Description
	model       *models.Model // nil if it could not be loaded
}

// models examines all models.
func (e *examination) models(ctx context.Context, u uses) error {
	e.known = map[loadKey]*examined{}
	folders := map[string]int{}
	for _, one := range u.list {
		folders[one.key.folder]++
	}
	for i, one := range u.list {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := one.key.folder
		if folders[name] > 1 {
			name += one.key.run.suffix()
		}
		fmt.Fprintf(e.progress, "\r\x1b[Kexamining %s (%d of %d)", name, i+1, len(u.list))
		m, err := e.model(ctx, one, name)
		if err != nil {
			return err
		}
		e.report.Models = append(e.report.Models, m)
	}
	return nil
}

// model loads one model, or finds out why it cannot be loaded.
func (e *examination) model(ctx context.Context, u *use, name string) (doctor.Model, error) {
	out := doctor.Model{Name: name, Folder: u.key.folder, Serves: u.serves, Speaks: u.speaks, Chatted: u.chatted}
	known := &examined{name: name, description: models.Description{Name: name}}
	e.known[u.key] = known
	wiring := newWiring(e.env, e.dir, e.log)
	files, err := wiring.folder(u.key.folder)
	if err != nil {
		out.Faults = []doctor.Fault{{Part: "folder", Cause: doctor.Missing, File: u.key.folder, Problem: err.Error()}}
		describe(&out, &known.description)
		return out, nil
	}
	out.Folder = files.String()
	if e.env == nil {
		known.description = models.Inspect(nil, files, u.key.run.options())
		out.Faults = faults(known.description.Faults)
		if !slices.ContainsFunc(out.Faults, func(f doctor.Fault) bool { return f.Part == string(models.PartGraph) }) {
			out.Faults = append(out.Faults, doctor.Fault{Part: string(models.PartGraph), Cause: doctor.Unloaded, Problem: "it was not opened, for there is no ONNX Runtime"})
		}
	} else if err := e.load(ctx, u, wiring, files, known, &out); err != nil {
		return out, err
	}
	describe(&out, &known.description)
	trials, marks, err := known.description.Try(ctx)
	if err != nil {
		return out, err
	}
	template(&out, trials, marks)
	return out, nil
}

// load loads a model, measures it and closes it. The error is ctx's or that of
// closing; everything else is a fault.
func (e *examination) load(ctx context.Context, u *use, wiring *wiring, files models.Folder, known *examined, out *doctor.Model) (err error) {
	debug.FreeOSMemory() // what the model before it left
	if needs, free := files.GraphBytes(u.key.run.options()), e.free(); free > 0 && needs > free && !e.onGPU(u.key.run) {
		// Loading it would end this process, and the report with it.
		known.description = models.Inspect(nil, files, u.key.run.options())
		out.Memory.Weights = needs
		out.Faults = append(faults(known.description.Faults), doctor.Fault{Part: string(models.PartGraph), Cause: doctor.TooLarge, File: known.description.Graph,
			Problem: fmt.Sprintf("it takes at least %s of memory and %s is free: it was not loaded", humanize.IBytes(uint64(needs)), humanize.IBytes(uint64(free)))})
		return nil
	}
	before, began := doctor.Resident(), time.Now()
	m, err := wiring.model(u.key.folder, u.key.run)
	if err != nil {
		known.description = models.Inspect(e.env, files, u.key.run.options())
		out.Faults = faults(known.description.Faults)
		if len(out.Faults) == 0 { // it cannot be loaded, and a moment later it can
			out.Faults = []doctor.Fault{{Part: "graph", Cause: doctor.Damaged, Problem: err.Error()}}
		}
		return nil
	}
	defer func() { err = errors.Join(err, wiring.close()) }()
	out.Loaded, out.LoadSeconds = true, time.Since(began).Seconds()
	known.model, known.description = m, m.Describe()
	if e.probe > 0 {
		probe, err := doctor.Run(ctx, subject{m}, doctor.Measure{Sample: sample(m), Context: m.Context(), Budget: e.probe})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			out.Faults = append(out.Faults, doctor.Fault{Part: "run", Cause: doctor.Refused, File: known.description.Graph, Problem: fmt.Sprintf("model %s: %v", m.Name(), err)})
		} else {
			out.Probe = &probe
		}
	}
	out.Memory.Growth = max(0, doctor.Resident()-before)
	return nil
}

// onGPU says whether a model may go to a GPU's memory.
func (e *examination) onGPU(run Runtime) bool {
	return run.Provider != onnx.CPU && e.report.Runtime.CUDA()
}

// sample are tokens for a model to read.
func sample(m *models.Model) []eft.Token {
	ids := m.Tokenizer().Encode("The river rises in the hills, and the town on its bank has an old mill. ", false)
	if len(ids) == 0 {
		return []eft.Token{0}
	}
	return ids
}

// subject is a model as the probe wants it.
type subject struct{ model *models.Model }

func (s subject) Open(prompt []eft.Token) doctor.Text { return s.model.Open(prompt) }

func (s subject) Epsilon(ctx context.Context, tokens []eft.Token) (float64, error) {
	differences, err := s.model.Epsilon(ctx, tokens)
	worst := 0.0
	for _, d := range differences {
		worst = max(worst, d.LogProb)
	}
	return worst, err
}

// compare tells how the vocabularies of folders differ from the first one's.
func (e *examination) compare() {
	var list []*models.Description
	for i := range e.report.Models {
		for _, known := range e.known {
			if known.name == e.report.Models[i].Name {
				list = append(list, &known.description)
			}
		}
	}
	first := slices.IndexFunc(list, func(d *models.Description) bool { return d.Tokenizer() != nil })
	for i := first + 1; first >= 0 && i < len(list); i++ {
		if list[i].Tokenizer() == nil {
			continue
		}
		if err := list[first].Shares(list[i]); err != nil {
			e.report.Models[i].Others = append(e.report.Models[i].Others, err.Error())
		}
	}
}
