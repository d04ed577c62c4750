package eft

import "math"

// keepBest finds what top_k, then top_p, then min_p leave, with their scaled scores,
// best first. Each works on the distribution that the one before it left,
// renormalised. Ids with equal scores rank by id.
func (s *Sampler) keepBest(best float64) {
	p := s.params
	s.order.reset(s)
	s.kept, s.keptScores = s.kept[:0], s.keptScores[:0]
	if p.TopK > 0 {
		for len(s.kept) < p.TopK && s.order.more() {
			s.keepNext(best)
		}
		s.kept = s.kept[:nucleus(s.keptScores, p.TopP)]
	} else {
		whole := s.mass(best)
		for mass := 0.0; mass < p.TopP && s.order.more(); {
			mass += math.Exp(s.keepNext(best)) / whole
		}
	}
	if p.MinP > 0 {
		least := math.Log(p.MinP)
		for len(s.kept) > 0 && s.keptScores[len(s.kept)-1] < least {
			s.kept = s.kept[:len(s.kept)-1]
		}
	}
}

// keepNext keeps the next best id and returns its scaled score.
func (s *Sampler) keepNext(best float64) float64 {
	id, score := s.order.pop()
	score = (score - best) / s.params.Temperature
	s.kept, s.keptScores = append(s.kept, id), append(s.keptScores, score)
	return score
}

// mass returns Σ exp(scaled score) of all ids.
func (s *Sampler) mass(best float64) float64 {
	sum := 0.0
	for k, limit := range s.limits {
		if (limit-best)/s.params.Temperature < negligible {
			continue
		}
		s.fill(k, &s.block)
		for i, score := range s.block {
			s.block[i] = (score - best) / s.params.Temperature
		}
		sum += s.block.exponentials(0)
	}
	return sum
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

// perturbedKept is perturbed among what the filters kept.
func (s *Sampler) perturbedKept(n noise) Token {
	at, record := s.kept[0], n.of(s.kept[0])
	for i, id := range s.kept[1:] {
		score := s.keptScores[i+1]
		if score+n.bound(n.hash(int(id)/blockSize)) < record {
			continue
		}
		if perturbed := score + n.of(id); perturbed > record || perturbed == record && id < at {
			at, record = id, perturbed
		}
	}
	return at
}
