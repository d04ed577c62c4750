package doctor

import "fmt"

// Store is the cache of the base servers' rows.
type Store struct {
	Verdict  Level     `json:"verdict"`
	Findings []Finding `json:"findings"`
	Memory   int64     `json:"memory_bytes"`
	Redis    string    `json:"redis,omitempty"`         // where it is, without a password
	Seconds  float64   `json:"redis_seconds,omitempty"` // to write and read a small value

	Faults []Fault `json:"-"`
}

func (s *Store) judge() {
	s.Findings = broken(s.Faults, func(Fault) string {
		return "start Redis, or correct cache.redis and the variables that hold its password and the cache's secret"
	})
	s.Verdict = verdict(s.Findings)
}

func (s *Store) facts() []fact {
	memory := "off"
	if s.Memory > 0 {
		memory = bytesOf(s.Memory)
	}
	facts := []fact{{"memory", memory}, {"redis", s.Redis}}
	if s.Seconds > 0 {
		facts = append(facts, fact{"redis speed", fmt.Sprintf("%.2g ms to write and read a small value", 1e3*s.Seconds)})
	}
	return facts
}
