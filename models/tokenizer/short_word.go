package tokenizer

import (
	"math"

	"github.com/graft-gateway/graft/eft"
)

// shortWord is the number of symbols up to which looking through all pairs for
// each merge beats a queue.
const shortWord = 24

// mergeShort does what [word.merge] does for at most shortWord symbols, in
// place, and returns how many tokens remain in front.
func mergeShort(ids []eft.Token, rules *ruleTable) int {
	const never = math.MaxInt32
	var list [shortWord]rule // list[i] merges ids[i] and ids[i+1]
	at := func(i int) rule {
		if r, ok := rules.get(ids[i], ids[i+1]); ok {
			return r
		}
		return rule{rank: never}
	}
	n := len(ids)
	for i := range n - 1 {
		list[i] = at(i)
	}
	for n > 1 {
		best := 0
		for i := 1; i < n-1; i++ {
			if list[i].rank < list[best].rank {
				best = i
			}
		}
		if list[best].rank == never {
			break
		}
		ids[best] = list[best].id
		copy(ids[best+1:n-1], ids[best+2:n])
		copy(list[best:n-2], list[best+1:n-1])
		n--
		ids = ids[:n]
		if best < n-1 {
			list[best] = at(best)
		}
		if best > 0 {
			list[best-1] = at(best - 1)
		}
	}
	return n
}
