package tokenizer

import (
	"math/bits"

	"github.com/graft-gateway/graft/eft"
)

// pair is two neighbouring tokens in one word.
type pair uint64

func newPair(left, right eft.Token) pair { return pair(left)<<32 | pair(uint32(right)) }

// rule is what a merge makes of a pair: lower ranks go first.
type rule struct {
	rank int32
	id   eft.Token
}

// ruleTable finds the rule of a pair: a hash table with open addressing, which
// is what merging spends its time in.
//
// Invariants: the number of slots is a power of two, at least twice the number
// of rules; a rule lies in the first free slot from its pair's own on.
type ruleTable struct {
	slots []ruleSlot
	shift int // of the hash, so that it is a slot
}

type ruleSlot struct {
	pair pair
	rule
}

// noPair marks free slots: ids are not negative.
const noPair = ^pair(0)

func newRuleTable(rules int) *ruleTable {
	log := bits.Len(uint(2*rules + 1))
	t := &ruleTable{slots: make([]ruleSlot, 1<<log), shift: 64 - log}
	for i := range t.slots {
		t.slots[i].pair = noPair
	}
	return t
}

// slot is where p lies or would lie.
func (t *ruleTable) slot(p pair) *ruleSlot {
	mask := len(t.slots) - 1
	// Both halves are small numbers: the rotation keeps them apart.
	i := int(((uint64(p) ^ bits.RotateLeft64(uint64(p), 25)) * 0x9E3779B97F4A7C15) >> t.shift)
	for t.slots[i].pair != p && t.slots[i].pair != noPair {
		i = (i + 1) & mask
	}
	return &t.slots[i]
}

// put sets the rule of p.
func (t *ruleTable) put(p pair, r rule) { *t.slot(p) = ruleSlot{p, r} }

// get returns the rule of p.
func (t *ruleTable) get(left, right eft.Token) (rule, bool) {
	s := t.slot(newPair(left, right))
	return s.rule, s.pair != noPair
}
