package cli

import (
	"context"
	"log/slog"
	"time"
)

// checkBooks verifies every so often that what models hold adds up, and logs an error
// where it does not, until ctx is done.
func (w *wiring) checkBooks(ctx context.Context, every time.Duration, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, m := range w.order {
				if err := m.Check(); err != nil {
					log.Error("books do not add up", "model", m.Name(), "error", err)
				}
			}
		}
	}
}
