package hub_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/models/hub"
	"github.com/graft-gateway/graft/models/hub/hubtest"
)

func TestAFolderIsFetchedOnce(t *testing.T) {
	inWorld(t, usual(), hub.Options{}, func(w *world) {
		result, err := w.pull(w.t.Context(), "")
		if err != nil {
			w.t.Fatal(err)
		}
		all := append([]string{"onnx/model.onnx", "onnx/model.onnx_data"}, companionsOfUsual...)
		w.holds(usual(), all...)
		if len(result.Files) != len(all) || w.transfers() != len(all)-1 { // chat_template.jinja is empty
			w.t.Errorf("%d files in %d transfers, want %d", len(result.Files), w.transfers(), len(all))
		}
		for path, size := range w.log.sizes {
			if w.log.there[path] != size || w.log.ended[path] != hub.Fetched {
				w.t.Errorf("%s was shown with %d of %d bytes, %s", path, w.log.there[path], size, w.log.ended[path])
			}
		}
		w.Forget()
		result, err = w.pull(w.t.Context(), "")
		if err != nil || w.transfers() != 0 || result.Received != 0 || result.Files[0].How != hub.Present {
			w.t.Errorf("the second time: %v, %d transfers, %d bytes, %v", err, w.transfers(), result.Received, result.Files)
		}
		// Another variant beside it fetches that alone.
		if _, err = w.pull(w.t.Context(), "q4f16"); err != nil || w.transfers() != 1 {
			w.t.Errorf("another variant: %v, %d transfers", err, w.transfers())
		}
		// What was changed is put right.
		if err := os.WriteFile(filepath.Join(w.dir, "config.json"), bytes.Repeat([]byte("x"), len(usual().Files["config.json"])), 0o600); err != nil {
			w.t.Fatal(err)
		}
		result, err = w.pull(w.t.Context(), "")
		if err != nil || result.Files[0].How != hub.Replaced {
			w.t.Errorf("a changed file: %v, %v", err, result.Files[0])
		}
		w.holds(usual(), append(all, "onnx/model_q4f16.onnx")...)
	})
}

func TestFilesWithoutHashesAreFetchedWholeAndNoted(t *testing.T) {
	inWorld(t, usual(), hub.Options{}, func(w *world) {
		w.NoHashes, w.OwnETags = true, true
		w.Break("onnx/model_q4f16.onnx", hubtest.Fault{Cut: 70_000})
		result, err := w.pull(w.t.Context(), "q4f16")
		if err != nil {
			w.t.Fatal(err)
		}
		w.holds(usual(), append([]string{"onnx/model_q4f16.onnx"}, companionsOfUsual...)...)
		if got := w.ranges(); !slices.Equal(got, []string{"", ""}) {
			w.t.Errorf("ranges %q: pieces could be of different contents", got)
		}
		if notes := strings.Join(result.Notes, "\n"); !strings.Contains(notes, "onnx/model_q4f16.onnx has no hash on hub.test:80: only its size is checked") {
			w.t.Errorf("notes %q", notes)
		}
		// What is there cannot be told from another file of that size.
		result, err = w.pull(w.t.Context(), "q4f16")
		if err != nil || result.Files[0].How != hub.Replaced {
			w.t.Errorf("the second time: %v, %v", err, result.Files)
		}
	})
}

