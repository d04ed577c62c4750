package cli

import (
	"errors"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/doctor"
	"github.com/graft-gateway/graft/models"
	"github.com/graft-gateway/graft/models/chattemplate"
	"github.com/graft-gateway/graft/models/onnx"
)

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
	out.EndTokens, out.Serves, out.Remarks = tokens(d, d.Ends), append([]string{}, out.Serves...), d.Notes
	if f := d.Facts; d.Rows > 0 {
		out.Notes = f.Notes
		out.Layers, out.Parameters, out.DType, out.KVStrategy = f.Layers, f.Parameters, f.Weights, string(f.Strategy)
		out.CacheDType, out.LogitsDType = f.KV.String(), f.Logits.String()
		out.Memory.Weights, out.Memory.CachePerStep = f.WeightBytes, f.CacheBytes
		out.Memory.CachePerText = f.CacheBytes * int64(d.Context)
		if f.Strategy == onnx.Grow && !f.Together { // which keeps two of each, to make one from the other
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
