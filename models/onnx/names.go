package onnx

import (
	"slices"
	"strconv"
	"strings"
)

// kind is what a cache tensor holds.
type kind int

const (
	kindUnknown kind = iota
	kindKeys
	kindValues
	kindBoth // keys and values in one tensor
)

// cacheName is what the name of a cache tensor says. Exporters write it in many
// ways, and an input and its output are paired by what their names say:
//
//	past_key_values.3.key     present.3.key          optimum, ONNX Runtime GenAI
//	past_3                    present_3              ONNX Runtime's conversion of GPT-2
//	past_key_3, past_value_3  present_key_3 …        its conversions of other models
//	past_key_values.3.key_value                      optimum, GPT-BigCode
//	past_key_values.3.decoder.key                    exports made from encoder-decoder code
//	cache.3.k                 cache_out.3.k
type cacheName struct {
	layer int // −1: no number, one tensor for all layers
	kind  kind
	out   bool // the name says that it is an output, as past_key_out_3 does in spite of its past
	known bool // the name is that of a cache, and nothing in it is not understood
}

// cacheWords is what the words of a cache's name mean to cacheName. A word that is
// not here makes the name one that is not understood.
var cacheWords = map[string]struct{ cache, in, out, key, value bool }{
	"past": {cache: true, in: true}, "present": {cache: true, out: true}, "cache": {cache: true}, "caches": {cache: true},
	"in": {in: true}, "input": {in: true}, "old": {in: true}, "prev": {in: true}, "previous": {in: true},
	"out": {out: true}, "output": {out: true}, "new": {out: true}, "updated": {out: true}, "next": {out: true},
	"key": {key: true}, "keys": {key: true}, "k": {key: true},
	"value": {value: true}, "values": {value: true}, "v": {value: true},
	"kv":    {cache: true, key: true, value: true},
	"layer": {}, "layers": {}, "decoder": {}, "self": {}, "attn": {}, "attention": {}, "block": {}, "blocks": {}, "model": {}, "h": {},
}

// parseCacheName reads a name.
func parseCacheName(name string) cacheName {
	c := cacheName{layer: -1}
	rest := strings.ToLower(name)
	// "past_key_values" is one word for the cache, as is "past_key_value".
	for _, long := range []string{"key_values", "key_value"} {
		for _, side := range []string{"past_", "present_"} {
			if after, ok := strings.CutPrefix(rest, side+long); ok && !startsWithLetter(after) {
				rest = strings.TrimSuffix(side, "_") + after
			}
		}
	}
	var cache, in, key, value bool
	for _, word := range words(rest) {
		if n, err := strconv.Atoi(word); err == nil {
			if c.layer >= 0 || n > widest {
				return cacheName{}
			}
			c.layer = n
			continue
		}
		w, ok := cacheWords[word]
		if !ok {
			return cacheName{}
		}
		cache, in, key, value, c.out = cache || w.cache, in || w.in, key || w.key, value || w.value, c.out || w.out
	}
	switch {
	case key && value:
		c.kind = kindBoth
	case key:
		c.kind = kindKeys
	case value:
		c.kind = kindValues
	case cache && (in || c.out):
		c.kind = kindBoth
	}
	c.known = c.kind != kindUnknown && (cache || in || c.out)
	return c
}

func startsWithLetter(s string) bool { return s != "" && s[0] >= 'a' && s[0] <= 'z' }

// words splits a name at everything that is neither letter nor digit, and between
// letters and digits.
func words(name string) []string {
	var all []string
	begin := 0
	class := func(b byte) int {
		switch {
		case b >= 'a' && b <= 'z':
			return 1
		case b >= '0' && b <= '9':
			return 2
		}
		return 0
	}
	for i := 1; i <= len(name); i++ {
		if i == len(name) || class(name[i]) != class(name[begin]) {
			if class(name[begin]) != 0 {
				all = append(all, name[begin:i])
			}
			begin = i
		}
	}
	return all
}

// aliens are words in the names of inputs and outputs that tell what a graph is if
// it is no decoder of text that keeps keys and values, with what to do about it.
var aliens = []struct {
	words []string
	why   string
}{
	{[]string{"encoder", "cross"},
		"it belongs to an encoder-decoder; only decoders that read nothing but text can be run"},
	{[]string{"conv", "ssm", "recurrent", "rnn", "mamba", "rwkv", "state", "states"},
		"it keeps a state of convolutions or of a recurrent layer, which cannot be cut back to an earlier token; only models whose layers all keep keys and values can be run"},
	{[]string{"scale", "scales", "zp"},
		"the cache is quantised; export the model with float16 or float32 keys and values"},
	{[]string{"slot", "table", "tables"},
		"it is for caches in pages, which servers on GPUs use; export the model with past and present keys and values"},
	{[]string{"pixel", "image", "images", "audio", "vision", "video", "speech"},
		"it wants images or sound; export the model's text decoder, with " + nameIDs},
	{[]string{"embeds", "embeddings"},
		"it wants embeddings instead of tokens; export the decoder with its embedding, so that it has " + nameIDs},
	{[]string{"beam", "indirection"},
		"it is made for beam search inside the runtime; export the model with the task text-generation-with-past"},
}

// alien explains an input or output by its name; empty if no word in it says more.
func alien(name string) string {
	all := words(strings.ToLower(name))
	for _, a := range aliens {
		if slices.ContainsFunc(all, func(w string) bool { return slices.Contains(a.words, w) }) {
			return a.why
		}
	}
	return ""
}
