package chattemplate

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// dict maps keys to values and keeps the order in which keys came first.
//
// Invariant: index[k] is the place of the entry whose key hashes to k, and
// every entry is in index.
type dict struct {
	entries []entry
	index   map[string]int
}

type entry struct{ key, value value }

func newDict(capacity int) *dict {
	return &dict{entries: make([]entry, 0, capacity), index: make(map[string]int, capacity)}
}

func (d *dict) len() int { return len(d.entries) }

// put sets key; a key that is there keeps its place and its first spelling.
func (d *dict) put(key, v value) error {
	h, err := hashKey(key)
	if err != nil {
		return err
	}
	if i, ok := d.index[h]; ok {
		d.entries[i].value = v
		return nil
	}
	d.index[h] = len(d.entries)
	d.entries = append(d.entries, entry{key, v})
	return nil
}

// set is put for a key that is text, which always hashes.
func (d *dict) set(key string, v value) {
	h := "s" + key
	if i, ok := d.index[h]; ok {
		d.entries[i].value = v
		return
	}
	d.index[h] = len(d.entries)
	d.entries = append(d.entries, entry{str(key), v})
}

func (d *dict) get(key value) (value, bool, error) {
	h, err := hashKey(key)
	if err != nil {
		return nil, false, err
	}
	i, ok := d.index[h]
	if !ok {
		return nil, false, nil
	}
	return d.entries[i].value, true, nil
}

func (d *dict) lookup(key string) (value, bool) {
	i, ok := d.index["s"+key]
	if !ok {
		return nil, false
	}
	return d.entries[i].value, true
}

func (d *dict) clone() *dict {
	c := newDict(d.len())
	c.entries = append(c.entries, d.entries...)
	maps.Copy(c.index, d.index)
	return c
}

// maxKey bounds tuples as keys: a tuple of two of the last one doubles each time.
const maxKey = 1 << 20

// maxKeyDepth bounds tuples in tuples as keys.
const maxKeyDepth = 100

// hashKey maps equal keys to equal strings: 1, 1.0 and True are one key.
func hashKey(v value) (string, error) { return hashAt(v, 0) }

func hashAt(v value, depth int) (string, error) {
	switch v := v.(type) {
	case str:
		return "s" + string(v), nil
	case markup:
		return "s" + string(v), nil
	case none:
		return "z", nil
	case boolean:
		if v {
			return "n1", nil
		}
		return "n0", nil
	case integer:
		return "n" + strconv.FormatInt(int64(v), 10), nil
	case *big.Int:
		return "n" + v.String(), nil
	case float:
		return hashFloat(float64(v)), nil
	case *undefined:
		return "u", nil
	case *group:
		return hashAt(v.pair(), depth)
	case tuple:
		if depth >= maxKeyDepth {
			return "", &LimitError{What: "tuples in each other in a dict key", Max: maxKeyDepth}
		}
		var sb strings.Builder
		sb.WriteString("t")
		for _, item := range v {
			h, err := hashAt(item, depth+1)
			if err != nil {
				return "", err
			}
			// The length keeps ("a", "b") apart from ("a…b",).
			sb.WriteString(strconv.Itoa(len(h)) + ":" + h)
			if sb.Len() > maxKey {
				return "", &LimitError{What: "bytes in a dict key", Max: maxKey}
			}
		}
		return sb.String(), nil
	case *intRange:
		if n := v.len(); n == 0 {
			return "r", nil
		} else if n == 1 {
			return fmt.Sprintf("r%d", v.start), nil
		}
		return fmt.Sprintf("r%d:%d:%d", v.start, v.at(v.len()-1), v.step), nil
	case *list, *dict:
		return "", fail(typeError, "unhashable type: '%s'", typeName(v))
	case *view:
		if v.kind != "dict_values" {
			return "", fail(typeError, "unhashable type: '%s'", v.kind)
		}
	}
	// Any other object is equal to itself only.
	return fmt.Sprintf("p%p", v), nil
}

func hashFloat(f float64) string {
	if f == math.Trunc(f) && !math.IsInf(f, 0) {
		i, _ := big.NewFloat(f).Int(nil)
		return "n" + i.String()
	}
	return "f" + strconv.FormatFloat(f, 'g', -1, 64)
}
