package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// WriteTable shows a report to people.
func WriteTable(w io.Writer, r *Report) error {
	out := &tables{w: w}
	out.machine(r)
	out.cells(r.Cells)
	out.firstTokens(r.FirstToken)
	out.models(r.Models)
	out.overheads(r.Overhead)
	out.remarks(r)
	return out.err
}

// tables writes one after the other and keeps the first error.
type tables struct {
	w   io.Writer
	err error
}

func (t *tables) print(format string, args ...any) {
	if t.err == nil {
		_, t.err = io.WriteString(t.w, printable(fmt.Sprintf(format, args...)))
	}
}

// table prints columns that are as wide as they must be. All but the first so many
// columns hold numbers.
func (t *tables) table(words int, head table.Row, rows []table.Row) {
	out := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Options.SeparateHeader = true
	style.Box.PaddingLeft, style.Box.PaddingRight = "  ", ""
	style.Format.Header = text.FormatDefault
	out.SetStyle(style)
	out.SuppressTrailingSpaces()
	var columns []table.ColumnConfig
	for i := range head {
		if i >= words {
			columns = append(columns, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
		}
	}
	out.SetColumnConfigs(columns)
	out.AppendHeader(head)
	out.AppendRows(rows)
	t.print("%s\n\n", out.Render())
}

func (t *tables) machine(r *Report) {
	m := r.Machine
	how := "full run"
	if r.Quick {
		how = "quick run"
	}
	runtime := ""
	if m.ONNXRuntime != "" {
		runtime = ", ONNX Runtime " + m.ONNXRuntime
	}
	t.print("%s, %s in %s\n", r.Date.Format("2006-01-02 15:04"), how, seconds(r.Seconds))
	t.print("%s, %d processors, %s, %s, %s%s, load average before %.2f\n", or(m.CPU, "unknown processor"), m.Processors,
		humanize.IBytes(uint64(m.Memory)), m.System, m.Go, runtime, m.LoadBefore)
	if warning := m.warning(); warning != "" {
		t.print("WARNING: %s\n", warning)
	}
	t.print("\n")
}

// cells prints a table for each base, in the order in which they were measured.
func (t *tables) cells(all []Cell) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Base == all[0].Base && all[n].Checking == all[0].Checking {
			n++
		}
		t.base(all[:n])
		all = all[n:]
	}
}

func (t *tables) base(cells []Cell) {
	title := "base " + cells[0].Base
	if cells[0].Checking != "" {
		title += " (" + cells[0].Checking + ")"
	}
	t.print("%s\n", title)
	rows := []table.Row{}
	for _, c := range cells {
		drafter := c.Drafter
		if c.Lowered > 0 {
			drafter += fmt.Sprintf(" at %g", c.Lowered)
		}
		agreed, errors := "", ""
		if c.Drafted > 0 {
			agreed = fmt.Sprintf("%.2f", c.Agreement)
		}
		if c.Errors > 0 {
			errors = strconv.Itoa(c.Errors)
		}
		rows = append(rows, table.Row{
			drafter, c.Answer, c.Strength, c.Temperature, c.Concurrency, fmt.Sprintf("%.0f", c.Prompt), fmt.Sprintf("%.0f", c.AnswerTokens),
			number(c.PlainTokensPerSecond), number(c.TokensPerSecond), fmt.Sprintf("%.2f", c.Ratio), fmt.Sprintf("%.2f–%.2f", c.RatioLow, c.RatioHigh),
			agreed, milliseconds(c.Latency.FirstTokenP50), milliseconds(c.Latency.TokenP50), milliseconds(c.Latency.GapP95), errors,
		})
	}
	t.table(2, table.Row{"drafter", "length", "strength", "temp.", "clients", "prompt", "answer", "plain/s", "tokens/s", "ratio", "rounds", "agreed", "first ms", "ms/token", "gap p95", "errors"}, rows)
}

func (t *tables) firstTokens(all []FirstToken) {
	if len(all) == 0 {
		return
	}
	t.print("time to the first token of a repeated prompt\n")
	rows := []table.Row{}
	for _, f := range all {
		rows = append(rows, table.Row{f.Base, f.Prefix, fmt.Sprintf("%.0f", f.Prompt), milliseconds(f.P50), milliseconds(f.P95), fmt.Sprintf("%.1f", f.Ratio), f.Answers})
	}
	t.table(2, table.Row{"base", "known from", "prompt", "p50 ms", "p95 ms", "cold ÷ this", "answers"}, rows)
}

// remarks says what the columns mean, and what went wrong.
func (t *tables) remarks(r *Report) {
	if len(r.Cells) > 0 {
		t.print(`drafter    who guesses ahead; "at 0.5" had so many of its guesses spoilt that about half are right
length     of answers: natural ones end by themselves, fixed ones go on past their end to so many tokens
plain/s    tokens a second of the base alone, streamed by its own server; same questions, same number of tokens
tokens/s   of the gateway before it; ratio is both divided, and rounds the least and the most of single rounds
agreed     share of the drafter's guesses that were right, of those that were looked at
first ms   until the first text, ms/token between tokens after it, both in the median; gap p95 between pieces of text

`)
	}
	for _, note := range r.Notes {
		t.print("note: %s\n", note)
	}
	for _, f := range r.Failures {
		t.print("FAILED: %s\n", f)
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// number has three figures or more.
func number(v float64) string {
	switch {
	case v >= 100:
		return humanize.Comma(int64(v + .5))
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func milliseconds(s float64) string { return number(1000 * s) }

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

// printable is s without what could steer a terminal: names and errors come from
// strangers' servers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
