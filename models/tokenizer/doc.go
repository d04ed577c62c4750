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
//	| normalizer    | normalizer    | NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Lowercase, Strip, StripAccents, BertNormalizer, Prepend, Replace, ByteLevel, Sequence |
//	| pre-tokenizer | preTokenizer  | Metaspace, ByteLevel, Whitespace, WhitespaceSplit, BertPreTokenizer, Punctuation, Digits, Split, CharDelimiterSplit, UnicodeScripts, FixedLength, Sequence |
//	| model         | model         | BPE over bytes and over characters (byte_fallback, affixes), Unigram, WordPiece, WordLevel |
//	| post-process  | postProcessor | ByteLevel, TemplateProcessing, Bert, Roberta, Sequence   |
//	| decoder       | decoderStage  | ByteLevel, ByteFallback, Fuse, Strip, Metaspace, WordPiece, BPEDecoder, CTC, Replace, Sequence |
//
// The rules that decide whether ids are exact:
//
//   - Invalid UTF-8 is repaired first: one U+FFFD for each maximal subpart.
//   - Added tokens are found before anything else, leftmost and longest; those
//     that are not `normalized` in the raw text, then the others in each
//     normalised segment between them, where their own content is normalised too.
//   - Whoever holds the text of a stranger encodes it with [Tokenizer.EncodePlain]:
//     the text of a special token is then ordinary text.
//   - An added token whose content the model knows has the model's id, the
//     others are numbered on from the model's size. The file must agree, or it
//     is refused.
//   - Normalisation and splitting apply to each segment on its own. A stage that
//     asks whether a piece is the first of the text asks whether it comes from
//     the first character as it was before normalisation.
//   - The Unicode tables are the reference's, whatever Go's are, and it has
//     several: 17 for lower case and grapheme clusters, 16 in patterns, 9 and 8
//     in normalisation, scripts and marks.
//   - BPE merges the pair of lowest rank first, the leftmost among equals.
//     `ignore_merges` takes a piece that is a token as it stands.
//   - Unigram takes the sum of scores in the order of the text, as float64, and
//     of equal sums the one found first. Neighbouring unknown characters are one.
//   - Truncation and padding in the file are the callers' business and ignored.
//
// Time grows as n·log n at most. BPE over characters cuts texts where no merge
// can cross ([cuts]), so that a text without a pre-tokenizer falls apart into
// words; a bounded [cache] knows the ids of recent words; patterns run by a
// small matcher of our own ([program]), or a general engine where they are
// beyond it.
//
// Decoding passes tokens through stages that give on text as soon as later
// tokens cannot change it; ids that no token has give nothing. A [Stream] gives
// piece by piece what [Tokenizer.Decode] gives at once. [Tokenizer.Vocabulary]
// has the bytes of each id as they come out within a text.
package tokenizer
