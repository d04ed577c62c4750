package store

import (
	"crypto/subtle"
	"sync"

	"github.com/zeebo/blake3"
)

// Key names a value. Keys are hashes: callers make them so that equal keys have equal
// values for ever.
type Key = [32]byte

const (
	sealVersion = 2
	macSize     = 32
	// sealSize is what a seal adds in front of a value: the version and the MAC.
	sealSize = 1 + macSize
)

// sealer ties values to their keys: version ‖ MAC(secret, version ‖ key ‖ value) ‖
// value. The MAC is keyed BLAKE3, which takes half as long as HMAC-SHA256 for a value
// of megabytes. Key and version have fixed lengths, so its input is unambiguous. It is
// safe for concurrent use.
type sealer struct {
	macs sync.Pool
}

// newSealer derives its own key, so that the caller may use the secret elsewhere.
func newSealer(secret []byte) *sealer {
	var key [macSize]byte
	blake3.DeriveKey("graft store seal 2", secret, key[:])
	s := &sealer{}
	s.macs.New = func() any {
		mac, err := blake3.NewKeyed(key[:])
		if err != nil {
			panic("a key of 32 bytes is refused: " + err.Error())
		}
		return &sealState{mac: mac}
	}
	return s
}

// sealState is a MAC and the scratch that keeps sums off the heap.
type sealState struct {
	mac *blake3.Hasher
	sum [macSize]byte
	key Key
}

func (s *sealer) sum(state *sealState, key Key, value []byte) []byte {
	state.key = key
	state.mac.Reset()
	state.sum[0] = sealVersion
	state.mac.Write(state.sum[:1])
	state.mac.Write(state.key[:])
	state.mac.Write(value)
	return state.mac.Sum(state.sum[:0])
}

// seal appends the sealed value to dst.
func (s *sealer) seal(dst []byte, key Key, value []byte) []byte {
	state := s.macs.Get().(*sealState)
	defer s.macs.Put(state)
	dst = append(dst, sealVersion)
	dst = append(dst, s.sum(state, key, value)...)
	return append(dst, value...)
}

// open returns the value inside sealed, which it does not copy; false is a value that
// was not sealed for this key with this secret.
func (s *sealer) open(key Key, sealed []byte) ([]byte, bool) {
	if len(sealed) < sealSize || sealed[0] != sealVersion {
		return nil, false
	}
	state := s.macs.Get().(*sealState)
	defer s.macs.Put(state)
	value := sealed[sealSize:]
	if subtle.ConstantTimeCompare(s.sum(state, key, value), sealed[1:sealSize]) != 1 {
		return nil, false
	}
	return value, true
}
