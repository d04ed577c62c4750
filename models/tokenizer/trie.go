package tokenizer

import (
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// trie finds which tokens a text begins with. It is a double array: the child
// of a node by a byte lies at the node's base plus the byte, if that place says
// so.
//
// Invariants: place 0 is the root; a place whose parent is p was put at
// bases[p] plus its byte; free places have the parent noParent; values holds an
// id where a token ends, none elsewhere.
type trie struct {
	nodes []trieNode
}

type trieNode struct {
	base   int32
	parent int32
	value  eft.Token
}

const (
	noParent int32 = -1
	rootNode int32 = 0
)

// child returns the node that b leads to from node.
func (t *trie) child(node int32, b byte) (int32, bool) {
	at := t.nodes[node].base + int32(b)
	if int(at) >= len(t.nodes) || t.nodes[at].parent != node {
		return 0, false
	}
	return at, true
}

// walk follows text from the root; ok is false if no token begins with it.
func (t *trie) walk(text string) (node int32, ok bool) {
	ok = true
	for i := 0; i < len(text) && ok; i++ {
		if node, ok = t.child(node, text[i]); !ok {
			return 0, false
		}
	}
	return node, true
}

// newTrie makes a trie of ids.
func newTrie(ids vocab) *trie {
	b := trieBuilder{keys: make([]string, 0, len(ids)), trie: &trie{}}
	for token := range ids {
		b.keys = append(b.keys, token)
	}
	slices.Sort(b.keys)
	b.grow(256)
	b.take(rootNode, noParent-1) // nobody's child
	b.queue = append(b.queue, trieTask{rootNode, 0, len(b.keys), 0})
	for len(b.queue) > 0 {
		task := b.queue[len(b.queue)-1]
		b.queue = b.queue[:len(b.queue)-1]
		b.place(task, ids)
	}
	return b.trie
}

// trieBuilder puts the children of one node after the other into free places.
type trieBuilder struct {
	*trie
	keys  []string // in order
	queue []trieTask
	// free leads from a place to the next that may be free, itself if it is.
	free  []int32
	start int // no place before it is worth a look
	bytes []byte
	ends  []int
}

// trieTask is a node whose keys are keys[from:to], all alike up to depth.
type trieTask struct {
	node     int32
	from, to int
	depth    int
}

func (b *trieBuilder) grow(places int) {
	for len(b.nodes) < places {
		b.free = append(b.free, int32(len(b.nodes)))
		b.nodes = append(b.nodes, trieNode{parent: noParent, value: none})
	}
}

// take gives a place to a node's child.
func (b *trieBuilder) take(at, parent int32) {
	b.nodes[at].parent = parent
	b.free[at] = at + 1
}

// nextFree is the first free place from at on.
func (b *trieBuilder) nextFree(at int) int {
	for {
		b.grow(at + 257)
		next := int(b.free[at])
		if next == at {
			return at
		}
		b.free[at] = b.free[next] // shorter for the next one who asks
		at = next
	}
}

// place puts the children of a task's node.
func (b *trieBuilder) place(task trieTask, ids vocab) {
	from := task.from
	if key := b.keys[from]; len(key) == task.depth {
		b.nodes[task.node].value = ids[key]
		from++
	}
	b.bytes, b.ends = b.bytes[:0], b.ends[:0]
	for i := from; i < task.to; {
		first := b.keys[i][task.depth]
		for i++; i < task.to && b.keys[i][task.depth] == first; i++ {
		}
		b.bytes, b.ends = append(b.bytes, first), append(b.ends, i)
	}
	if len(b.bytes) == 0 {
		return
	}
	base := b.base()
	b.nodes[task.node].base = base
	for _, c := range b.bytes {
		b.take(base+int32(c), task.node)
	}
	for i, c := range b.bytes {
		b.queue = append(b.queue, trieTask{base + int32(c), from, b.ends[i], task.depth + 1})
		from = b.ends[i]
	}
}

// base finds where all of bytes have a free place.
func (b *trieBuilder) base() int32 {
	first := int(b.bytes[0])
	for at, tries := max(b.start, first+1), 0; ; at, tries = at+1, tries+1 {
		at = b.nextFree(at)
		fits := true
		for _, c := range b.bytes[1:] {
			if b.nodes[at-first+int(c)].parent != noParent {
				fits = false
				break
			}
		}
		if fits {
			return int32(at - first)
		}
		// A crowded stretch is given up, so that building stays linear.
		if tries == 64 {
			b.start, tries = max(b.start, at), 0
		}
	}
}
