package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
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
			if seen++; seen > tokens {
				return fmt.Errorf("%s: more than %d tokens came", c.URL, tokens)
			}
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
// their request was due to be sent: all of them, the first and the last of each answer, and
// those of the first and of the last quarter of the time.
type lateness struct{ every, first, last, begin, end []float64 }

func (l *lateness) add(more lateness) {
	l.every, l.first, l.last = append(l.every, more.every...), append(l.first, more.first...), append(l.last, more.last...)
	l.begin, l.end = append(l.begin, more.begin...), append(l.end, more.end...)
}

// grows is by how much more tokens were late in the end than in the beginning: of what is
// asked for more than it can do, more with all that is asked.
func (l *lateness) grows() float64 { return quantile(l.end, .5) - quantile(l.begin, .5) }

// open keeps so many streams up, whose base sends a token every pace. Each stream's next
// request is due when the last one's tokens are, whether they have come or not. Streams
// begin at random moments of the first period, always the same: begun in step, the tokens
// of all would be due at once.
func (l *load) open(ctx context.Context, c Call, streams, tokens int, pace, lasts time.Duration) (lateness, error) {
	period := time.Duration(tokens) * pace
	o := opened{load: l, call: c, tokens: tokens, requests: max(1, int(lasts/period)), pace: pace}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	delays := make([][]float64, streams)
	random := rand.New(rand.NewPCG(1, 2))
	begin := time.Now().Add(10 * time.Millisecond)
	var working sync.WaitGroup
	for s := range streams {
		delays[s] = make([]float64, o.requests*tokens)
		first := begin.Add(time.Duration(random.Float64() * float64(period)))
		working.Go(func() {
			if err := o.stream(ctx, first, delays[s]); err != nil {
				cancel(err)
			}
		})
	}
	working.Wait()
	if err := context.Cause(ctx); err != nil {
		return lateness{}, err
	}
	var late lateness
	quarter := max(1, o.requests*tokens/4)
	for _, d := range delays {
		late.add(lateness{every: d, begin: d[:quarter], end: d[len(d)-quarter:]})
		for answer := range slices.Chunk(d, tokens) {
			late.add(lateness{first: answer[:1], last: answer[tokens-1:]})
		}
	}
	return late, nil
}

// opened is what all streams of an open loop have in common.
type opened struct {
	load             *load
	call             Call
	tokens, requests int // tokens of a request, requests of a stream
	pace             time.Duration
}

// stream sends each request when it is due, and fills in by how much its tokens were late.
func (o opened) stream(ctx context.Context, first time.Time, delays []float64) error {
	period := time.Duration(o.tokens) * o.pace
	bell, err := newAlarm(ctx, first, period)
	if err != nil {
		return err
	}
	defer bell.close()
	errs := make([]error, o.requests)
	var working sync.WaitGroup
	for r := range o.requests {
		if err := bell.wait(); err != nil {
			errs[r] = cmp.Or(ctx.Err(), err)
			break
		}
		due, came := first.Add(time.Duration(r)*period), delays[r*o.tokens:]
		working.Go(func() {
			errs[r] = o.load.ask(ctx, o.call, o.tokens, func(i int) {
				came[i-1] = (time.Since(due) - time.Duration(i)*o.pace).Seconds()
			})
		})
	}
	working.Wait()
	return errors.Join(errs...)
}
