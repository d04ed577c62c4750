package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

func TestZZ(t *testing.T) {
	files, _ := filepath.Glob(os.Getenv("CMP"))
	for _, p := range files {
		b, _ := os.ReadFile(p)
		var list []json.RawMessage
		if b[0] == '[' {
			json.Unmarshal(b, &list)
		} else {
			list = []json.RawMessage{b}
		}
		bad, refused := 0, 0
		for _, raw := range list {
			var c struct {
				Path, Name string
				File       json.RawMessage
				RawCases   [][5]json.RawMessage `json:"cases"`
				Decodes    [][3]json.RawMessage
			}
			if err := json.Unmarshal(raw, &struct {
				Path     *string
				Name     *string
				File     *json.RawMessage
				RawCases *[][5]json.RawMessage `json:"cases"`
				Decodes  *[][3]json.RawMessage
			}{&c.Path, &c.Name, &c.File, &c.RawCases, &c.Decodes}); err != nil {
				t.Fatal(err)
			}
			data := []byte(c.File)
			if c.Path != "" {
				data, _ = os.ReadFile(c.Path)
			}
			tok, err := Load(data)
			if err != nil {
				refused++
				t.Logf("%s REFUSED %v", c.Name, err)
				continue
			}
			fails := 0
			fail := func(f string, a ...any) {
				if fails++; fails <= 6 {
					t.Errorf(c.Name+": "+f, a...)
				}
			}
			for _, w := range c.RawCases {
				var text string
				var dec, skp *string
				var ids, sp []eft.Token
				for i, v := range []any{&text, &ids, &sp, &dec, &skp} {
					json.Unmarshal(w[i], v)
				}
				if got := tok.Encode(text, false); !slices.Equal(got, ids) {
					fail("%.120q: %v want %v", text, got, ids)
				}
				if got := tok.Encode(text, true); !slices.Equal(got, sp) {
					fail("special %.120q: %v want %v", text, got, sp)
				}
				for skip, want := range map[bool]*string{false: dec, true: skp} {
					if want == nil {
						continue
					}
					if got := tok.Decode(sp, skip); got != *want {
						fail("decode %v %.40v: %.200q want %.200q", skip, sp, got, *want)
					}
					s := tok.Stream(skip)
					var b strings.Builder
					for _, id := range sp {
						b.WriteString(s.Push(id))
						if !strings.HasPrefix(*want, b.String()) {
							fail("stream %.200q is no prefix of %.200q", b.String(), *want)
							break
						}
					}
					b.WriteString(s.Flush())
					if b.String() != *want {
						fail("stream %v: %.200q want %.200q", sp, b.String(), *want)
					}
				}
			}
			for _, w := range c.Decodes {
				var ids []eft.Token
				var prefixes []*string
				var skp *string
				json.Unmarshal(w[0], &ids)
				json.Unmarshal(w[1], &prefixes)
				json.Unmarshal(w[2], &skp)
				for i := range ids {
					if prefixes[i] == nil {
						continue
					}
					if got := tok.Decode(ids[:i+1], false); got != *prefixes[i] {
						fail("decode prefix %v: %q want %q", ids[:i+1], got, *prefixes[i])
					}
				}
				if skp != nil {
					if got := tok.Decode(ids, true); got != *skp {
						fail("decode skip %v: %q want %q", ids, got, *skp)
					}
				}
			}
			if fails > 0 {
				bad++
				t.Logf("%s: %d of %d fail", c.Name, fails, len(c.RawCases))
				if c.Path == "" {
					t.Logf("FILE %s", strings.Replace(string(c.File), "\n", "", -1)[:min(len(c.File), 1500)])
					if bad > 5 {
						break
					}
				}
			}
		}
		t.Logf("%s: %d files, %d bad, %d refused", filepath.Base(p), len(list), bad, refused)
	}
}
