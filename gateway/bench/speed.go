package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Speed is a section that measures how much faster or slower than their bases gateways
// are. Questions are asked in turn, from the first; what a group asks in one round is the
// same for all its arms and for the plain base.
//
// With a bound, a group that is behind its share of the time has no further rounds, and
// past the bound no group is begun; 0 is none.
func Speed(name, about string, subjects []Subject, questions []string, within time.Duration) Section {
	return Section{Name: name, About: about, Measure: func(ctx context.Context, report *Report, tell Progress) error {
		if len(questions) == 0 {
			return errors.New("there are no questions to ask")
		}
		connections, allowed := 1, &allowance{within: within, began: time.Now()}
		for _, s := range subjects {
			allowed.groups += len(s.Groups)
			for _, g := range s.Groups {
				tell.Plan(g.steps())
				connections = max(connections, g.Concurrency)
			}
		}
		c := newClient(connections)
		defer c.close()
		var failed []error
		for _, s := range subjects {
			run := &speed{client: c, subject: s, report: report, tell: tell, questions: questions, allowed: allowed}
			if err := run.measure(ctx); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", s.Base, err))
			}
			if ctx.Err() != nil {
				break
			}
		}
		return errors.Join(failed...)
	}}
}

// speed measures one subject. One goroutine uses it.
type speed struct {
	client    *client
	subject   Subject
	report    *Report
	tell      Progress
	questions []string
	asked     int // questions that were taken
	allowed   *allowance
}

// allowance is the time that a section's groups may take together.
type allowance struct {
	within       time.Duration // 0 is no bound
	began        time.Time
	groups, done int
}

// used says whether all of it is.
func (a *allowance) used() bool { return a.within > 0 && time.Since(a.began) > a.within }

// behind says whether the group that is measured has used its share and those of all
// before it.
func (a *allowance) behind() bool {
	return a.within > 0 && time.Since(a.began) > a.within*time.Duration(a.done+1)/time.Duration(a.groups)
}

// measure brings the subject up, once for each agreement in turn, and measures its groups.
func (s *speed) measure(ctx context.Context) (err error) {
	var stand *Stand
	end := func() error {
		if stand == nil || stand.Close == nil {
			return nil
		}
		return stand.Close()
	}
	defer func() { err = errors.Join(err, end()) }()
	lowered := 0.0
	for i, g := range s.subject.Groups {
		if s.allowed.used() {
			s.report.Note("time was up: %d of %d groups of cells over %s (%s) were left out; without --quick they are measured",
				len(s.subject.Groups)-i, len(s.subject.Groups), s.subject.Base, s.subject.Checking)
			return nil
		}
		if stand == nil || g.Lowered != lowered {
			if err := end(); err != nil {
				return err
			}
			stand = nil
			opened, err := s.subject.Start(ctx, g.Lowered)
			if err != nil {
				return err
			}
			stand, lowered = &opened, g.Lowered
			if err := s.warm(ctx, *stand); err != nil {
				return err
			}
		}
		if err := s.group(ctx, *stand, g); err != nil {
			return err
		}
		s.allowed.done++
	}
	return nil
}

// warm asks both sides for a few tokens, so that what is done once is done.
func (s *speed) warm(ctx context.Context, on Stand) error {
	p, err := s.prompt(ctx, on.Proxied, 0)
	if err != nil {
		return err
	}
	few := ask{prompt: p, length: 4}
	if _, err := s.client.stream(ctx, on.Plain, few); err != nil {
		return fmt.Errorf("the plain base: %w", err)
	}
	few.knob = &knob{Strength: 1, Draft: "auto"}
	if _, err := s.client.stream(ctx, on.Proxied, few); err != nil {
		return fmt.Errorf("the gateway: %w", err)
	}
	return nil
}

