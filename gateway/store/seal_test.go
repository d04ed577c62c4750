package store

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The seal was computed from the comment on sealer by lukechampine.com/blake3, another
// implementation of BLAKE3 than the one in use:
//
//	blake3.DeriveKey(k, "graft store seal 2", "0123456789abcdef")
//	mac := blake3.New(32, k), over 02 ‖ 00 01 … 1f ‖ "value"
func TestASealIsWhatItsCommentSays(t *testing.T) {
	var key Key
	for i := range key {
		key[i] = byte(i)
	}
	sealed := newSealer([]byte("0123456789abcdef")).seal([]byte("x"), key, []byte("value"))
	const want = "022e3bb9d2bb7a8f1c8b692417867e29c7842d0b426b9da9b41b6b4e32e6967da876616c7565"
	if got := hex.EncodeToString(sealed[1:]); got != want || sealed[0] != 'x' {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzASealOpensWhatItClosedAndNothingElse(f *testing.F) {
	f.Add([]byte("value"), 3, byte(1))
	f.Add([]byte{}, 0, byte(0))
	f.Add([]byte("a longer value"), 34, byte(128))
	f.Fuzz(func(t *testing.T, value []byte, at int, change byte) {
		s := newSealer(secret)
		sealed := s.seal(nil, key(1), value)
		if got, ok := s.open(key(1), sealed); !ok || !bytes.Equal(got, value) {
			t.Fatalf("%q came back as %q, %v", value, got, ok)
		}
		if _, ok := s.open(key(2), sealed); ok {
			t.Error("opened with another key")
		}
		if at >= 0 && at < len(sealed) && change != 0 {
			sealed[at] ^= change
			if _, ok := s.open(key(1), sealed); ok {
				t.Error("opened after a change")
			}
		}
		if _, ok := s.open(key(1), value); ok {
			t.Error("opened what was never sealed")
		}
	})
}
