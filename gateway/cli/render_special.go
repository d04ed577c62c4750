package cli

import (
	"bytes"
	"encoding/json"
	"strings"
)

// specialTokens are the members of a tokenizer configuration that name its special
// tokens, such as bos_token, as JSON members without braces.
func specialTokens(config []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for name, raw := range all {
		var token struct{ Content *string }
		if !strings.HasSuffix(name, "_token") {
			continue
		}
		var text string
		if json.Unmarshal(raw, &text) == nil && string(raw) != "null" {
			texts[name] = text
		} else if json.Unmarshal(raw, &token) == nil && token.Content != nil {
			texts[name] = *token.Content
		}
	}
	members, err := json.Marshal(texts)
	return bytes.Trim(members, "{}"), err
}
