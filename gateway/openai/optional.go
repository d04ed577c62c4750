package openai

import "encoding/json"

// Optional is a value that a client may leave out: an explicit zero is Set, a
// null is not. Its zero value is absent. In an answer's field tagged omitzero
// an absent one leaves its key out.
type Optional[T any] struct {
	Value T
	Set   bool
}

// Some is a value that was given.
func Some[T any](v T) Optional[T] { return Optional[T]{Value: v, Set: true} }

// Or returns the value, or def if it is absent.
func (o Optional[T]) Or(def T) T {
	if o.Set {
		return o.Value
	}
	return def
}

// Else returns o, or under if o is absent.
func (o Optional[T]) Else(under Optional[T]) Optional[T] {
	if o.Set {
		return o
	}
	return under
}

// IsZero is what omitzero asks.
func (o Optional[T]) IsZero() bool { return !o.Set }

// MarshalJSON writes the value alone, null if it is absent.
func (o Optional[T]) MarshalJSON() ([]byte, error) {
	if !o.Set {
		return []byte("null"), nil
	}
	return json.Marshal(o.Value)
}
