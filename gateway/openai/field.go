package openai

// The functions here read one key's value into its place. All of them take
// null for absent and then leave the place as it is.

// optional reads a value unless it is null.
func optional(r *reader, read func() error) error {
	if absent, err := r.null(); absent || err != nil {
		return err
	}
	return read()
}

func stringField(r *reader, dst *string) error {
	return optional(r, func() (err error) {
		*dst, err = r.text()
		return err
	})
}

func boolField(r *reader, dst *bool) error {
	return optional(r, func() (err error) {
		*dst, err = r.boolean()
		return err
	})
}

func numberField(r *reader, dst *float64, b Bounds) error {
	return optional(r, func() (err error) {
		*dst, err = r.number(b)
		return err
	})
}

func intField(r *reader, dst *int, lo, hi int64) error {
	return optional(r, func() error {
		v, err := r.integer(lo, hi)
		if err == nil {
			*dst = int(v)
		}
		return err
	})
}

// given reads a value of which it matters whether it was there.
func given[T any](r *reader, dst *Optional[T], read func() (T, error)) error {
	return optional(r, func() error {
		v, err := read()
		if err == nil {
			*dst = Some(v)
		}
		return err
	})
}
