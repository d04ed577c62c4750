package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/graft-gateway/graft/gateway"
	"github.com/graft-gateway/graft/gateway/bench"
	"github.com/graft-gateway/graft/gateway/bench/simulated"
	"github.com/graft-gateway/graft/models/onnx"
)

// stand brings up what is measured: gateways and base servers on loopback, each ended by
// the function that comes with it.
type stand struct {
	env     *onnx.Environment
	library string // that env was started from
	log     *slog.Logger
}

// gateway serves a configuration on a free port and returns its URL.
func (s stand) gateway(ctx context.Context, config Config, garble garble) (url string, end func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	w := newWiring(s.env, "", s.log)
	w.garble = garble
	routes, err := w.routes(ctx, config)
	if err != nil {
		return "", nil, errors.Join(err, listener.Close(), w.close())
	}
	server := gateway.New(gateway.Config{
		Routes: routes, Log: s.log, Metrics: registry(s.env, w),
		Limits: gateway.Limits{Running: 256, Grace: time.Second},
	})
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- server.Serve(serving, listener) }() // ends with stop
	return "http://" + listener.Addr().String() + "/v1", func() error {
		stop()
		return errors.Join(<-served, w.close())
	}, nil
}

// The names that the bench gives to what it serves.
const (
	plainRoute, proxiedRoute = "plain", "proxied"
	largeBase, chatExpert    = "large", "chat"
)

// embeddedPair is the pair that makes the embedded base chat.
func embeddedPair() ExpertPair {
	return ExpertPair{Tuned: "embedded:small-chat", Untuned: "embedded:small"}
}

// over is a configuration with the embedded pair over a base. What a base says is not
// kept: it would be asked for once, and measured many times.
func over(base BaseModel) Config {
	none := size(0)
	return Config{
		Bases:   single(largeBase, base),
		Experts: single(chatExpert, embeddedPair()),
		Routes:  single(proxiedRoute, RouteConfig{Base: largeBase, Experts: single(chatExpert, 1.0)}),
		Cache:   Cache{Memory: &none},
	}
}

// single is an ordered map of one.
func single[T any](name string, value T) ordered[T] {
	return ordered[T]{names: []string{name}, values: map[string]T{name: value}}
}

// withPlain adds a route to the base alone, whose rows other gateways may ask for.
func withPlain(c Config) Config {
	plain := RouteConfig{Base: largeBase}
	plain.Logprobs.Completions = -1
	c.Routes.names = append(c.Routes.names, plainRoute)
	c.Routes.values[plainRoute] = plain
	return c
}

// inProcess stands the embedded base and a gateway in one process.
func (s stand) inProcess(ctx context.Context, garble garble) (bench.Stand, error) {
	url, end, err := s.gateway(ctx, withPlain(over(BaseModel{Folder: "embedded:base"})), garble)
	if err != nil {
		return bench.Stand{}, err
	}
	return bench.Stand{
		Plain: bench.Target{URL: url, Model: plainRoute}, Proxied: bench.Target{URL: url, Model: proxiedRoute}, Close: end,
	}, nil
}

// before stands a gateway before a base server, and ends both together.
func (s stand) before(ctx context.Context, base BaseServer, end func() error, garble garble) (bench.Stand, error) {
	url, endGateway, err := s.gateway(ctx, over(BaseModel{BaseServer: base}), garble)
	if err != nil {
		return bench.Stand{}, errors.Join(err, end())
	}
	return bench.Stand{
		Plain: bench.Target{URL: base.URL, Model: base.Model}, Proxied: bench.Target{URL: url, Model: proxiedRoute},
		Close: func() error { return errors.Join(endGateway(), end()) },
	}, nil
}

// behindGraft stands a gateway before another one that serves the embedded base.
func (s stand) behindGraft(ctx context.Context, garble garble) (bench.Stand, error) {
	url, end, err := s.gateway(ctx, withPlain(over(BaseModel{Folder: "embedded:base"})), nil)
	if err != nil {
		return bench.Stand{}, err
	}
	return s.before(ctx, BaseServer{URL: url, Model: plainRoute}, end, garble)
}

// behindSimulated stands a gateway before a simulated large base that it asks in a
// dialect: vllm checks a path by a list of prefixes, sglang in one pass.
func (s stand) behindSimulated(ctx context.Context, dialect string, garble garble) (bench.Stand, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return bench.Stand{}, err
	}
	w := newWiring(s.env, "", s.log)
	server, err := w.simulated(simulated.Config{Law: largeLaw(), Log: s.log})
	if err != nil {
		return bench.Stand{}, errors.Join(err, listener.Close(), w.close())
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- server.Serve(serving, listener) }() // ends with stop
	end := func() error {
		stop()
		err := <-served
		server.Close()
		return errors.Join(err, w.close())
	}
	return s.before(ctx, BaseServer{URL: "http://" + listener.Addr().String() + "/v1", Model: simulatedModel, Dialect: dialect}, end, garble)
}

// largeLaw is the time that a 70B takes on its usual hardware.
func largeLaw() simulated.Law {
	return simulated.Law{Pass: 30 * time.Millisecond, Token: 150 * time.Microsecond}
}

// llamaServer is a llama-server and the embedded base in its format.
type llamaServer struct{ program, model string }

