package doctor

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// ServerText is one text that a base server reads.
type ServerText interface {
	Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error)
	Close()
}

// ServerRows is what a short measurement of a base server found.
type ServerRows struct {
	Tokens         int     `json:"tokens"`            // that were read one by one
	SecondsPerRow  float64 `json:"seconds_per_row"`   // one by one, as an answer is made
	Path           int     `json:"path"`              // tokens of a path
	SecondsPerPath float64 `json:"seconds_per_path"`  // for the rows of all of it
	Epsilon        float64 `json:"epsilon"`           // largest difference of a listed log-prob between the two, in nats
	MissingMass    float64 `json:"mean_missing_mass"` // that a row does not list
}

// measuredPath is how many tokens are read one by one, and again as a path.
const measuredPath = 8

// MeasureServer reads a few tokens twice: one by one and as a path. Open begins a text
// behind one and the same prompt.
func MeasureServer(ctx context.Context, vocabulary *eft.Vocabulary, open func() ServerText) (ServerRows, error) {
	var m ServerRows
	single := open()
	defer single.Close()
	var path []eft.Token
	var rows []eft.Row
	began := time.Now()
	for range measuredPath + 1 {
		row, err := single.Rows(ctx, path, nil)
		if err != nil {
			return m, err
		}
		if m.Tokens++; m.Tokens == 1 { // the first one has the prompt to read
			began = time.Now()
		}
		rows = append(rows, keep(row[0]))
		if best := top(vocabulary, row[0]); m.Tokens <= measuredPath {
			path = append(path, best)
		}
	}
	m.SecondsPerRow = time.Since(began).Seconds() / float64(m.Tokens-1)
	again := open()
	defer again.Close()
	began = time.Now()
	together, err := again.Rows(ctx, nil, path)
	if err != nil {
		return m, err
	}
	m.Path, m.SecondsPerPath = len(path), time.Since(began).Seconds()
	for i := range together {
		d, missing := difference(vocabulary, rows[i], together[i])
		m.Epsilon = max(m.Epsilon, d)
		m.MissingMass += missing / float64(len(together))
	}
	return m, nil
}

// keep copies a row that is valid until the next.
func keep(r eft.Row) eft.Row {
	return eft.Row{
		Scores: append([]float32(nil), r.Scores...), IDs: append([]eft.Token(nil), r.IDs...),
		LogProbs: append([]float32(nil), r.LogProbs...), Best: r.Best,
	}
}

// top is a row's best token.
func top(v *eft.Vocabulary, r eft.Row) eft.Token {
	if r.Dense() {
		return v.Best(nil, r, 1)[0]
	}
	return r.IDs[0]
}

// difference compares the log-probs that both rows have, and tells what a truncated
// one leaves out.
func difference(v *eft.Vocabulary, a, b eft.Row) (worst, missing float64) {
	ids := a.IDs
	if a.Dense() {
		ids = v.Best(nil, a, measuredPath)
	} else {
		missing = 1
		for _, p := range a.LogProbs {
			missing -= math.Exp(float64(p))
		}
	}
	for _, id := range ids {
		if d := math.Abs(v.LogProb(a, id) - v.LogProb(b, id)); !math.IsInf(d, 0) && !math.IsNaN(d) {
			worst = max(worst, d)
		}
	}
	return worst, max(missing, 0)
}

func (m *ServerRows) speed() string {
	if m == nil {
		return ""
	}
	return fmt.Sprintf("%.2g ms a row one by one, %.2g ms for a path of %d", 1e3*m.SecondsPerRow, 1e3*m.SecondsPerPath, m.Path)
}

func (m *ServerRows) epsilon() string {
	if m == nil {
		return ""
	}
	line := fmt.Sprintf("%.2g nats between one by one and a path", m.Epsilon)
	if m.MissingMass > 0 {
		line += fmt.Sprintf("; rows leave out %.2g of the probability", m.MissingMass)
	}
	return line
}
