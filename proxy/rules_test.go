package proxy

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

// holed has the ids 0, 1 and 3; 2 is a hole.
func holed() *eft.Vocabulary {
	return eft.NewVocabulary([][]byte{[]byte("a"), []byte("b"), nil, []byte("c")})
}

func listed(ids []eft.Token, logProbs ...float32) eft.Row {
	return eft.Row{IDs: ids, LogProbs: logProbs, Best: len(ids)}
}

func TestRowsThatBreakTheRulesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		row  eft.Row
		says string
		want []eft.Token // the ids of what is taken
	}{
		"right":                   {listed([]eft.Token{1, 0, 3}, -1, -2, -2), "", []eft.Token{1, 0, 3}},
		"fewer than k":            {listed([]eft.Token{3}, -.5), "", []eft.Token{3}},
		"padding and a hole":      {listed([]eft.Token{9, 1, 2}, -1, -2, -3), "", []eft.Token{1}},
		"a little more than one":  {listed([]eft.Token{1}, 1e-4), "", []eft.Token{1}},
		"nothing":                 {eft.Row{}, "lists nothing", nil},
		"nothing, but not nil":    {listed([]eft.Token{}), "lists nothing", nil},
		"all padding":             {listed([]eft.Token{9, 2}, -1, -2), "the 2 best ids are all padding, from id 9", nil},
		"more than k":             {listed([]eft.Token{0, 1, 3, 4}, -1, -2, -3, -4), "4 ids, more than the 3 best", nil},
		"a log-prob too few":      {listed([]eft.Token{0, 1}, -1), "2 ids, 2 of them as the best, and 1 log-probs", nil},
		"named ids behind":        {eft.Row{IDs: []eft.Token{0, 1}, LogProbs: []float32{-1, -2}, Best: 1}, "1 of them as the best", nil},
		"more best than listed":   {eft.Row{IDs: []eft.Token{0}, LogProbs: []float32{-1}, Best: 2}, "2 of them as the best", nil},
		"NaN":                     {listed([]eft.Token{0, 1}, -1, nan), "log-prob of id 1 is NaN", nil},
		"∞":                       {listed([]eft.Token{0}, inf), "is +Inf", nil},
		"−∞":                      {listed([]eft.Token{0, 1}, -1, -inf), "is -Inf", nil},
		"not by log-prob":         {listed([]eft.Token{0, 1}, -2, -1), "lists id 1 behind id 0", nil},
		"ties not by id":          {listed([]eft.Token{1, 0}, -1, -1), "lists id 0 behind id 1", nil},
		"twice":                   {listed([]eft.Token{0, 1, 0}, -1, -2, -3), "lists id 0 twice", nil},
		"negative":                {listed([]eft.Token{-1}, -1), "lists id -1", nil},
		"logits":                  {listed([]eft.Token{0, 1}, 12, 11), "they are no log-probs", nil},
		"dense where it may not":  {eft.Row{Scores: []float32{1, 2, 3, 4}}, "is dense, not truncated", nil},
		"dense and truncated":     {eft.Row{Scores: []float32{1}, IDs: []eft.Token{0}, LogProbs: []float32{-1}, Best: 1}, "at once", nil},
		"large, but probable not": {listed([]eft.Token{0}, math.MaxFloat32), "they are no log-probs", nil},
	} {
		r := rules{vocabulary: holed(), k: 3}
		got, err := r.checked(c.row)
		if (c.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
		if err == nil && (!slices.Equal(got.IDs, c.want) || got.Best != len(c.want) || len(got.LogProbs) != len(c.want)) {
			t.Errorf("%s: got %+v, want %v", name, got, c.want)
		}
	}
}

func TestPaddingIsLeftOutOfACopy(t *testing.T) {
	r := rules{vocabulary: holed(), k: 3}
	row := listed([]eft.Token{9, 1, 2}, -1, -2, -3)
	if _, err := r.checked(row); err != nil || !slices.Equal(row.IDs, []eft.Token{9, 1, 2}) || row.LogProbs[0] != -1 {
		t.Errorf("%v, %+v", err, row)
	}
}

