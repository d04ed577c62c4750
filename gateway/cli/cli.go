package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the grammar of the command line.
type commands struct {
	LogLevel slog.Level `help:"Least level that is logged: debug, info, warn or error." default:"info" placeholder:"LEVEL"`
	Serve    serve      `cmd:"" help:"Answer OpenAI requests."`
	Doctor   diagnose   `cmd:"" help:"Say whether serving would work, and what to do where it would not."`
	Tokenize tokenize   `cmd:"" help:"Turn text into a model's tokens, and back."`
	Render   render     `cmd:"" help:"Show what a chat template makes of conversations."`
	Bench    benchmark  `cmd:"" help:"Measure how fast proxied decoding is."`
	Pull     pull       `cmd:"" help:"Fetch a model folder from the Hugging Face Hub."`
}

// Main runs the command that args name and returns the process's exit code. A first
// SIGINT or SIGTERM ends it gracefully, a second one at once. A command that is
// interrupted before its end gives what a shell gives for it, 130.
func Main(args []string) int {
	var c commands
	parser := kong.Must(&c, kong.Name("graft"),
		kong.Description("A gateway that makes a large language model behave as if it had been fine-tuned, while it decodes."))
	parsed, err := parser.Parse(args)
	if err != nil {
		parser.FatalIfErrorf(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	slog.SetDefault(log)
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(log)
	if err != nil && err != context.Canceled { // alone it says nothing
		fmt.Fprintln(os.Stderr, "graft:", err)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 130
	}
	return 1
}