func TestTransfersGoOnWhereTheyBroke(t *testing.T) {
	const graph, size = "onnx/model_q4f16.onnx", 200_000
	for name, c := range map[string]struct {
		faults   []hubtest.Fault
		received int64    // of the graph
		ranges   []string // that were asked for
		at       string   // file with the faults; the graph if empty
	}{
		"cut":                     {[]hubtest.Fault{{Cut: 70_000}}, size, []string{"", "bytes=70000-"}, ""},
		"cut again and again":     {[]hubtest.Fault{{Cut: 10_000}, {Cut: 10_000}, {Cut: 10_000}, {Cut: 10_000}, {Cut: 10_000}, {Cut: 10_000}, {Cut: 10_000}, {Cut: 10_000}}, size, []string{"", "bytes=10000-", "bytes=20000-", "bytes=30000-", "bytes=40000-", "bytes=50000-", "bytes=60000-", "bytes=70000-", "bytes=80000-"}, ""},
		"stall":                   {[]hubtest.Fault{{Stall: 50_000}}, size, []string{"", "bytes=50000-"}, ""},
		"503":                     {[]hubtest.Fault{{Status: 503}, {Status: 500}, {Status: 502}}, size, []string{"", "", "", ""}, ""},
		"429":                     {[]hubtest.Fault{{Status: 429, Header: http.Header{"Retry-After": {"60"}}}}, size, []string{"", ""}, ""},
		"an expired signature":    {[]hubtest.Fault{{Cut: 1000}, {Status: 403, Body: "<Error>Request has expired</Error>"}}, size, []string{"", "bytes=1000-", "bytes=1000-"}, ""},
		"ranges ignored":          {[]hubtest.Fault{{Cut: 70_000}, {NoRange: true}}, size + 70_000, []string{"", "bytes=70000-"}, ""},
		"another range":           {[]hubtest.Fault{{Cut: 70_000}, {Shift: 5}}, size + 70_000, []string{"", "bytes=70000-", ""}, ""},
		"no such range":           {[]hubtest.Fault{{Cut: 70_000}, {Status: 416}}, size + 70_000, []string{"", "bytes=70000-", ""}, ""},
		"no length":               {[]hubtest.Fault{{Blind: true}}, size, []string{""}, ""},
		"compressed":              {[]hubtest.Fault{{Gzip: true}}, size, []string{""}, ""},
		"compressed, and cut":     {[]hubtest.Fault{{Gzip: true, Cut: 1000}}, 0, []string{"", ""}, ""},
		"compressed in the midst": {[]hubtest.Fault{{Cut: 70_000}, {Gzip: true}}, size + 70_000, []string{"", "bytes=70000-"}, ""},
		"a wrong first part":      {[]hubtest.Fault{{Corrupt: true, Cut: 150_000}}, 2 * size, []string{"", "bytes=150000-", ""}, ""},
		"a small file":            {[]hubtest.Fault{{Cut: 20_000}, {Status: 500}}, size, []string{""}, "tokenizer.json"},
		"the listing":             {[]hubtest.Fault{{Status: 503}}, size, []string{""}, "tree"},
		"the commit":              {[]hubtest.Fault{{Status: 429, Header: http.Header{"Ratelimit": {`"api";r=0;t=20`}}}}, size, []string{""}, "revision"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, usual(), hub.Options{}, func(w *world) {
				w.Break(cmp.Or(c.at, graph), c.faults...)
				began := time.Now()
				result, err := w.pull(w.t.Context(), "q4f16")
				if err != nil {
					w.t.Fatal(err)
				}
				w.holds(usual(), append(slices.Clone(companionsOfUsual), graph)...)
				if ranges := w.ranges(); !slices.Equal(ranges, c.ranges) {
					w.t.Errorf("ranges %q, want %q", ranges, c.ranges)
				}
				others := int64(50_000 + len(usual().Files["config.json"]) + 6)
				if c.received != 0 && result.Received != c.received+others {
					w.t.Errorf("%d bytes came, want %d", result.Received, c.received+others)
				}
				if w.log.there[graph] != size {
					w.t.Errorf("the graph was shown with %d bytes", w.log.there[graph])
				}
				t.Logf("%d retries in %v: %q", len(w.log.retries), time.Since(began), w.log.retries)
				if name == "429" && time.Since(began) < time.Minute {
					w.t.Error("the wait that the server asked for was cut short")
				}
			})
		})
	}
}

