package eft

import "math"

// filter masks with −∞ what top_k, then top_p, then min_p leave out. Each works on
// the distribution that the one before it left, renormalised. Ids with equal scores
// rank by id.
func (s *Sampler) filter(top Token) {
	p := s.params
	if (p.TopK > 0 && p.TopK < len(s.scores)) || p.TopP < 1 {
		s.keepBest(p.TopK, p.TopP)
	}
	if p.MinP > 0 {
		least := s.scores[top] + math.Log(p.MinP)
		for id, score := range s.scores {
			if score < least {
				s.scores[id] = math.Inf(-1)
			}
		}
	}
}

// keepBest keeps the k best ids (all if k is 0) and of these the smallest leading
// set that has at least mass p.
func (s *Sampler) keepBest(k int, p float64) {
	s.order.reset(s.scores)
	s.kept, s.keptScores = s.kept[:0], s.keptScores[:0]
	if k > 0 && k < len(s.scores) {
		for len(s.kept) < k && s.order.more() {
			s.keepNext()
		}
		s.kept = s.kept[:nucleus(s.keptScores, p)]
	} else {
		whole := LogSumExp(s.scores)
		for mass := 0.0; mass < p && s.order.more(); {
			mass += math.Exp(s.keepNext() - whole)
		}
	}
	for id := range s.scores {
		s.scores[id] = math.Inf(-1)
	}
	for i, id := range s.kept {
		s.scores[id] = s.keptScores[i]
	}
}

func (s *Sampler) keepNext() float64 {
	id, score := s.order.pop()
	s.kept, s.keptScores = append(s.kept, id), append(s.keptScores, score)
	return score
}

// nucleus returns how many of the descending scores reach the share p of their mass.
func nucleus(scores []float64, p float64) int {
	if p == 1 {
		return len(scores)
	}
	whole, mass := LogSumExp(scores), 0.0
	for i, score := range scores {
		if mass += math.Exp(score - whole); mass >= p {
			return i + 1
		}
	}
	return len(scores)
}
