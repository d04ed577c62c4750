package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/graft-gateway/graft/gateway/bench"
	"github.com/graft-gateway/graft/gateway/bench/simulated"
)

// overhead is the section over a base that answers at once.
func (b *benchMeasure) overhead(s stand) bench.Section {
	o := bench.Overhead{Start: s.instant}
	if b.Quick {
		o.Concurrency, o.Lengths, o.Rounds, o.Tokens, o.StreamTokens, o.Lasts = []int{1, 64}, []int{1, 32}, 1, 512, 32, 600*time.Millisecond
	}
	return bench.Overheads(o)
}

// instant stands a gateway with two routes before a base that answers at once: one that
// passes requests on, and one whose decode loop takes every row. Its experts have no
// weight in what is asked, so that no small model runs, and it reads the base's own stream,
// so that both sides ask the base for the same: texts that ask for row after row are held in
// step, and a base that has a pace for each text knows no step. The gateway has a process of its
// own, as it is served: in the client's and the base's it would wait for their goroutines
// and collect their garbage.
func (s stand) instant(ctx context.Context) (on bench.OverheadStand, err error) {
	w := newWiring(s.env, "", s.log)
	server, err := w.simulated(simulated.Config{Log: s.log})
	if err != nil {
		return on, errors.Join(err, w.close())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		server.Close()
		return on, errors.Join(err, w.close())
	}
	base := bench.NewInstant(server, countedOpening)
	instant := &http.Server{Handler: base}
	go instant.Serve(listener) // ends with Close
	end := func() error {
		err := instant.Close()
		server.Close()
		return errors.Join(err, w.close())
	}
	url := "http://" + listener.Addr().String() + "/v1"
	gateway, cpu, endGateway, err := s.process(ctx, url)
	if err != nil {
		return on, errors.Join(err, end())
	}
	base.Prepare(true, 0)
	direct := bench.Call{URL: url + "/completions", Body: counted(simulatedModel, "")}
	to := func(model, knob string) bench.Call {
		return bench.Call{URL: gateway + "/completions", Body: counted(model, knob)}
	}
	return bench.OverheadStand{
		Pace: func(pace time.Duration) { base.Prepare(true, pace) },
		CPU:  cpu,
		Ways: []bench.Way{
			{Name: "pass-through", Direct: direct, Through: to(plainRoute, "")},
			{Name: "decode loop", Direct: direct, Through: to(proxiedRoute, `,"tuning":{"strength":0,"draft":"base"}`)},
		},
		Close: func() error { return errors.Join(endGateway(), end()) },
	}, nil
}

// overheadConfig is what the gateway serves, but for the base's URL. What it lets in at a
// time is more than anyone asks.
const overheadConfig = `
bases: {large: {url: %q, model: %q, dialect: vllm}}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}}
routes:
  ` + proxiedRoute + `: {base: large, experts: {chat: 1.0}}
  ` + plainRoute + `: {base: large}
cache: {memory: 0}
limits: {running: 1024, waiting: 1024, grace: 1s}
`

// process serves a base by this program in a process of its own, and says how much CPU time
// that has taken.
func (s stand) process(ctx context.Context, base string) (url string, cpu func() (time.Duration, error), end func() error, err error) {
	program, err := os.Executable()
	if err != nil {
		return "", nil, nil, err
	}
	folder, err := os.MkdirTemp("", "graft-bench-")
	if err != nil {
		return "", nil, nil, err
	}
	file := filepath.Join(folder, "graft.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, overheadConfig, base, simulatedModel), 0o600); err != nil {
		return "", nil, nil, errors.Join(err, os.RemoveAll(folder))
	}
	process := exec.Command(program, "serve", "--config", file, "--listen", "127.0.0.1:0", "--onnxruntime", s.library)
	// Keys are for those who serve others; with them it would refuse what is asked here.
	process.Env = append(os.Environ(), "GRAFT_API_KEYS=")
	said, err := process.StderrPipe()
	if err != nil {
		return "", nil, nil, errors.Join(err, os.RemoveAll(folder))
	}
	addr, end, err := startChild(ctx, process, said, serving, folder)
	if err != nil {
		return "", nil, nil, fmt.Errorf("%s serve: %w", program, err)
	}
	return "http://" + addr + "/v1", func() (time.Duration, error) { return bench.CPU(process.Process.Pid) }, end, nil
}

// serving finds the address in what graft serve says when it is ready.
var serving = regexp.MustCompile(`"msg":"listening","addr":"([^"]+)"`)

// countedOpening is how many tokens a counted prompt has.
const countedOpening = 3

// counted is a request whose prompt spells its number, in tokens that the embedded
// vocabulary has.
func counted(model, knob string) func(tokens int, number int64) []byte {
	return func(tokens int, number int64) []byte {
		const first, digits = 100, 500
		return fmt.Appendf(nil, `{"model":%q,"prompt":[%d,%d,%d],"max_tokens":%d,"ignore_eos":true,"temperature":0,"stream":true%s}`,
			model, first+number/digits/digits%digits, first+number/digits%digits, first+number%digits, tokens, knob)
	}
}
