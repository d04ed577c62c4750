package cli

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestARedisThatDoesNotWorkIsTold(t *testing.T) {
	t.Setenv("GRAFT_CACHE_SECRET", "0123456789abcdef")
	for redis, says := range map[string]string{"redis://:hidden@127.0.0.1:9/0": "connection refused", "": ""} {
		c := Config{Cache: Cache{Redis: redis}, Bases: ordered[BaseModel]{values: map[string]BaseModel{"b": {BaseServer: BaseServer{URL: "http://h"}}}}}
		rows, err := newRowCache(c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		rows.check(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		if got := log.String(); !strings.Contains(got, says) || (got == "") != (says == "") || strings.Contains(got, "hidden") {
			t.Errorf("%q: %s", redis, got)
		}
		if err := rows.close(); err != nil {
			t.Error(err)
		}
	}
	var none *rowCache
	none.check(t.Context(), nil)
}