// findLlamaServer looks where `make e2e-engines` puts them.
func findLlamaServer(roots []string) (llamaServer, bool) {
	for _, root := range roots {
		folder := filepath.Join(root, ".cache", "engines", "llamacpp")
		found := llamaServer{filepath.Join(folder, "bin", "llama-server"), filepath.Join(folder, "base.gguf")}
		if isFile(found.program) && isFile(found.model) {
			return found, true
		}
	}
	return llamaServer{}, false
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// listening finds the address in what llama-server says when it is ready.
var listening = regexp.MustCompile(`listening on (http://\S+)`)

// behindLlama stands a gateway before a llama-server with four slots.
func (s stand) behindLlama(ctx context.Context, found llamaServer, garble garble) (bench.Stand, error) {
	process := exec.Command(found.program, "--model", found.model, "--host", "127.0.0.1", "--port", "0", "--parallel", "4", "--ctx-size", "8192",
		"--threads", "1", "--cache-type-k", "f32", "--cache-type-v", "f32", "--flash-attn", "off")
	said, err := process.StderrPipe()
	if err != nil {
		return bench.Stand{}, err
	}
	if err := process.Start(); err != nil {
		return bench.Stand{}, fmt.Errorf("%s: %w", found.program, err)
	}
	end := func() error {
		process.Process.Kill()
		process.Wait() // says that it was killed
		return nil
	}
	url, err := awaitLine(ctx, said, listening)
	if err != nil {
		return bench.Stand{}, errors.Join(fmt.Errorf("%s: %w", found.program, err), end())
	}
	return s.before(ctx, BaseServer{URL: url + "/v1", Dialect: "llamacpp", Wait: 10 * time.Second}, end, garble)
}

// awaitLine reads what a program says until a pattern comes, and returns its first
// group; the rest is read and thrown away.
func awaitLine(ctx context.Context, said io.Reader, pattern *regexp.Regexp) (string, error) {
	found := make(chan string, 1)
	go func() { // ends with the program
		defer close(found)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if m := pattern.FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, said)
	}()
	select {
	case text, ok := <-found:
		if !ok {
			return "", fmt.Errorf("it ended before it said %s", pattern)
		}
		return text, nil
	case <-time.After(30 * time.Second):
		return "", fmt.Errorf("within 30 s it did not say %s", pattern)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// startChild starts a process and waits until what it says has ready, whose first group
// is returned. End kills it and removes its folder, which is removed after an error, too.
func startChild(ctx context.Context, process *exec.Cmd, said io.Reader, ready *regexp.Regexp, folder string) (found string, end func() error, err error) {
	if err := process.Start(); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(folder))
	}
	end = func() error {
		process.Process.Kill()
		process.Wait() // says that it was killed
		return os.RemoveAll(folder)
	}
	if found, err = awaitLine(ctx, said, ready); err != nil {
		return "", nil, errors.Join(err, end())
	}
	return found, end, nil
}

// startRedis starts a server that keeps nothing on disk.
func startRedis(ctx context.Context, program string) (url string, end func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // to learn of a free port
	if err != nil {
		return "", nil, err
	}
	addr := listener.Addr().(*net.TCPAddr)
	listener.Close()
	folder, err := os.MkdirTemp("", "graft-bench-")
	if err != nil {
		return "", nil, err
	}
	process := exec.Command(program, "--port", strconv.Itoa(addr.Port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", folder, "--maxmemory", "1gb", "--maxmemory-policy", "volatile-ttl")
	said, err := process.StdoutPipe()
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(folder))
	}
	if _, end, err = startChild(ctx, process, said, regexp.MustCompile(`([Rr]eady to accept connections)`), folder); err != nil {
		return "", nil, fmt.Errorf("%s: %w", program, err)
	}
	return "redis://" + addr.String() + "/0", end, nil
}

// benchSecretEnv is the variable for the secret that seals what the bench keeps in
// Redis.
const benchSecretEnv = "GRAFT_BENCH_SECRET"

// replicas stands two gateways that share a Redis, or one alone, and says why.
func (s stand) replicas(ctx context.Context, redis string) (on bench.Replicas, why string, err error) {
	ends := []func() error{}
	on.Close = func() error {
		var errs []error
		for i := len(ends) - 1; i >= 0; i-- {
			errs = append(errs, ends[i]())
		}
		return errors.Join(errs...)
	}
	if redis == "" {
		program, missing := exec.LookPath("redis-server")
		if missing != nil {
			why = "redis-server is not there; install it, or name a Redis with --redis redis://HOST:PORT"
		} else {
			url, end, err := startRedis(ctx, program)
			if err != nil {
				return on, "", err
			}
			redis, ends = url, append(ends, end)
		}
	}
	if err := os.Setenv(benchSecretEnv, rand.Text()+rand.Text()); err != nil {
		return on, "", errors.Join(err, on.Close())
	}
	config := over(BaseModel{Folder: "embedded:base"})
	config.Cache = Cache{Redis: redis}
	if redis != "" {
		config.Cache.SecretEnv = benchSecretEnv
	}
	for _, target := range []*bench.Target{&on.First, &on.Second} {
		if target == &on.Second && redis == "" {
			break
		}
		url, end, err := s.gateway(ctx, config, nil)
		if err != nil {
			return on, "", errors.Join(err, on.Close())
		}
		ends = append(ends, end)
		*target = bench.Target{URL: url, Model: proxiedRoute}
	}
	return on, why, nil
}
