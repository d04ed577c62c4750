package cli

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestBenchBaseRefusesWhatCannotBeMeant(t *testing.T) {
	for _, test := range []struct {
		base benchBase
		says string
	}{
		{benchBase{Pass: -time.Millisecond, Batch: 1}, "--pass -1ms"},
		{benchBase{Token: -1, Batch: 1}, "--token -1ns"},
		{benchBase{Batch: 0}, "--batch 0"},
		{benchBase{Batch: 1, Listen: "nowhere"}, `cannot listen on "nowhere"`},
	} {
		err := test.base.Run(context.Background(), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: error %v, want %q", test.base, err, test.says)
		}
	}
}
