package doctor

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// width is how many columns the table has at most; wordWidth those of its first.
const (
	width     = 100
	wordWidth = 15
)

// WriteTable shows a judged report to people: a block for each part, its findings
// before its facts.
func WriteTable(w io.Writer, r *Report) error {
	out := &tableWriter{w: w}
	out.block("configuration", r.Configuration.Source, r.Configuration.Verdict, r.Configuration.Findings, r.Configuration.facts(r))
	out.block("ONNX Runtime", r.Runtime.Version, r.Runtime.Verdict, r.Runtime.Findings, r.Runtime.facts())
	out.block("machine", "", r.Machine.Verdict, r.Machine.Findings, r.Machine.facts())
	for _, m := range r.Models {
		out.block("model", m.Name, m.Verdict, m.Findings, m.facts(r.Runtime.CUDA()))
	}
	for _, s := range r.Servers {
		out.block("base server", s.Name, s.Verdict, s.Findings, s.facts())
	}
	if s := r.Store; s != nil {
		out.block("cache", "", s.Verdict, s.Findings, s.facts())
	}
	for _, route := range r.Routes {
		out.block("route", route.Name, route.Verdict, route.Findings, route.facts())
	}
	out.print(r.Summary() + "\n")
	return out.err
}

// Summary is one line on how many things are wrong.
func (r *Report) Summary() string {
	if r.Verdict == OK {
		return "everything is in order"
	}
	return plural(r.count(Broken), "thing is", "things are") + " broken, " + plural(r.count(Warning), "warning", "warnings")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// tableWriter keeps the first error.
type tableWriter struct {
	w   io.Writer
	err error
}

func (t *tableWriter) print(s string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.w, s)
	}
}

// block prints a title and, indented, its findings and facts.
func (t *tableWriter) block(kind, name string, verdict Level, findings []Finding, facts []fact) {
	title := kind
	if name != "" {
		title += " " + printable(name)
	}
	mark := string(verdict)
	if verdict == Broken {
		mark = "BROKEN"
	}
	t.print(fmt.Sprintf("%s: %s\n", title, mark))
	rows := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "  ", ""
	rows.SetStyle(style)
	rows.SuppressTrailingSpaces()
	rows.SetColumnConfigs([]table.ColumnConfig{
		{Number: 1, WidthMin: wordWidth, WidthMax: wordWidth, WidthMaxEnforcer: text.WrapSoft},
		{Number: 2, WidthMax: width - wordWidth - 4, WidthMaxEnforcer: text.WrapSoft},
	})
	row := func(word, value string) {
		if value != "" {
			rows.AppendRow(table.Row{printable(word), printable(value)})
		}
	}
	for _, f := range findings {
		word := string(f.Level)
		if f.Level == Broken {
			word = "BROKEN"
		}
		if strings.HasPrefix(f.Problem, f.Part+": ") {
			row(word, f.Problem)
		} else {
			row(word, f.Part+": "+f.Problem)
		}
		row("  fix", f.Fix)
	}
	for _, f := range facts {
		row(f.word, f.value)
	}
	if rows.Length() > 0 {
		t.print(rows.Render() + "\n")
	}
	t.print("\n")
}

// printable is s on one line, without what could steer a terminal: names and errors
// come from strangers' files.
func printable(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
