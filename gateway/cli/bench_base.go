package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/bench/simulated"
	"github.com/graft-gateway/graft/models/chattemplate"
)

// benchBase is the command that serves the simulated large base.
type benchBase struct {
	Listen  string        `help:"Address to serve on; port 0 takes a free one." default:"127.0.0.1:8000" placeholder:"ADDR"`
	Pass    time.Duration `help:"Time that a forward pass with one token takes." default:"30ms"`
	Token   time.Duration `help:"Time that each further token of a pass adds." default:"150us"`
	Batch   int           `help:"Most tokens of one pass, as vLLM's --max-num-batched-tokens." default:"8192" placeholder:"TOKENS"`
	Library string        `help:"ONNX Runtime library, before every other place it is searched in." placeholder:"FILE" name:"onnxruntime"`
}

// Help is what `graft bench base --help` says below its first line.
func (*benchBase) Help() string {
	return `It speaks as vLLM (/v1/completions, /v1/chat/completions) and as SGLang (/generate) at one
address; a base's "dialect: vllm" or "dialect: sglang" chooses, "auto" takes vLLM. What it
has computed, and whether the times were kept, is at /stats.`
}

// Run serves until ctx is done.
func (b *benchBase) Run(ctx context.Context, log *slog.Logger) (err error) {
	if err := b.check(); err != nil {
		return err
	}
	config, err := loadConfig("")
	if err != nil {
		return err
	}
	listener, err := listen(b.Listen)
	if err != nil {
		return err
	}
	defer listener.Close() // again after Serve did it, for the ways out before
	env, err := (&serve{Library: b.Library}).runtime(config)
	if err != nil {
		return err
	}
	w := newWiring(env, "", log)
	defer func() { err = errors.Join(err, w.close(), env.Close()) }()
	server, err := w.simulated(b.config(log))
	if err != nil {
		return err
	}
	defer server.Close()
	log.Info("listening", "addr", listener.Addr().String(), "model", simulatedModel, "pass", b.Pass.String(), "token", b.Token.String(), "batch", b.Batch)
	err = server.Serve(ctx, listener)
	s := server.Stats()
	log.Info("served", "passes", s.Passes, "tokens", s.TokensComputed, "reused", s.TokensReused, "overruns", s.Overruns, "overrun_seconds", s.OverrunSeconds)
	return err
}

func (b *benchBase) check() error {
	switch {
	case b.Pass < 0:
		return fmt.Errorf("--pass %v: must be 0 or more", b.Pass)
	case b.Token < 0:
		return fmt.Errorf("--token %v: must be 0 or more", b.Token)
	case b.Batch < 1:
		return fmt.Errorf("--batch %d: must be 1 or more", b.Batch)
	}
	return nil
}

// config is what of the simulation does not depend on the model.
func (b *benchBase) config(log *slog.Logger) simulated.Config {
	return simulated.Config{Law: simulated.Law{Pass: b.Pass, Token: b.Token}, Batch: b.Batch, Log: log}
}

// simulatedModel is what the simulated base runs. Its name at the server is the same.
const simulatedModel = "embedded:base"

// simulated makes the simulated base of the embedded one. Exact rows do not depend on how
// the simulation computes them.
func (w *wiring) simulated(c simulated.Config) (*simulated.Server, error) {
	model, err := w.model(simulatedModel, Runtime{Provider: "cpu", Exact: true})
	if err != nil {
		return nil, err
	}
	c.Name, c.Context, c.Vocabulary, c.Ends = simulatedModel, model.Context(), model.Vocabulary(), model.Ends()
	c.Scored = model.Describe().Rows
	c.Text = simulatedText{text{model.Tokenizer()}}
	c.Open = func() simulated.Sequence { return simulatedSequence{sequence{model.Open(nil)}} }
	c.Prompt = func(ctx context.Context, messages []simulated.Message) ([]eft.Token, error) {
		return model.Prompt(ctx, simulatedMessages(messages))
	}
	return simulated.New(c), nil
}

// simulatedMessages turns messages into what templates know.
func simulatedMessages(messages []simulated.Message) []chattemplate.Message {
	out := make([]chattemplate.Message, len(messages))
	for i, m := range messages {
		role := m.Role
		if role == "developer" {
			role = "system"
		}
		out[i] = chattemplate.Message{Role: role, Content: m.Content}
	}
	return out
}

// simulatedSequence is a model's text without a prompt: all of it comes with each call.
type simulatedSequence struct{ sequence }

// simulatedText is a tokenizer as the simulation wants it.
type simulatedText struct{ text }

func (t simulatedText) Stream(special bool) simulated.TextStream { return t.tokenizer.Stream(!special) }
