package prefix

import "github.com/graft-gateway/graft/eft/chain"

// leastRest is how many tokens a rest must have to be kept: below that, computing them
// together with the last two takes hardly longer than computing those alone.
const leastRest = 8

// pieces are what a prompt is kept in: blocks, and behind them the rest, which is
// shorter.
type pieces struct {
	keys  []chain.Key
	block int // tokens of each, but for the rest
	end   int // tokens of all
}

// cut is how many tokens of a prompt are kept, and in how many pieces. Two at least lie
// behind them: the last one's row is wanted, and it must not be computed alone. A prompt
// shorter than a block is not kept: most are new, and cost little.
func cut(prompt, block int) (end, n int) {
	n = max(prompt-2, 0) / block
	end = n * block
	if rest := prompt - 2 - end; n > 0 && rest >= leastRest {
		return end + rest, n + 1
	}
	return end, n
}

func (p pieces) len() int { return len(p.keys) }

// until is how many tokens the first n pieces have.
func (p pieces) until(n int) int { return min(n*p.block, p.end) }

// tokens is how many tokens piece i has.
func (p pieces) tokens(i int) int { return p.until(i+1) - p.until(i) }

// behind are those behind the first n, which are blocks unless n is all.
func (p pieces) behind(n int) pieces {
	return pieces{keys: p.keys[n:], block: p.block, end: p.end - p.until(n)}
}

// sum is how many tokens some pieces have.
func (p pieces) sum(some []int) (tokens int) {
	for _, i := range some {
		tokens += p.tokens(i)
	}
	return tokens
}
