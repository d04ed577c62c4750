package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Call is a way to ask for an answer of a given length.
type Call struct {
	URL string // of the endpoint
	Key string
	// Body is a request that streams, for so many tokens. number is another one in each
	// request, and must be seen in its prompt: prompts that were seen before are cached.
	Body func(tokens int, number int64) []byte
}

// load asks. numbers keeps prompts apart.
type load struct {
	client  *client
	numbers atomic.Int64
	readers sync.Pool // of *bufio.Reader, for all answers
}

// ask sends one request and tells when each token came, since then. It looks into events no
// further than it must: it shares the processors with what it measures.
func (l *load) ask(ctx context.Context, c Call, tokens int, came func(i int)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(c.Body(tokens, l.numbers.Add(1))))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.Key)
	}
	response, err := l.client.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		told, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return fmt.Errorf("%s: status %d: %s", c.URL, response.StatusCode, bytes.TrimSpace(told))
	}
	lines, ok := l.readers.Get().(*bufio.Reader)
	if !ok {
		lines = bufio.NewReaderSize(nil, 64<<10)
	}
	lines.Reset(response.Body)
	defer l.readers.Put(lines)
	seen := 0
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF && seen == tokens {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %d of %d tokens came: %w", c.URL, seen, tokens, err)
		}
		if hasText(line) {
			seen++
			came(seen)
		}
	}
}

// closed lets clients ask one request after the other, so many in all, and returns how
// long each took and all together.
func (l *load) closed(ctx context.Context, c Call, clients, requests, tokens int) (each []float64, all time.Duration, err error) {
	var left atomic.Int64
	left.Store(int64(requests))
	each = make([]float64, requests)
	var working sync.WaitGroup
	var failed sync.Once
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := time.Now()
	for range clients {
		working.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				sent := time.Now()
				if e := l.ask(ctx, c, tokens, func(int) {}); e != nil {
					failed.Do(func() { err = e; cancel() })
					return
				}
				each[i] = time.Since(sent).Seconds()
			}
		})
	}
	working.Wait()
	return each, time.Since(begin), err
}

// lateness is by how many seconds tokens came later than they were due, counted from when
// their request was due to be sent: all of them, the first and the last of each answer.
type lateness struct{ every, first, last []float64 }

func (l *lateness) add(more lateness) {
	l.every, l.first, l.last = append(l.every, more.every...), append(l.first, more.first...), append(l.last, more.last...)
}

// open keeps so many streams up, whose base sends a token every pace. Each stream's next
// request is due when the last one's tokens are, whether they have come or not. Streams
// begin at random moments of the first period, always the same: begun in step, the tokens
// of all would be due at once.
func (l *load) open(ctx context.Context, c Call, streams, tokens int, pace, lasts time.Duration) (late lateness, err error) {
	period := time.Duration(tokens) * pace
	requests := max(1, int(lasts/period))
	delays := make([][]float64, streams*requests)
	errs := make([]error, len(delays))
	var working sync.WaitGroup
	random := rand.New(rand.NewPCG(1, 2))
	begin := time.Now().Add(10 * time.Millisecond)
	for s := range streams {
		first := begin.Add(time.Duration(random.Float64() * float64(period)))
		for r := range requests {
			at := s*requests + r
			due := first.Add(time.Duration(r) * period)
			delays[at] = make([]float64, 0, tokens)
			working.Go(func() {
				select {
				case <-time.After(time.Until(due)):
				case <-ctx.Done():
					errs[at] = ctx.Err()
					return
				}
				errs[at] = l.ask(ctx, c, tokens, func(i int) {
					late := time.Since(due) - time.Duration(i)*pace
					delays[at] = append(delays[at], late.Seconds())
				})
			})
		}
	}
	working.Wait()
	for i, d := range delays {
		if errs[i] != nil {
			return lateness{}, errs[i]
		}
		late.add(lateness{d, d[:1], d[len(d)-1:]})
	}
	return late, nil
}
