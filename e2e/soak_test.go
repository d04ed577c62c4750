package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graft-gateway/graft/gateway/store/redistest"
)

// mixedLoad is 64 clients that ask everything a gateway can be asked, some of whom leave
// in the middle.
type mixedLoad struct {
	gateway *process
	asked   []string
	preface string // a long prompt that many share

	mu        sync.Mutex // guards all below
	answers   map[string]string
	whole     int // answers that came to their end
	left      int // clients that did not wait for it
	different int // whole answers that are not what the same request said before
}

// mixedConfig is the embedded family in process and behind a simulated large base, which
// is in a hurry.
const mixedConfig = `
bases:
  inside: {folder: embedded:base}
  list:   {url: %[1]s/v1, dialect: vllm}
  pass:   {url: %[1]s, dialect: sglang}
experts:
  chat: {tuned: embedded:small-chat, untuned: embedded:small}
  safe: {tuned: embedded:small-safe, untuned: embedded:small-chat}
routes:
  inside: {base: inside, experts: {chat: 1}}
  safe:   {base: inside, experts: {chat: 1, safe: 1}}
  alone:  {base: inside}
  list:   {base: list, experts: {chat: 1}}
  pass:   {base: pass, experts: {chat: 1}}
cache: {memory: 32MiB, redis: %[2]s, secret_env: SOAK_SECRET}
`

// TestMixedLoadLeavesNothingBehind runs for GRAFT_SOAK, or ten seconds: every route,
// drafter and strength, books checked ten times a second, long prompts that are shared and
// short ones that are not, and a third of the clients gone before their answer is.
func TestMixedLoadLeavesNothingBehind(t *testing.T) {
	base := start(t, nil, "bench", "base", "--listen", "127.0.0.1:0", "--pass", "2ms", "--token", "10us")
	l := &mixedLoad{
		gateway: start(t, []string{"SOAK_SECRET=0123456789abcdef"}, "serve", "--listen", "127.0.0.1:0", "--check-books", "100ms",
			"--config", writeConfig(t, fmt.Sprintf(mixedConfig, base.url, redistest.Start(t).URL()))),
		preface: strings.Repeat("The town Barath lies on a river, and many old stories are told of it. ", 40),
		answers: map[string]string{},
	}
	for _, q := range questions(t, "held-out", "fact")[:200] {
		l.asked = append(l.asked, q.Question)
	}
	lasts := soak(t)
	begun := time.Now()
	ctx, end := context.WithDeadline(t.Context(), begun.Add(lasts))
	defer end()
	var clients sync.WaitGroup
	for i := range 64 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				if err := l.once(ctx, client, random); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	var seen []sample
	for step := lasts / 40; ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-time.After(step):
			seen = append(seen, l.sample(t))
		}
	}
	clients.Wait()
	l.report(t, seen, lasts)
	l.nothingIsHeld(t)
}

