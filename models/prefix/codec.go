package prefix

import (
	"encoding/binary"
	"errors"

	"github.com/zeebo/xxh3"

	"github.com/graft-gateway/graft/eft/chain"
)

// A value is a header and, behind it, keys and values as a sequence exports them:
//
//	magic      8 bytes, with the version
//	tokens     4 bytes, little-endian as all numbers
//	bytes      8 bytes, of what follows the header
//	checksum   8 bytes, XXH3 of it
//	key        32 bytes
const (
	magic      = "graftkv1"
	headerSize = 8 + 4 + 8 + 8 + 32
)

// What is wrong with a value.
var (
	errShort    = errors.New("prefix: a value is shorter than its header")
	errMagic    = errors.New("prefix: a value is of another kind or version")
	errTokens   = errors.New("prefix: a value is of another number of tokens")
	errLength   = errors.New("prefix: a value is cut off or too long")
	errKey      = errors.New("prefix: a value is another key's")
	errChecksum = errors.New("prefix: a value's checksum is wrong")
)

// finish writes the header in front of the body that value has behind it.
func finish(value []byte, key chain.Key, tokens int) {
	body := value[headerSize:]
	copy(value, magic)
	binary.LittleEndian.PutUint32(value[8:], uint32(tokens))
	binary.LittleEndian.PutUint64(value[12:], uint64(len(body)))
	binary.LittleEndian.PutUint64(value[20:], xxh3.Hash(body))
	copy(value[28:], key[:])
}

// decode returns what unwrap does, if its checksum is right.
func decode(value []byte, key chain.Key, tokens, tokenBytes int) ([]byte, error) {
	body, err := unwrap(value, key, tokens, tokenBytes)
	if err == nil && binary.LittleEndian.Uint64(value[20:]) != xxh3.Hash(body) {
		return nil, errChecksum
	}
	return body, err
}

// unwrap returns the keys and values inside value, which it does not copy, if its header
// says that they are those of so many tokens under key, each of so many bytes.
func unwrap(value []byte, key chain.Key, tokens, tokenBytes int) ([]byte, error) {
	if len(value) < headerSize {
		return nil, errShort
	}
	body := value[headerSize:]
	switch {
	case string(value[:8]) != magic:
		return nil, errMagic
	case binary.LittleEndian.Uint32(value[8:]) != uint32(tokens):
		return nil, errTokens
	case binary.LittleEndian.Uint64(value[12:]) != uint64(len(body)) || len(body) != tokens*tokenBytes:
		return nil, errLength
	case chain.Key(value[28:60]) != key:
		return nil, errKey
	}
	return body, nil
}
