package proxy

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// stream is a continuation that a sequence reads as it goes on. The sequence's
// goroutine alone reads it: until it does, the server's rows wait in the connection.
type stream struct {
	continuation Continuation
	cancel       context.CancelFunc // ends what Next waits for
	at           int                // generated tokens in front of the next row
	limit, read  int                // rows asked for, rows read
	token        eft.Token          // behind the last row read
	ended        bool               // nothing can follow: it ended or failed
}

// open begins a stream of at most limit rows. Ctx ends the opening; the stream lives
// on without it.
func (s *Sequence) open(ctx context.Context, limit int) error {
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	continuation, err := s.text.Continue(detached, slices.Clip(s.prefix), limit)
	if !stop() && err == nil {
		continuation.Close()
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		return err
	}
	s.base.counts.streams.Add(1)
	s.stream = &stream{continuation: continuation, cancel: cancel, at: len(s.prefix) - s.prompt, limit: limit}
	return nil
}

// next reads a row. Ctx ends the stream, and not only the waiting: who gave up a row
// gives up the text.
func (s *stream) next(ctx context.Context) (eft.Row, error) {
	stop := context.AfterFunc(ctx, s.cancel)
	row, token, err := s.continuation.Next()
	if !stop() {
		s.ended = true
		return eft.Row{}, ctx.Err()
	}
	if err != nil {
		s.ended = true
		return eft.Row{}, err
	}
	s.at, s.read, s.token = s.at+1, s.read+1, token
	return row, nil
}

// follows says whether the stream's next row is behind the first tokens of generated.
func (s *stream) follows(generated []eft.Token) bool {
	return s.at <= len(generated) && (s.read == 0 || generated[s.at-1] == s.token)
}

// close ends the request. One whose rows have all been read has nothing to come but its
// end: read to there, if that comes in time, it leaves its connection for another request.
// A new connection would have to be trusted anew.
func (s *stream) close() {
	if s.read == s.limit && !s.ended {
		late := time.AfterFunc(drainFor, s.cancel)
		_, _, _ = s.continuation.Next() // whatever comes, the rows were right
		late.Stop()
	}
	s.continuation.Close()
	s.cancel()
}

// streamed returns the row behind generated if the stream has it. If not, the stream
// is closed, and the row is to be asked for singly; only ctx's end is an error.
func (s *Sequence) streamed(ctx context.Context, generated []eft.Token) (row eft.Row, has bool, err error) {
	for st := s.stream; st != nil; {
		if !st.follows(generated) {
			s.part()
			break
		}
		row, err := st.next(ctx)
		switch {
		case ctx.Err() != nil:
			s.drop()
			return eft.Row{}, false, ctx.Err()
		case err == io.EOF && st.read == st.limit:
			s.pace.finished()
			s.drop()
			return eft.Row{}, false, nil
		case err == io.EOF:
			s.pace.ended()
			st.limit = st.read // the base made no more
			s.drop()
			return eft.Row{}, false, nil
		case err == nil && st.read > st.limit:
			err = fmt.Errorf("more than the %d rows that were asked for", st.limit)
		case err == nil:
			row, err = s.rules.checked(row)
		}
		if err != nil {
			s.base.config.Log.Warn("a stream of the base failed; its rows are asked for one by one", "base", s.base.config.Name, "error", err)
			s.base.counts.broken.Add(1)
			s.pace.broke()
			s.drop()
			return eft.Row{}, false, nil
		}
		if st.at > len(generated) {
			s.base.counts.streamed.Add(1)
			return row, true, nil
		}
	}
	return eft.Row{}, false, nil
}

// part closes the stream since the text has other tokens than the base's own.
func (s *Sequence) part() {
	if st := s.stream; st != nil {
		s.pace.left(st.read, st.limit-st.read)
		s.drop()
	}
}

// drop closes the stream.
func (s *Sequence) drop() {
	if s.stream == nil {
		return
	}
	s.base.counts.unread.Add(uint64(max(s.stream.limit-s.stream.read, 0)))
	s.stream.close()
	s.stream = nil
}