func TestDenseRows(t *testing.T) {
	for name, c := range map[string]struct {
		scores []float32
		says   string
	}{
		"right":                {[]float32{1, 2, 3, 4}, ""},
		"padded":               {[]float32{1, 2, 3, 4, nan, inf}, ""},
		"−∞ is no token":       {[]float32{1, -inf, 3, -inf}, ""},
		"short":                {[]float32{1, 2, 3}, "scores 3 ids, and the vocabulary has 4"},
		"empty":                {[]float32{}, "scores 0 ids"},
		"NaN":                  {[]float32{1, nan, 3, 4}, "score of id 1 is NaN"},
		"∞":                    {[]float32{1, 2, 3, inf}, "score of id 3 is +Inf"},
		"nothing but −∞":       {[]float32{-inf, -inf, 7, -inf}, "all −∞"},
		"truncated is refused": {nil, "is truncated, not dense"},
	} {
		r := rules{vocabulary: holed(), dense: true}
		row, err := r.checked(eft.Row{Scores: c.scores})
		if (c.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
		if err == nil && len(row.Scores) != 4 {
			t.Errorf("%s: %d scores", name, len(row.Scores))
		}
	}
}

func TestNamedAnswersThatBreakTheRulesAreRefused(t *testing.T) {
	names := [][]eft.Token{{5, 3}, nil}
	for name, c := range map[string]struct {
		named [][]eft.Scored
		says  string
	}{
		"right":             {[][]eft.Scored{{{ID: 5, LogProb: -1}, {ID: 3, LogProb: -2}}, nil}, ""},
		"never said":        {[][]eft.Scored{{{ID: 5, LogProb: -inf}, {ID: 3, LogProb: -2}}, nil}, ""},
		"too few positions": {[][]eft.Scored{{{ID: 5, LogProb: -1}, {ID: 3, LogProb: -2}}}, "1 positions, and 2"},
		"too few tokens":    {[][]eft.Scored{{{ID: 5, LogProb: -1}}, nil}, "1 named tokens at position 0"},
		"one that was not":  {[][]eft.Scored{{{ID: 5, LogProb: -1}, {ID: 3, LogProb: -2}}, {{ID: 1}}}, "1 named tokens at position 1"},
		"in another order":  {[][]eft.Scored{{{ID: 3, LogProb: -1}, {ID: 5, LogProb: -2}}, nil}, "token 3 where token 5"},
		"NaN":               {[][]eft.Scored{{{ID: 5, LogProb: nan}, {ID: 3, LogProb: -2}}, nil}, "is NaN"},
		"not a log-prob":    {[][]eft.Scored{{{ID: 5, LogProb: 3}, {ID: 3, LogProb: -2}}, nil}, "is 3"},
	} {
		err := checkedNamed(c.named, names)
		if (c.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

// Whatever a server lists: what is taken is canonical and inside the vocabulary.
func FuzzRules(f *testing.F) {
	add := func(row eft.Row) {
		var data []byte
		for i, id := range row.IDs {
			data = binary.LittleEndian.AppendUint32(data, uint32(id))
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(row.LogProbs[i]))
		}
		f.Add(data)
	}
	add(listed([]eft.Token{1, 0, 3}, -1, -2, -2))
	add(listed([]eft.Token{9, 1, 2}, -1, -2, -3))
	add(listed([]eft.Token{0, 1, 0}, -1, -2, -3))
	add(listed([]eft.Token{-1}, nan))
	f.Add([]byte{})
	v := holed()
	f.Fuzz(func(t *testing.T, data []byte) {
		var row eft.Row
		for ; len(data) >= 8; data = data[8:] {
			row.IDs = append(row.IDs, eft.Token(binary.LittleEndian.Uint32(data)))
			row.LogProbs = append(row.LogProbs, math.Float32frombits(binary.LittleEndian.Uint32(data[4:])))
		}
		row.Best = len(row.IDs)
		r := rules{vocabulary: v, k: 3}
		got, err := r.checked(row)
		if err != nil {
			return
		}
		var all []eft.Scored
		for i, id := range got.IDs {
			if v.Piece(id) == nil {
				t.Fatalf("id %d", id)
			}
			all = append(all, eft.Scored{ID: id, LogProb: got.LogProbs[i]})
		}
		want := eft.Canonical(all, 3)
		if len(got.IDs) == 0 || !slices.Equal(want.IDs, got.IDs) || !slices.Equal(want.LogProbs, got.LogProbs) || want.Best != got.Best {
			t.Fatalf("%+v is not canonical", got)
		}
	})
}
