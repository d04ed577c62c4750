package rowcache

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// The bytes follow from the comment at the head of codec.go: float32 −0.5 is 0xbf000000,
// −2 is 0xc0000000, −∞ is 0xff800000.
var golden = []struct {
	name string
	e    entry
	hex  string
}{
	{"one best", entry{row: eft.Row{IDs: []eft.Token{5}, LogProbs: []float32{-0.5}, Best: 1}}, "01 00 01 05 000000bf 00"},
	{
		"best and names",
		entry{
			row:   eft.Row{IDs: []eft.Token{300, 1}, LogProbs: []float32{-0.5, -2}, Best: 2},
			names: []eft.Scored{{ID: 0, LogProb: -2}, {ID: 1, LogProb: -2}, {ID: 200, LogProb: float32(math.Inf(-1))}},
		},
		"01 00 02 ac02 01 000000bf 000000c0 03 00 00 c601 000000c0 000000c0 000080ff",
	},
	{"the largest ids", entry{
		row:   eft.Row{IDs: []eft.Token{math.MaxInt32}, LogProbs: []float32{0}, Best: 1},
		names: []eft.Scored{{ID: math.MaxInt32, LogProb: 0}},
	}, "01 00 01 ffffffff07 00000000 01 ffffffff07 00000000"},
	{"dense", entry{row: eft.Row{Scores: []float32{-0.5, float32(math.Inf(-1)), float32(math.Copysign(0, -1))}}}, "01 01 03 000000bf 000080ff 00000080"},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	data, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sameEntry(a, b entry) bool {
	return sameRow(a.row, b.row) && slices.EqualFunc(a.names, b.names, func(x, y eft.Scored) bool {
		return x.ID == y.ID && math.Float32bits(x.LogProb) == math.Float32bits(y.LogProb)
	})
}

func TestEntriesComeBackToTheLastBit(t *testing.T) {
	var d decoder
	for _, test := range golden {
		t.Run(test.name, func(t *testing.T) {
			if !storable(test.e, &d.seen) {
				t.Fatal("not storable")
			}
			data := encode(nil, test.e)
			if want := unhex(t, test.hex); !bytes.Equal(data, want) {
				t.Errorf("%x, want %x", data, want)
			}
			got, err := d.decode(data, test.e.row.Dense(), 2)
			if err != nil || !sameEntry(got, test.e) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestWhatIsNoRowIsRefused(t *testing.T) {
	for _, test := range []struct {
		name, hex string
		dense     bool
		want      error
	}{
		{"nothing", "", false, errVersion},
		{"a version alone", "01", false, errVersion},
		{"another version", "02 00 01 05 000000bf 00", false, errVersion},
		{"another kind", "01 02 01 05 000000bf 00", false, errCanonical},
		{"dense for truncated", "01 01 01 000000bf", false, errCanonical},
		{"truncated for dense", "01 00 01 05 000000bf 00", true, errCanonical},
		{"no best", "01 00 00 00", false, errCanonical},
		{"no scores", "01 01 00", true, errCanonical},
		{"more best than k", "01 00 03 01 02 03 000000bf 000000bf 000000bf 00", false, errCanonical},
		{"cut", "01 00 01 05 0000", false, errCut},
		{"no names' number", "01 00 01 05 000000bf", false, errCut},
		{"longer", "01 00 01 05 000000bf 00 00", false, errCut},
		{"a number without end", "01 00 ffffffffffffffffffff01", false, errCut},
		{"more rows than bytes", "01 00 ffffffff0f 05", false, errCut},
		{"more scores than bytes", "01 01 02 000000bf", true, errCut},
		{"an id beyond 31 bits", "01 00 01 8080808008 000000bf 00", false, errCut},
		{"a name beyond 31 bits", "01 00 01 05 000000bf 02 feffffff07 01 000000bf 000000bf", false, errCut},
		{"rising log-probs", "01 00 02 01 02 000000c0 000000bf 00", false, errCanonical},
		{"equal log-probs, falling ids", "01 00 02 02 01 000000bf 000000bf 00", false, errCanonical},
		{"an id twice", "01 00 02 01 01 000000bf 000000c0 00", false, errCanonical},
		{"NaN", "01 00 01 05 0000c07f 00", false, errCanonical},
		{"−∞ among the best", "01 00 01 05 000080ff 00", false, errCanonical},
		{"a dense NaN", "01 01 01 0000c07f", true, errCanonical},
		{"a name of NaN", "01 00 01 05 000000bf 01 00 0000c07f", false, errCanonical},
	} {
		t.Run(test.name, func(t *testing.T) {
			var d decoder
			if e, err := d.decode(unhex(t, test.hex), test.dense, 2); !errors.Is(err, test.want) {
				t.Errorf("%+v, %v, want %v", e, err, test.want)
			}
		})
	}
}

func TestABrokenValueIsAMiss(t *testing.T) {
	m := newTier()
	b, c := &base{scope: truncated}, New(m, secret)
	for i := range 3 {
		s := c.Open(truncated, nil, b.open(nil))
		rows, err := s.Rows(t.Context(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		same(t, truncated, nil, nil, nil, rows)
		s.Close()
		if b.calls != i+1 {
			t.Errorf("%d calls, want %d", b.calls, i+1)
		}
		for key, value := range m.values {
			m.values[key] = value[:len(value)-1]
		}
	}
	// Each is looked at twice: a key that was found recently may have come since.
	if n := c.Stats().Broken; n != 4 {
		t.Errorf("%d broken values seen, want 4", n)
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.hex), g.e.row.Dense(), 2)
	}
	f.Add([]byte{1, 0, 255, 255, 255, 255, 15}, false, 1<<30)
	f.Fuzz(func(t *testing.T, data []byte, dense bool, k int) {
		var d decoder
		e, err := d.decode(data, dense, k)
		if err != nil {
			return
		}
		if !dense && e.row.Best > k {
			t.Fatalf("%d best of %d", e.row.Best, k)
		}
		again, err := d.decode(encode(nil, e), dense, k)
		if err != nil || !sameEntry(again, e) {
			t.Fatalf("%+v came back as %+v, %v", e, again, err)
		}
	})
}
