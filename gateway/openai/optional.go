package openai

// Optional is a value that a client may leave out: an explicit zero is Set, a
// null is not. Its zero value is absent.
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
