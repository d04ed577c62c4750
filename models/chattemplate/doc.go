// Package chattemplate renders the chat templates that models on the Hub carry,
// byte for byte as the transformers library does.
//
// A chat template is a Jinja2 program that turns a conversation into the text
// which a model was tuned on. One wrong blank makes a prompt that the model has
// never seen, so this package has one rule: a prompt is either exact or refused.
// Python's ways are therefore kept (True and None, 1 and 1.0, insertion order
// of keys, quotes inside a printed list, the text of an undefined value), and
// whatever is not understood refuses: at [Parse] with the line and the name if
// it can be seen there, at [Template.Render] otherwise.
//
//	t, err := chattemplate.Parse("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}")
//	text, err := t.RenderInput(ctx, chattemplate.Input{
//		Messages: []chattemplate.Message{{Role: "user", Content: "Hi"}},
//	})
//	// <user>Hi
//
// A model folder carries its templates in tokenizer_config.json or in files of
// their own, and its special tokens beside them:
//
//	sources, err := chattemplate.FromConfig(config)   // or FromFiles
//	source, err := sources.Pick(len(tools) > 0)
//	special, err := chattemplate.SpecialTokens(config, nil)
//
// The language is Jinja2 3.1 with the settings of transformers: trim_blocks,
// lstrip_blocks, the immutable sandbox, break and continue, {% generation %},
// raise_exception, strftime_now, and a tojson that does not escape HTML. Every
// other filter, test, tag and method is there as well, and what Python does to
// them. Refused is what has no fixed text (random, lipsum, the address of an
// object), complex numbers, and bytes; there is nothing to include or extend.
//
//	| files                        | what they hold                             |
//	|------------------------------|--------------------------------------------|
//	| lexer, token, escape         | source → text and tags → tokens            |
//	| parser*, ast, walk           | tokens → tree                              |
//	| check, symbols               | what the tree names; in which scope a name lives |
//	| eval*, scope, call, operators, compare, access, iterate | tree → text     |
//	| value, number, dict, text, digits, repr, json* | Python's values, their text and order |
//	| filters*, tests, methods*, members, globals, format*, strftime | what a template can call |
//	| limits, errors               | what a template may cost, and how it fails |
//	| config, input                | a model's templates and tokens; a conversation |
//
// Templates come from strangers. They have no I/O, cannot change the data they
// are given, and are bounded in steps, memory, output, depth and time: see
// [Limits]. A [Template] never changes after it was parsed and is safe for
// concurrent use.
package chattemplate
