package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// Key names a value. Keys are hashes: callers make them so that equal keys have equal
// values for ever.
type Key = [32]byte

const (
	sealVersion = 1
	// sealSize is what a seal adds in front of a value: the version and the MAC.
	sealSize = 1 + sha256.Size
)

// sealer ties values to their keys: version ‖ HMAC-SHA256(secret, version ‖ key ‖
// value) ‖ value. Key and version have fixed lengths, so the MAC's input is
// unambiguous. It is safe for concurrent use.
type sealer struct {
	macs sync.Pool
}

// newSealer derives its own key, so that the caller may use the secret elsewhere.
func newSealer(secret []byte) *sealer {
	derive := hmac.New(sha256.New, secret)
	derive.Write([]byte("graft store seal"))
	key := derive.Sum(nil)
	s := &sealer{}
	s.macs.New = func() any { return &sealState{mac: hmac.New(sha256.New, key)} }
	return s
}

// sealState is a MAC and the scratch that keeps sums off the heap.
type sealState struct {
	mac hash.Hash
	sum [sha256.Size]byte
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
	if !hmac.Equal(s.sum(state, key, value), sealed[1:sealSize]) {
		return nil, false
	}
	return value, true
}
