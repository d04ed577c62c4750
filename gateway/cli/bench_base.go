package cli

import (
	"context"
	"log/slog"
	"time"
)

// benchBase is the command that serves the simulated large base.
type benchBase struct {
	Listen  string        `help:"Address to serve on; port 0 takes a free one." default:"127.0.0.1:8000" placeholder:"ADDR"`
	Pass    time.Duration `help:"Time that a forward pass with one token takes." default:"30ms"`
	Token   time.Duration `help:"Time that each further token of a pass adds." default:"150us"`
	Batch   int           `help:"Most tokens of one pass, as --max-num-batched-tokens of vLLM." default:"8192" placeholder:"TOKENS"`
	Library string        `help:"ONNX Runtime library, before every other place it is searched in." placeholder:"FILE" name:"onnxruntime"`
}

// Run serves until ctx is done.
func (b *benchBase) Run(ctx context.Context, log *slog.Logger) error { return ctx.Err() }
