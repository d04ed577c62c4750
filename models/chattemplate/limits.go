package chattemplate

import (
	"context"
	"strings"
)

// Limits bound what one rendering may cost. They are far above what real
// templates need: a conversation of a million characters passes.
type Limits struct {
	// Steps counts evaluated nodes, visited items and every 64 bytes of text
	// that an operation reads or writes. 0 means 20,000,000.
	Steps int
	// Memory bounds the bytes of all text and lists ever made during one
	// rendering, dropped ones included. 0 means 128 MiB.
	Memory int
	// Output bounds the bytes of the prompt. 0 means 32 MiB.
	Output int
	// Depth bounds how deep calls, statements and values nest. 0 means 1,500.
	Depth int
}

const (
	defaultSteps  = 20_000_000
	defaultMemory = 128 << 20
	defaultOutput = 32 << 20
	defaultDepth  = 1500

	// maxSource bounds a template, and with it the depth of its tree.
	maxSource = 512 << 10
	// maxTagTokens bounds one tag, and with it how long chains of operators get.
	maxTagTokens = 50_000
	// maxNesting bounds brackets, blocks and prefix operators in each other.
	maxNesting = 200
	// maxRange is the sandbox's bound for range().
	maxRange = 100_000
	// maxBits bounds integers; the reference cannot print more than about 14,300.
	maxBits = 16_384
	// maxDigits is how many digits the reference turns into text or back.
	maxDigits = 4300

	// stepsPerCheck is how often the context is asked.
	stepsPerCheck = 4096
	bytesPerStep  = 64
)

func (l Limits) withDefaults() Limits {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&l.Steps, defaultSteps)
	set(&l.Memory, defaultMemory)
	set(&l.Output, defaultOutput)
	set(&l.Depth, defaultDepth)
	return l
}

// meter counts what one rendering has cost. It belongs to one goroutine.
//
// Invariant: 0 ≤ depth ≤ limits.Depth, and steps and memory only grow.
type meter struct {
	ctx       context.Context
	limits    Limits
	steps     int
	nextCheck int
	memory    int
	depth     int
}

// step spends n steps and now and then asks whether the caller still waits.
func (m *meter) step(n int) error {
	m.steps += n
	if m.steps > m.limits.Steps {
		return &LimitError{What: "steps", Max: m.limits.Steps}
	}
	if m.steps >= m.nextCheck {
		m.nextCheck = m.steps + stepsPerCheck
		return m.ctx.Err()
	}
	return nil
}

// read spends the steps of looking at n bytes.
func (m *meter) read(n int) error { return m.step(n / bytesPerStep) }

// readText is read for v if it is text.
func (m *meter) readText(v value) error {
	s, _ := textOf(v)
	return m.read(len(s))
}

// alloc spends n bytes; call it before they are made where n could be large.
func (m *meter) alloc(n int) error {
	if n < 0 || n > m.limits.Memory-m.memory {
		return &LimitError{What: "bytes of text and lists", Max: m.limits.Memory}
	}
	m.memory += n
	return m.step(n / bytesPerStep)
}

// repeat is alloc for count pieces of size bytes, safe against overflow.
func (m *meter) repeat(size, count int) error {
	if size > 0 && count > m.limits.Memory/size {
		return &LimitError{What: "bytes of text and lists", Max: m.limits.Memory}
	}
	return m.alloc(size * max(count, 0))
}

// enter goes one level down; leave must follow if it succeeds.
func (m *meter) enter() error {
	if m.depth >= m.limits.Depth {
		return &LimitError{What: "nested levels", Max: m.limits.Depth}
	}
	m.depth++
	return nil
}

func (m *meter) leave() { m.depth-- }

// builder collects text and spends its bytes before it keeps them.
type builder struct {
	m   *meter
	max int
	sb  strings.Builder
}

// text makes a builder for a value; the memory limit is its only bound.
func (m *meter) text() *builder { return &builder{m: m, max: m.limits.Memory} }

// output makes a builder for printed text.
func (m *meter) output() *builder { return &builder{m: m, max: m.limits.Output} }

func (b *builder) write(s string) error {
	if len(s) > b.max-b.sb.Len() {
		return &LimitError{What: "bytes of output", Max: b.max}
	}
	if err := b.m.alloc(len(s)); err != nil {
		return err
	}
	b.sb.WriteString(s)
	return nil
}

// flush moves what sb has collected over once it is worth it, so that escaped
// text is bounded while it grows.
func (b *builder) flush(sb *strings.Builder) error {
	if sb.Len() < 4096 {
		return nil
	}
	err := b.write(sb.String())
	sb.Reset()
	return err
}

func (b *builder) String() string { return b.sb.String() }
