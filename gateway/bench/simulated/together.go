package simulated

import "context"

// together reads all choices at once and hands on their pieces as they come, from one
// goroutine. It ends with the first error.
func together(ctx context.Context, choices []*choice, take func(*choice, piece) error) error {
	if len(choices) == 1 {
		return follow(ctx, choices[0], func(p piece) error { return take(choices[0], p) })
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the readers
	type come struct {
		from *choice
		p    piece
		err  error
	}
	all := make(chan come)
	for _, c := range choices {
		go func() {
			err := follow(ctx, c, func(p piece) error {
				select {
				case all <- come{from: c, p: p}:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			if err != nil {
				select {
				case all <- come{err: err}:
				case <-ctx.Done():
				}
			}
		}()
	}
	for left := len(choices); left > 0; {
		var one come
		select {
		case one = <-all:
		case <-ctx.Done():
			return ctx.Err()
		}
		if one.err != nil {
			return one.err
		}
		if err := take(one.from, one.p); err != nil {
			return err
		}
		if one.p.finish != GoesOn {
			left--
		}
	}
	return nil
}

// follow reads one choice to its end.
func follow(ctx context.Context, c *choice, take func(piece) error) error {
	for {
		p, err := c.next(ctx)
		if err != nil {
			return err
		}
		if err := take(p); err != nil || p.finish != GoesOn {
			return err
		}
	}
}