// prompt takes the next question, with others before it until the prompt has so many tokens.
func (s *speed) prompt(ctx context.Context, gateway Target, tokens int) (prompt, error) {
	var p prompt
	for {
		question := s.questions[s.asked%len(s.questions)]
		s.asked++
		if p.text != "" {
			p.text += " "
		}
		p.text += question
		if estimate := len(p.text) / 4; estimate < tokens/2 {
			continue // far too short: not worth a request
		}
		var err error
		if p.tokens, err = s.client.tokenize(ctx, gateway, p.text); err != nil || len(p.tokens) >= tokens {
			return p, err
		}
	}
}

// group measures the arms of a group and the plain base in turns.
func (s *speed) group(ctx context.Context, on Stand, g Group) error {
	plain, arms := &tally{}, make([]tally, len(g.Arms))
	for round := range g.Rounds {
		if round > 0 && s.allowed.behind() {
			s.report.Note("time was short: some cells have fewer rounds; without --quick they have more")
			break
		}
		asks, err := s.round(ctx, on.Proxied, g, round)
		if err != nil {
			return err
		}
		for _, who := range turns(len(g.Arms), round, g.natural()) {
			t, target, label := plain, on.Plain, "plain"
			if who >= 0 {
				t, target, label = &arms[who], on.Proxied, string(g.Arms[who].Drafter)
			}
			s.tell.Begin(fmt.Sprintf("%s, %s: %s, temperature %g, %d at a time", s.subject.Base, s.subject.Checking, label, g.Temperature, g.Concurrency))
			mine := slices.Clone(asks)
			for i := range mine {
				if who >= 0 {
					mine[i].knob = &knob{Strength: g.Arms[who].Strength, Draft: g.Arms[who].Drafter}
					// What one arm asked, a gateway's cache would answer the next one.
					mine[i].salt = fmt.Sprintf("bench %d %d %d", s.report.Date.UnixNano(), len(s.report.Cells)+who, round)
				} else if g.natural() {
					mine[i].length = max(1, arms[0].lengths[len(arms[0].lengths)-len(asks)+i])
				}
			}
			t.turn(ctx, s.client, target, mine, g.Concurrency)
			s.tell.Done()
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	for i := range arms {
		s.report.Cells = append(s.report.Cells, s.cell(g, g.Arms[i], &arms[i], plain))
		s.told("gateway", g, &arms[i])
	}
	s.told("plain base", g, plain)
	return s.broken(plain, arms)
}

// told notes what went wrong on one side.
func (s *speed) told(side string, g Group, t *tally) {
	if t.errors > 0 {
		s.report.Note("%s (%s), %d clients: %d of %d answers of the %s failed, the first with: %v",
			s.subject.Base, s.subject.Checking, g.Concurrency, t.errors, t.errors+t.answers, side, t.fault)
	}
}

// broken says so where one side gave no answer at all.
func (s *speed) broken(plain *tally, arms []tally) error {
	if plain.answers == 0 {
		return fmt.Errorf("the plain base gave no answer: %w", plain.fault)
	}
	for _, t := range arms {
		if t.answers == 0 {
			return fmt.Errorf("the gateway gave no answer: %w", t.fault)
		}
	}
	return nil
}

// round is what is asked in one: of each answer everything but who gives it.
func (s *speed) round(ctx context.Context, gateway Target, g Group, round int) ([]ask, error) {
	asks := make([]ask, g.Concurrency*g.Questions)
	for i := range asks {
		p, err := s.prompt(ctx, gateway, g.Prompt)
		if err != nil {
			return nil, err
		}
		asks[i] = ask{prompt: p, length: g.Length, temperature: g.Temperature, seed: int64(round*len(asks) + i + 1)}
	}
	return asks, nil
}

// turns says in what order the arms have a round, the plain base being −1: each round
// begins with another one. Where the answers' lengths are the gateway's to say, the plain
// base is last.
func turns(arms, round int, plainLast bool) []int {
	var order []int
	for i := range arms {
		order = append(order, i)
	}
	if !plainLast {
		order = append(order, -1)
	}
	at := round % len(order)
	turned := slices.Concat(order[at:], order[:at])
	if plainLast {
		turned = append(turned, -1)
	}
	return turned
}

// tally is what one side's turns came to.
type tally struct {
	answers, errors           int
	fault                     error // the first
	tokens, prompts           int
	drafted, agreed, baseCall int
	rounds                    []pace
	lengths                   []int // of all answers, as they were asked for; 0 where there was an error
	first, each, gaps         []float64
}

// pace is what one turn came to.
type pace struct {
	tokens  int
	seconds float64
}

// turn has so many clients ask question after question until all are answered.
func (t *tally) turn(ctx context.Context, c *client, target Target, asks []ask, clients int) {
	type result struct {
		answer answer
		err    error
	}
	results := make([]result, len(asks))
	next := make(chan int, len(asks))
	for i := range asks {
		next <- i
	}
	close(next)
	var working sync.WaitGroup
	began := time.Now()
	for range clients {
		working.Go(func() {
			for i := range next {
				results[i].answer, results[i].err = c.stream(ctx, target, asks[i])
			}
		})
	}
	working.Wait()
	p := pace{seconds: time.Since(began).Seconds()}
	for _, r := range results {
		t.add(r.answer, r.err)
		if r.err == nil {
			p.tokens += r.answer.tokens
		}
	}
	t.rounds = append(t.rounds, p)
}

func (t *tally) add(a answer, err error) {
	if err != nil {
		t.errors++
		t.lengths = append(t.lengths, 0)
		if t.fault == nil {
			t.fault = err
		}
		return
	}
	t.answers++
	t.tokens, t.prompts = t.tokens+a.tokens, t.prompts+a.prompt
	t.drafted, t.agreed, t.baseCall = t.drafted+a.drafted, t.agreed+a.agreed, t.baseCall+a.baseCall
	t.lengths = append(t.lengths, a.tokens)
	if a.first > 0 {
		t.first = append(t.first, a.first.Seconds())
	}
	if a.tokens > 1 {
		t.each = append(t.each, (a.last-a.first).Seconds()/float64(a.tokens-1))
	}
	t.gaps = append(t.gaps, a.gaps...)
}

func (t *tally) seconds() float64 {
	sum := 0.0
	for _, p := range t.rounds {
		sum += p.seconds
	}
	return sum
}

func (t *tally) latency() Latency {
	return Latency{
		FirstTokenP50: quantile(t.first, .5), FirstTokenP95: quantile(t.first, .95),
		TokenP50: quantile(t.each, .5), TokenP95: quantile(t.each, .95), GapP95: quantile(t.gaps, .95),
	}
}

// cell sums an arm up against the plain base.
func (s *speed) cell(g Group, arm Arm, mine, plain *tally) Cell {
	c := Cell{
		Base: s.subject.Base, Checking: s.subject.Checking,
		Drafter: string(arm.Drafter), Temperature: g.Temperature, Strength: arm.Strength, Concurrency: g.Concurrency,
		Prompt: quotient(float64(mine.prompts), float64(mine.answers)), Answer: Fixed, Lowered: g.Lowered,
		TokensPerSecond: rate(mine.tokens, mine.seconds()), PlainTokensPerSecond: rate(plain.tokens, plain.seconds()), Rounds: len(mine.rounds),
		Answers: mine.answers, AnswerTokens: quotient(float64(mine.tokens), float64(mine.answers)), Tokens: mine.tokens, Seconds: mine.seconds(), Errors: mine.errors + plain.errors,
		Agreement: quotient(float64(mine.agreed), float64(mine.drafted)), Drafted: mine.drafted, Agreed: mine.agreed, BaseCalls: mine.baseCall,
		Latency: mine.latency(), PlainLatency: plain.latency(),
	}
	if g.natural() {
		c.Answer = Natural
	}
	c.Ratio = quotient(c.TokensPerSecond, c.PlainTokensPerSecond)
	for i, p := range mine.rounds {
		ratio := quotient(rate(p.tokens, p.seconds), rate(plain.rounds[i].tokens, plain.rounds[i].seconds))
		if i == 0 || ratio < c.RatioLow {
			c.RatioLow = ratio
		}
		c.RatioHigh = max(c.RatioHigh, ratio)
	}
	return c
}