func TestWhatCannotBeFetchedIsTold(t *testing.T) {
	const graph = "onnx/model_q4f16.onnx"
	for name, c := range map[string]struct {
		faults []hubtest.Fault
		says   string
		kept   bool // the beginning stays
	}{
		"a wrong hash":            {[]hubtest.Fault{{Corrupt: true, Always: true}}, graph + " arrived with sha256 ", false},
		"wrong, resumed or whole": {[]hubtest.Fault{{Corrupt: true, Cut: 1}, {Corrupt: true, Always: true}}, "it was removed; try again", false},
		"too long":                {[]hubtest.Fault{{Longer: 3}}, "announces 200003 bytes, and the Hub's listing says 200000", false},
		"always down":             {[]hubtest.Fault{{Status: 503, Always: true}}, graph + ": storage.test:80 answers 503 Service Unavailable (6 tries)", false},
		"always stalled":          {[]hubtest.Fault{{Stall: 9}, {Status: 200, Stall: 1, Always: true}}, "storage.test:80 cannot be reached: nothing came for 30s (6 tries)", true},
		"never past one place":    {[]hubtest.Fault{{NoRange: true, Cut: 70_000, Always: true}}, "ended the transfer too early (6 tries)", true},
		"asked to wait too long":  {[]hubtest.Fault{{Status: 429, Header: http.Header{"Retry-After": {"3600"}}}}, "it asks to come back in 1h0m0s", false},
		"gone":                    {[]hubtest.Fault{{Status: 404}}, graph + ": storage.test:80 answers 404 Not Found", false},
		"an unknown encoding":     {[]hubtest.Fault{{Status: 200, Header: http.Header{"Content-Encoding": {"br"}}, Body: "x"}}, `compresses with "br"`, false},
		"a page in its place":     {[]hubtest.Fault{{Status: 200, Body: "<html>please log in"}}, "announces 19 bytes", false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, usual(), hub.Options{Parallel: 1}, func(w *world) {
				w.Break(graph, c.faults...)
				_, err := w.pull(w.t.Context(), "q4f16")
				if err == nil || !strings.Contains(err.Error(), c.says) {
					w.t.Errorf("%v\nwant %q", err, c.says)
				}
				t.Log(err)
				if strings.Contains(err.Error(), "secret") {
					w.t.Error("the signature is told")
				}
				left, _ := filepath.Glob(filepath.Join(w.dir, "onnx", "*"))
				if (len(left) == 1) != c.kept || len(left) > 1 || len(left) == 1 && !strings.HasSuffix(left[0], ".incomplete") {
					w.t.Errorf("left behind: %q", left)
				}
			})
		})
	}
}

func TestAnInterruptedPullIsTakenUp(t *testing.T) {
	inWorld(t, usual(), hub.Options{}, func(w *world) {
		ctx, cancel := context.WithCancel(w.t.Context())
		w.Break("onnx/model_q4f16.onnx", hubtest.Fault{Stall: 90_000})
		w.log.stop = func(there int64) {
			if there == 90_000 {
				cancel()
			}
		}
		if _, err := w.pull(ctx, "q4f16"); !errors.Is(err, context.Canceled) {
			w.t.Fatal(err)
		}
		left, _ := filepath.Glob(filepath.Join(w.dir, "onnx", "*"))
		if len(left) != 1 || !strings.HasSuffix(left[0], ".incomplete") {
			w.t.Fatalf("left behind: %q", left)
		}
		// What an older commit left behind goes when the file is there.
		stale := filepath.Join(w.dir, "onnx", "model_q4f16.onnx.0123456789abcdef.incomplete")
		if err := os.WriteFile(stale, []byte("old"), 0o600); err != nil {
			w.t.Fatal(err)
		}
		w.Forget()
		w.log.stop = nil
		result, err := w.pull(w.t.Context(), "q4f16")
		if err != nil {
			w.t.Fatal(err)
		}
		if last := result.Files[len(result.Files)-1]; last.How != hub.Resumed {
			w.t.Errorf("the graph was %s", last.How)
		}
		w.holds(usual(), append(slices.Clone(companionsOfUsual), "onnx/model_q4f16.onnx")...)
		if ranges := w.ranges(); !slices.Equal(ranges, []string{"bytes=90000-"}) {
			w.t.Errorf("ranges %q", ranges)
		}
	})
}

func TestUselessBeginningsAreThrownAway(t *testing.T) {
	for name, content := range map[string][]byte{"of something else": noise(60_000), "too long": noise(200_001), "whole and wrong": noise(199_999)[:199_999], "empty": {}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, usual(), hub.Options{}, func(w *world) {
				if err := os.MkdirAll(filepath.Join(w.dir, "onnx"), 0o700); err != nil {
					w.t.Fatal(err)
				}
				p, err := w.plan("q4f16")
				if err != nil {
					w.t.Fatal(err)
				}
				beginning := filepath.Join(w.dir, fmt.Sprintf("onnx/model_q4f16.onnx.%.16s.incomplete", p.Variant.Graph.Digest))
				if err := os.WriteFile(beginning, content, 0o600); err != nil {
					w.t.Fatal(err)
				}
				result, err := w.pull(w.t.Context(), "q4f16")
				if err != nil || result.Files[len(result.Files)-1].How != hub.Fetched {
					w.t.Fatal(err, result.Files)
				}
				w.holds(usual(), append(slices.Clone(companionsOfUsual), "onnx/model_q4f16.onnx")...)
			})
		})
	}
}
