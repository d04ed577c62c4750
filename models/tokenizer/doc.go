// Package tokenizer interprets Hugging Face tokenizer.json files: text to ids
// and back, exactly as the reference library does it, and a refusal at [Load]
// for every component that is not understood.
//
//	t, err := tokenizer.Load(file)
//	ids := t.Encode("Hello, world!", true) // true: with the beginning token, where the file asks for one
//	text := t.Decode(ids, true)            // true: without special tokens
//
// The road of a text, each stage a small interface with a file per family of
// implementations:
//
//	| stage         | interface     | implemented                                             |
//	|---------------|---------------|---------------------------------------------------------|
//	| added tokens  | –             | all flags: special, lstrip, rstrip, single_word, normalized |
//	| normalizer    | normalizer    | NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence         |
//	| pre-tokenizer | preTokenizer  | ByteLevel, Split, Digits, Punctuation, WhitespaceSplit, Sequence |
//	| model         | model         | BPE over bytes                                          |
//	| post-process  | postProcessor | ByteLevel, TemplateProcessing, Bert, Roberta, Sequence   |
//	| decoder       | decoder       | ByteLevel, Fuse after it, Sequence                      |
//
// The rules that decide whether ids are exact:
//
//   - Invalid UTF-8 is repaired first: one U+FFFD for each maximal subpart.
//   - Added tokens are found before anything else, leftmost and longest; those
//     that are not `normalized` in the raw text, then the others in each
//     normalised segment between them, where their own content is normalised too.
//   - Whoever holds the text of a stranger encodes it with [Tokenizer.EncodePlain]:
//     the text of a special token is then ordinary text.
//   - An added token whose content the model knows has the model's id. The file
//     must agree with the ids that the reference would give, or it is refused.
//   - Normalisation and splitting apply to each segment on its own.
//   - The Unicode tables are the reference's: 16 in patterns, 12 in
//     normalisation, whatever Go's are.
//   - BPE merges the pair of lowest rank first, the leftmost among equals.
//     `ignore_merges` takes a piece that is a token as it stands.
//   - Truncation and padding in the file are the callers' business and ignored.
//
// Decoding joins the bytes of all tokens and then repairs them; ids that no
// token has give nothing. A [Stream] gives the same text piece by piece.
package tokenizer
