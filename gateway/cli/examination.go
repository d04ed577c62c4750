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
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/doctor"
	"github.com/graft-gateway/graft/models"
	"github.com/graft-gateway/graft/models/chattemplate"
	"github.com/graft-gateway/graft/models/onnx"
)

// examination gathers a report.
type examination struct {
	env      *onnx.Environment // nil if there is none
	dir      string            // of the configuration file
	probe    time.Duration
	progress io.Writer
	report   doctor.Report
	known    map[loadKey]*examined
}

// examined is a model that was read, and closed again.
type examined struct {
	name        string // in the report
	description models.Description
	model       *models.Model // nil if it could not be loaded
}

// use is a model that is examined, and what it is for.
type use struct {
	key     loadKey
	serves  []string
	speaks  bool // its end tokens count on a route
	chatted bool // its template does
}

// uses lists models once each, in the order in which they were added.
type uses struct {
	list []*use
	by   map[loadKey]*use
}

func (u *uses) add(folder string, run Runtime, serves string) *use {
	key := loadKey{folder, run}
	if u.by == nil {
		u.by = map[loadKey]*use{}
	}
	if u.by[key] == nil {
		u.by[key] = &use{key: key}
		u.list = append(u.list, u.by[key])
	}
	one := u.by[key]
	if serves != "" && !slices.Contains(one.serves, serves) {
		one.serves = append(one.serves, serves)
	}
	return one
}

func folderUses(folders []string, run Runtime) uses {
	var u uses
	for _, folder := range folders {
		u.add(folder, run, "")
	}
	return u
}

// configUses lists what the routes are made of; without routes, all that there is.
func configUses(c Config) uses {
	var u uses
	for _, name := range c.Routes.names {
		route := c.Routes.values[name]
		var speaker *use
		if base, ok := c.Bases.values[route.Base]; ok {
			speaker = u.add(base.Folder, base.Runtime, name+": base")
		}
		for i, expert := range route.Experts.names {
			pair, ok := c.Experts.values[expert]
			if !ok {
				continue
			}
			tuned := u.add(pair.Tuned, pair.Runtime, name+": "+expert+" tuned")
			u.add(pair.Untuned, pair.Runtime, name+": "+expert+" untuned")
			if i == 0 {
				speaker = tuned
			}
		}
		if speaker != nil {
			speaker.speaks = true
			speaker.chatted = speaker.chatted || slices.ContainsFunc(roles(route), func(r rolePrompt) bool { return r.how == "chat" })
		}
	}
	if len(c.Routes.names) == 0 {
		for _, name := range c.Bases.names {
			u.add(c.Bases.values[name].Folder, c.Bases.values[name].Runtime, "")
		}
		for _, name := range c.Experts.names {
			pair := c.Experts.values[name]
			u.add(pair.Tuned, pair.Runtime, "")
			u.add(pair.Untuned, pair.Runtime, "")
		}
	}
	return u
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

// suffix tells ways to run one folder apart.
func (r Runtime) suffix() string {
	var parts []string
	add := func(set bool, format string, value any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	add(r.Graph != "", "%v", r.Graph)
	add(r.Provider != "", "%v", r.Provider)
	add(r.Device != 0, "device %v", r.Device)
	add(r.Threads != 0, "threads %v", r.Threads)
	add(r.Context != 0, "context %v", r.Context)
	add(r.Exact, "exact", nil)
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// model loads one model, or finds out why it cannot be loaded.
func (e *examination) model(ctx context.Context, u *use, name string) (doctor.Model, error) {
	out := doctor.Model{Name: name, Folder: u.key.folder, Serves: u.serves, Speaks: u.speaks, Chatted: u.chatted}
	known := &examined{name: name, description: models.Description{Name: name}}
	e.known[u.key] = known
	wiring := newWiring(e.env, e.dir)
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

// faults are a description's as the report has them.
func faults(list []models.Fault) []doctor.Fault {
	var out []doctor.Fault
	for _, f := range list {
		out = append(out, doctor.Fault{Part: string(f.Part), Cause: doctor.Cause(f.Cause), File: f.File, Problem: f.Err.Error()})
	}
	return out
}

// describe puts a description into the report's model.
func describe(out *doctor.Model, d *models.Description) {
	out.Graph, out.Architecture, out.ModelType, out.Context = d.Graph, d.Architecture, d.ModelType, d.Context
	out.Provider, out.ProviderNote = string(d.Provider), d.ProviderNote
	out.EndTokens, out.Serves = tokens(d, d.Ends), append([]string{}, out.Serves...)
	for _, id := range d.Strays {
		out.Strays = append(out.Strays, int(id))
	}
	if f := d.Facts; d.Rows > 0 {
		out.Layers, out.Parameters, out.DType, out.KVStrategy = f.Layers, f.Parameters, f.Weights, string(f.Strategy)
		out.CacheDType, out.LogitsDType = f.KV.String(), f.Logits.String()
		out.Memory.Weights, out.Memory.CachePerStep = f.WeightBytes, f.CacheBytes
		out.Memory.CachePerText = f.CacheBytes * int64(d.Context)
		if f.Strategy == onnx.Grow { // which keeps two of each, to make one from the other
			out.Memory.CachePerText *= 2
		}
	}
	if t := d.Tokenizer(); t != nil {
		v := t.Vocabulary()
		out.Vocabulary = &doctor.Vocabulary{Size: v.Size(), Rows: d.Rows, Padding: max(0, d.Rows-v.Size()), Fingerprint: v.Fingerprint()}
	}
	out.ChatTemplate = doctor.Template{Source: d.Template, Trials: []doctor.Trial{}}
}

// template puts what a template did into the report's model. One that was found and
// not tried cannot be parsed.
func template(out *doctor.Model, trials []models.Trial, marks []string) {
	out.ChatTemplate.Unknown, out.ChatTemplate.Status = marks, doctor.TemplateOK
	switch {
	case out.ChatTemplate.Source == "":
		out.ChatTemplate.Status = doctor.TemplateNone
	case len(trials) == 0:
		out.ChatTemplate.Status = doctor.TemplateBroken
	}
	for _, t := range trials {
		trial := doctor.Trial{Conversation: t.Name, Tokens: t.Tokens, Ignored: t.Ignored}
		if t.Err != nil {
			trial.Refusal = t.Err.Error()
			var raised *chattemplate.RaisedError
			if errors.As(t.Err, &raised) {
				trial.Refusal = raised.Message
			}
			if t.Name == doctor.TrialUser {
				out.ChatTemplate.Status = doctor.TemplateRefused
			}
		}
		out.ChatTemplate.Trials = append(out.ChatTemplate.Trials, trial)
	}
}

// tokens tells ids with what they stand for.
func tokens(d *models.Description, ids []eft.Token) []doctor.Token {
	out := []doctor.Token{}
	for _, id := range ids {
		piece := ""
		if t := d.Tokenizer(); t != nil {
			piece = string(t.Vocabulary().Piece(id))
		}
		out = append(out, doctor.Token{ID: int(id), Piece: piece})
	}
	return out
}
