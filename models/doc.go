// Package models loads model folders and runs them: the small models of the pairs,
// and a base in process.
//
// A folder is laid out as the Hub does it:
//
//	| file                              | what is read from it                       |
//	|-----------------------------------|--------------------------------------------|
//	| model.onnx, or onnx/model.onnx    | the graph                                  |
//	| tokenizer.json                    | the tokenizer and the vocabulary           |
//	| config.json                       | the context, end tokens                    |
//	| generation_config.json            | end tokens, if it is there                 |
//	| tokenizer_config.json             | special tokens, an older place of templates|
//	| chat_template.jinja               | the chat template, if it is there          |
//
// A [Model] is loaded once and serves any number of texts; a [Sequence] is one
// text, whose keys and values it keeps:
//
//	model, err := models.Load(env, folder, models.Options{})
//	text := model.Open(prompt)
//	rows, err := text.Rows(ctx, generated, path)
//
// A [Pair] advances a tuned and an untuned model in step.
package models
