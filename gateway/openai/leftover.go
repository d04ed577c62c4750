package openai

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// leftover sorts the keys of a completion request that are not supported: those
// that would change the answer are refused unless their value asks for nothing,
// those that are harmless are read and dropped, any other is unknown.
func leftover(r *reader, key string) error {
	switch key {
	// Tools: an answer here is text.
	case "tools", "functions":
		return refuse(r, "[]")
	case "tool_choice", "function_call":
		return refuse(r, `"none"`, `"auto"`)
	case "parallel_tool_calls":
		return refuse(r, "false")
	case "web_search_options":
		return refuse(r)

	// Other shapes of an answer.
	case "response_format":
		return refuse(r, `{"type":"text"}`)
	case "modalities":
		return refuse(r, `["text"]`)
	case "verbosity":
		return refuse(r, `"medium"`)
	case "reasoning_effort":
		return refuse(r, `"none"`)
	case "audio", "prediction", "reasoning", "thinking", "moderation":
		return refuse(r)
	case "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
		"guided_decoding_backend", "guided_whitespace_pattern", "grammar", "json_schema":
		return refuse(r)

	// Other prompts.
	case "echo", "continue_final_message":
		return refuse(r, "false")
	case "add_generation_prompt":
		return refuse(r, "true")
	case "suffix":
		return refuse(r, `""`)
	case "chat_template", "truncate_prompt_tokens", "prompt_embeds":
		return refuse(r)
	case "chat_template_kwargs":
		return refuse(r, "{}")
	case "documents":
		return refuse(r, "[]")

	// Harmless: who asks and how it is filed.
	case "user", "safety_identifier", "service_tier", "prompt_cache_key", "prompt_cache_retention", "request_id", "session_id":
		return ignore(r, kindString)
	case "metadata", "prompt_cache_options":
		return ignore(r, kindObject)
	case "store":
		return ignore(r, kindBool)
	case "priority":
		return ignore(r, kindNumber)
	}
	return extension(r, key)
}

// extension is leftover for what other servers add to OpenAI's parameters.
func extension(r *reader, key string) error {
	switch key {
	// Other ways to choose a token.
	case "repetition_penalty", "length_penalty", "repeat_penalty", "typical_p":
		return refuse(r, "1", "1.0")
	case "use_beam_search":
		return refuse(r, "false")
	case "logits_processors", "bad_words", "allowed_token_ids", "stop_token_ids":
		return refuse(r, "[]")
	case "vllm_xargs":
		return refuse(r, "{}")

	// Other things in the answer, or other handling of the request.
	case "prompt_logprobs", "kv_transfer_params", "ec_transfer_params", "repetition_detection", "truncation_side":
		return refuse(r)
	case "thinking_token_budget":
		return refuse(r, "-1")
	case "logprob_token_ids":
		return refuse(r, "[]")
	case "include_stop_str_in_output", "return_token_ids", "add_special_tokens", "watermarking", "return_token_offsets":
		return refuse(r, "false")
	case "spaces_between_special_tokens":
		return refuse(r, "true")
	}
	return unknown(r)
}

// unknown is a 400 for the key that was just read.
func unknown(r *reader) error {
	return r.fail(CodeUnknown, "%s is not a known parameter", r.where())
}

// refuse is a 400 unless the value is null or one of those, in compact JSON,
// that ask for nothing.
func refuse(r *reader, nothing ...string) error {
	if _, err := r.kind(); err != nil {
		return err
	}
	start := r.pos
	if err := r.skip(); err != nil {
		return err
	}
	accepted := append([]string{"null"}, nothing...)
	if slices.Contains(accepted, compact(r.data[start:r.pos])) {
		return nil
	}
	return r.fail(CodeUnsupported, "%s is not supported, and to ignore it could change the answer; leave it out or send %s",
		r.where(), strings.Join(accepted, " or "))
}

// compact is a value, known to be JSON, without the blanks between its parts.
func compact(value []byte) string {
	var b bytes.Buffer
	if len(value) > maxQuoted || json.Compact(&b, value) != nil {
		return "" // no value that asks for nothing is so long
	}
	return b.String()
}

// ignore drops a value after a look at its type.
func ignore(r *reader, want kind) error {
	return optional(r, func() error {
		if err := r.expect(want); err != nil {
			return err
		}
		return r.skip()
	})
}
