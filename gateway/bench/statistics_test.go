package bench

import (
	"math"
	"testing"
)

// The wanted values are numpy.quantile's (NumPy 2.4, method "linear").
func TestQuantilesAreNumPys(t *testing.T) {
	values := []float64{9, 1, 4, 4, 7.5, 2, 30}
	for _, c := range []struct {
		values  []float64
		q, want float64
	}{
		{values, 0, 1}, {values, .5, 4}, {values, .95, 23.7}, {values, .99, 28.74}, {values, 1, 30}, {values, .25, 3},
		{[]float64{2, 1}, .95, 1.95}, {[]float64{5}, .5, 5}, {nil, .5, 0},
	} {
		if got := quantile(c.values, c.q); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("quantile %g of %v is %v, want %v", c.q, c.values, got, c.want)
		}
	}
	if values[0] != 9 {
		t.Error("the values were sorted in place")
	}
}

func TestWhatSaysNothingIsZero(t *testing.T) {
	if mean(nil) != 0 || rate(3, 0) != 0 || quotient(1, 0) != 0 {
		t.Error("a quotient of nothing is not 0")
	}
	if mean([]float64{1, 2, 6}) != 3 || rate(6, 3) != 2 || quotient(1, 4) != .25 {
		t.Error("means, rates or quotients are wrong")
	}
}

func TestOthersTakeWhatWeDoNot(t *testing.T) {
	for name, c := range map[string]struct {
		began, now usage
		want       float64
	}{
		"nobody else":                 {usage{10, 10, 1}, usage{12, 18, 3}, 0},
		"somebody":                    {usage{10, 10, 1}, usage{14, 16, 3}, .2},
		"rounding against us":         {usage{10, 10, 1}, usage{11, 19, 2.5}, 0},
		"a system that does not tell": {usage{}, usage{}, 0},
	} {
		if got := c.began.others(c.now); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if (Machine{Others: .05}).warning() != "" || (Machine{Others: .5}).warning() == "" {
		t.Error("people are warned of the wrong machines")
	}
}
