package bench

import "slices"

// quantile is the value below which a share q of values lies, between two of them on
// the line that joins them (Hyndman and Fan's seventh definition, R's and NumPy's
// default). Of no values it is 0.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// mean of no values is 0.
func mean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// rate is how many a second, 0 for no time.
func rate(n int, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}

// quotient is a ÷ b, 0 where b says nothing.
func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