// once asks one thing, and perhaps leaves.
func (l *mixedLoad) once(ctx context.Context, client *http.Client, random *rand.Rand) error {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	question := l.asked[random.IntN(len(l.asked))]
	if random.IntN(8) == 0 {
		question = l.preface + question
	}
	route := pick("inside", "inside", "safe", "alone", "list", "pass")
	body := object{
		"model": route, "messages": []object{{"role": "user", "content": question}}, "stream": true,
		"seed": random.IntN(2), "temperature": float64(random.IntN(2)) * 0.8, "max_tokens": 1 + random.IntN(48), "n": 1 + random.IntN(8)/7,
	}
	if route != "alone" {
		body["tuning"] = object{"draft": pick("auto", "auto", "tuned", "base", "off"), "strength": float64(random.IntN(3)) / 2}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	asking, leave := ctx, context.CancelFunc(func() {})
	if random.IntN(3) == 0 {
		asking, leave = context.WithTimeout(ctx, time.Duration(random.IntN(80))*time.Millisecond)
	}
	defer leave()
	text, err := l.read(asking, client, data)
	l.mu.Lock()
	defer l.mu.Unlock()
	if asking.Err() != nil {
		l.left++
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	l.whole++
	delete(body, "tuning")
	key := fmt.Sprint(body, strengthOf(data)) // drafts change nothing
	if before, ok := l.answers[key]; ok && before != text {
		l.different++
	}
	l.answers[key] = text
	return nil
}

// strengthOf is the tuning strength of a request's body, if it has one.
func strengthOf(data []byte) float64 {
	var body struct{ Tuning struct{ Strength float64 } }
	if err := json.Unmarshal(data, &body); err != nil {
		return -1
	}
	return body.Tuning.Strength
}

// read asks, and joins the texts of the stream.
func (l *mixedLoad) read(ctx context.Context, client *http.Client, body []byte) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.gateway.url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK || !bytes.HasSuffix(data, []byte("data: [DONE]\n\n")) {
		return "", fmt.Errorf("%d: %.300s", response.StatusCode, data)
	}
	return joined(data)
}

// joined are the texts of a stream's choices.
func joined(stream []byte) (string, error) {
	texts := map[int]string{}
	for line := range strings.Lines(string(stream)) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var chunk struct {
			Choices []struct {
				Index int
				Delta struct{ Content string }
			}
			Error *struct{ Message string }
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return "", err
		}
		if chunk.Error != nil {
			return "", errors.New(chunk.Error.Message)
		}
		for _, c := range chunk.Choices {
			texts[c.Index] += c.Delta.Content
		}
	}
	return fmt.Sprint(texts), nil
}

// sample is what the gateway holds at a moment.
type sample struct{ resident, native, goroutines, files, buffers float64 }

func (l *mixedLoad) sample(t *testing.T) sample {
	metric := func(name string) float64 { return l.gateway.metric(t, name) }
	const mib = 1 << 20
	return sample{
		metric("process_resident_memory_bytes") / mib, metric("graft_native_bytes") / mib,
		metric("go_goroutines"), metric("process_open_fds"), metric("graft_native_buffers"),
	}
}

// report tells what was held in each quarter, and fails where the last held more than
// the second, when everything had been asked for.
func (l *mixedLoad) report(t *testing.T, seen []sample, lasted time.Duration) {
	t.Helper()
	t.Logf("%v: %d whole answers, %d clients left before, %d answers were others than before", lasted, l.whole, l.left, l.different)
	var quarters []sample
	for i := range 4 {
		var mean sample
		part := seen[len(seen)*i/4 : len(seen)*(i+1)/4]
		for _, s := range part {
			n := float64(len(part))
			mean.resident += s.resident / n
			mean.native += s.native / n
			mean.goroutines += s.goroutines / n
			mean.files += s.files / n
			mean.buffers += s.buffers / n
		}
		t.Logf("quarter %d: %.0f MiB resident, %.0f MiB native in %.0f buffers, %.0f goroutines, %.0f descriptors", i+1, mean.resident, mean.native, mean.buffers, mean.goroutines, mean.files)
		quarters = append(quarters, mean)
	}
	// Caches are held for as long as texts are: how many there are in a quarter is chance.
	beside := func(s sample) float64 { return s.resident - s.native }
	if last, second := quarters[3], quarters[1]; beside(last) > 1.15*beside(second)+64 || last.goroutines > 1.25*second.goroutines+32 {
		t.Errorf("the gateway grows: %+v in the last quarter, %+v in the second", last, second)
	}
	// Single steps and paths differ by less than a thousandth of a nat: so near a tie is
	// a token in many ten thousands.
	if l.different > 1+l.whole/1000 {
		t.Errorf("%d of %d answers were others than before", l.different, l.whole)
	}
}

// nothingIsHeld fails where something is left of clients that are gone.
func (l *mixedLoad) nothingIsHeld(t *testing.T) {
	t.Helper()
	if err := settles(func() bool { return l.gateway.metric(t, "graft_native_caches_leased") == 0 }); err != nil {
		t.Errorf("%v caches are still held by texts that have ended", l.gateway.metric(t, "graft_native_caches_leased"))
	}
	lines := strings.Split(l.gateway.logged(), "\n")
	if i := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, `"level":"ERROR"`) }); i >= 0 {
		t.Errorf("the log has an error: %s", lines[i])
	}
}
