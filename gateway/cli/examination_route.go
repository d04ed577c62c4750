package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/graft-gateway/graft/gateway/doctor"
	"github.com/graft-gateway/graft/gateway/openai"
	"github.com/graft-gateway/graft/models"
)

// rolePrompt is what a role of a route sees of a conversation.
type rolePrompt struct{ role, how string }

// roles are those that a route has.
func roles(r RouteConfig) []rolePrompt {
	all := []rolePrompt{{"base", cmp.Or(r.Prompt.Base, "chat")}}
	if len(r.Experts.names) > 0 {
		all = append(all, rolePrompt{"tuned", cmp.Or(r.Prompt.Tuned, "chat")}, rolePrompt{"untuned", cmp.Or(r.Prompt.Untuned, "chat")})
	}
	return all
}

// routes examines how the parts of each route fit together.
func (e *examination) routes(ctx context.Context, c Config) error {
	for _, name := range c.Routes.names {
		if err := ctx.Err(); err != nil {
			return err
		}
		e.report.Routes = append(e.report.Routes, e.route(ctx, c, name))
	}
	return nil
}

func (e *examination) route(ctx context.Context, c Config, name string) doctor.Route {
	config := c.Routes.values[name]
	out := doctor.Route{Name: name, Base: config.Base, Experts: []doctor.Expert{}, EndTokens: []doctor.Token{}, Prompts: []doctor.Prompt{}}
	fault := func(part string, cause doctor.Cause, err error) {
		out.Faults = append(out.Faults, doctor.Fault{Part: part, Cause: cause, Problem: err.Error()})
	}
	if err := c.checkRoute(config); err != nil {
		fault("configuration", doctor.Refused, err)
	}
	var base, speaker *examined
	if large, ok := c.Bases.values[config.Base]; ok && large.remote() {
		out.Base, out.Server = config.Base, config.Base
	} else if ok {
		base = e.known[loadKey{large.Folder, large.Runtime}]
		out.Base, speaker = base.name, base
	}
	for i, expert := range config.Experts.names {
		pair, ok := c.Experts.values[expert]
		if !ok {
			continue
		}
		tuned, untuned := e.known[loadKey{pair.Tuned, pair.Runtime}], e.known[loadKey{pair.Untuned, pair.Runtime}]
		if i == 0 {
			speaker = tuned
		}
		out.Experts = append(out.Experts, doctor.Expert{Name: expert, Tuned: tuned.name, Untuned: untuned.name, Weight: config.Experts.values[expert]})
		for _, other := range []*examined{untuned, base} {
			if err := shares(other, tuned); err != nil {
				fault("vocabulary", doctor.Differs, fmt.Errorf("expert %s: %w", expert, err))
			}
		}
	}
	if speaker != nil {
		out.Speaker = speaker.name
	}
	if speaker != nil || out.Server == "" {
		e.prompts(ctx, config, speaker, &out, fault)
	}
	return out
}

// shares fails if two models' vocabularies are known and differ.
func shares(a, b *examined) error {
	if a == nil || a.description.Tokenizer() == nil || b.description.Tokenizer() == nil {
		return nil
	}
	return a.description.Shares(&b.description)
}

// prompts renders a user's turn for every role.
func (e *examination) prompts(ctx context.Context, config RouteConfig, speaker *examined, out *doctor.Route, fault func(string, doctor.Cause, error)) {
	wiring := newWiring(e.env, e.dir, e.log)
	for _, r := range roles(config) {
		prompt := doctor.Prompt{Role: r.role, How: r.how}
		var model *models.Model
		if speaker != nil {
			model = speaker.model
		}
		prompter, err := wiring.prompter(r.how, model)
		if err != nil {
			fault("prompt."+r.role, doctor.Refused, fmt.Errorf("prompt.%s: %w", r.role, err))
		} else if model != nil {
			ids, err := prompter.Prompt(ctx, []openai.Message{{Role: "user", Content: "Which river rises in the hills?"}})
			prompt.Tokens = len(ids)
			if err != nil && !errors.Is(err, models.ErrNoTemplate) { // which the model's verdict tells
				fault("prompt."+r.role, doctor.Refused, fmt.Errorf("prompt.%s: %w", r.role, err))
			}
		}
		out.Prompts = append(out.Prompts, prompt)
	}
}
