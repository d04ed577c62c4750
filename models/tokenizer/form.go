package tokenizer

import "golang.org/x/text/unicode/norm"

// unicodeForm brings text into one of the four normalisation forms.
type unicodeForm struct {
	form       norm.Form
	decomposed norm.Form
}

func (f unicodeForm) normalize(text string) string { return f.form.String(text) }
