package cli

import (
	"context"
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
	Tokenize tokenize   `cmd:"" help:"Turn text into a model's tokens, and back."`
	Render   render     `cmd:"" help:"Show what a chat template makes of conversations."`
}

// Main runs the command that args name and returns the process's exit code. A first
// SIGINT or SIGTERM ends it gracefully, a second one at once.
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
	if err := parsed.Run(log); err != nil {
		fmt.Fprintln(os.Stderr, "graft:", err)
		return 1
	}
	return 0
}
