package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/vbauerster/mpb/v8"

	"github.com/graft-gateway/graft/models/hub"
)

func TestTheHubsTokenComesFromTheEnvironment(t *testing.T) {
	read := func(name string) ([]byte, error) {
		if name == "file" {
			return []byte(" hf_file\n"), nil
		}
		return nil, os.ErrNotExist
	}
	for name, c := range map[string]struct {
		env  map[string]string
		want string
		err  bool
	}{
		"none":                     {nil, "", false},
		"HF_TOKEN":                 {map[string]string{"HF_TOKEN": "hf_a", "HUGGING_FACE_HUB_TOKEN": "hf_b", "HF_TOKEN_PATH": "none"}, "hf_a", false},
		"the older name":           {map[string]string{"HF_TOKEN": " ", "HUGGING_FACE_HUB_TOKEN": "hf_b\n"}, "hf_b", false},
		"a file":                   {map[string]string{"HF_TOKEN_PATH": "file"}, "hf_file", false},
		"a file that is not there": {map[string]string{"HF_TOKEN_PATH": "none"}, "", true},
	} {
		got, err := hubToken(func(key string) string { return c.env[key] }, read)
		if got != c.want || (err != nil) != c.err {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestThePublicHubIsTheDefault(t *testing.T) {
	t.Setenv("HF_ENDPOINT", "")
	if err := os.Unsetenv("HF_ENDPOINT"); err != nil {
		t.Fatal(err)
	}
	var c struct {
		Pull pull `cmd:""`
	}
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"pull", "o/m"}); err != nil || c.Pull.Endpoint != hub.PublicEndpoint || c.Pull.Revision != "main" || c.Pull.folder() != "./models/m" {
		t.Errorf("%+v, %v", c.Pull, err)
	}
}

func TestConfigurationsCanHoldAnyPath(t *testing.T) {
	for path, want := range map[string]string{
		"./models/m": "./models/m", "/a/b-1_2.3": "/a/b-1_2.3", "./a b": `"./a b"`, "./a: b, {c}": `"./a: b, {c}"`, `"`: `"\""`, "-x": `"-x"`, "": `""`,
	} {
		if got := quoted(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestAnInterruptionIsToldAsOne(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	other := errors.New("other")
	if err := interruption(ctx, other, "d"); err != other {
		t.Error(err)
	}
	cancel()
	for _, dir := range []string{"", "d"} {
		if err := interruption(ctx, other, dir); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "interrupted") {
			t.Error(err)
		}
	}
}

func TestWhatWasPulledIsTold(t *testing.T) {
	graph := hub.File{Path: "gpu/int4/model_x.onnx", Size: 2000, Digest: "ab"}
	p := hub.Plan{Listing: &hub.Listing{Repository: "o/m", Revision: "main"}, Variant: hub.Variant{Name: "int4", Graph: graph}, Home: "gpu/int4", Files: []hub.File{graph}}
	r := hub.Result{Files: []hub.Pulled{{File: graph, How: hub.Resumed}}, Received: 500, Notes: []string{"odd"}}
	for _, c := range []struct {
		json bool
		says string
	}{
		{false, "./models/m/gpu/int4 holds int4 of o/m at main: 2.0 kB in 1 files (1 resumed).\nIn a configuration, as a base or as one of a pair:\n\n    bases:   {large: {folder: ./models/m/gpu/int4, graph: model_x.onnx}}\n"},
		{true, `{"repository":"o/m","revision":"main","commit":"","variant":"int4","folder":"./models/m/gpu/int4","graph":"model_x.onnx","bytes":2000,"received":500,"files":[{"path":"gpu/int4/model_x.onnx","bytes":2000,"digest":"ab","how":"resumed"}],"notes":["odd"]}`},
	} {
		var out, notes bytes.Buffer
		if err := (&pull{JSON: c.json}).tell(&out, &notes, p, "./models/m", r); err != nil || !strings.Contains(out.String(), c.says) || notes.String() != "note: odd\n" {
			t.Errorf("%v: %s%s\nwant %s", err, &out, &notes, c.says)
		}
	}
}

func TestBarsAddUp(t *testing.T) {
	planned, besides := hub.File{Path: "a", Size: 100}, hub.File{Path: strings.Repeat("long/", 20) + "b", Size: 50}
	b := newBars(mpb.New(mpb.WithOutput(io.Discard)), hub.Plan{Files: []hub.File{planned}})
	b.Begin(planned, 40)
	b.Advance(planned, 30)
	b.Advance(planned, -70)
	b.Retry(planned, errors.New("broken"), time.Second)
	b.Advance(planned, 100)
	b.End(planned, hub.Fetched)
	b.Begin(besides, 0)
	b.Advance(besides, 20)
	if b.total != 150 || b.there != 120 || b.received != 150 || len(b.files) != 1 || b.whole.Current() != 120 {
		t.Errorf("%d of %d, received %d, %d bars, shown %d", b.there, b.total, b.received, len(b.files), b.whole.Current())
	}
	b.began = time.Now().Add(-10 * time.Second)
	if got := b.pace(); got != "15 B/s, 2s left" {
		t.Errorf("pace %q", got)
	}
	b.close()
}
