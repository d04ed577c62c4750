package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What clients get wrong, over the wire: each is a 4xx with an error object that names
// the field, and the server goes on.
func TestBadInputIsNamed(t *testing.T) {
	const chatPath = "/v1/chat/completions"
	hi := `"messages":[{"role":"user","content":"Hi"}]`
	body := func(more string) string { return `{"model":"demo",` + hi + `,` + more + `}` }
	long := strings.Repeat("word ", 3000)
	for name, c := range map[string]struct {
		path, body string
		status     int
		param      string
	}{
		"no JSON":             {chatPath, `{`, 400, ""},
		"not an object":       {chatPath, `[1]`, 400, ""},
		"wrong type":          {chatPath, body(`"temperature":"hot"`), 400, "temperature"},
		"NaN":                 {chatPath, body(`"temperature":NaN`), 400, "temperature"},
		"infinite":            {chatPath, body(`"tuning":{"strength":1e999}`), 400, "tuning.strength"},
		"negative strength":   {chatPath, body(`"tuning":{"strength":-1}`), 400, "tuning.strength"},
		"unknown knob":        {chatPath, body(`"tuning":{"power":1}`), 400, "tuning.power"},
		"unknown expert":      {chatPath, body(`"tuning":{"experts":{"law":1}}`), 400, "tuning.experts.law"},
		"unknown model":       {chatPath, `{"model":"nobody",` + hi + `}`, 404, "model"},
		"empty messages":      {chatPath, `{"model":"demo","messages":[]}`, 400, "messages"},
		"long prompt":         {chatPath, `{"model":"demo","messages":[{"role":"user","content":"` + long + `"}]}`, 400, "messages"},
		"n 0":                 {chatPath, body(`"n":0`), 400, "n"},
		"n huge":              {chatPath, body(`"n":1000000`), 400, "n"},
		"negative max_tokens": {chatPath, body(`"max_tokens":-1`), 400, "max_tokens"},
		"tools":               {chatPath, body(`"tools":[{"type":"function"}]`), 400, "tools"},
		"functions":           {chatPath, body(`"functions":[{"name":"f"}]`), 400, "functions"},
		"response_format":     {chatPath, body(`"response_format":{"type":"json_object"}`), 400, "response_format"},
		"audio":               {chatPath, body(`"audio":{"voice":"x"}`), 400, "audio"},
		"unknown key":         {chatPath, body(`"temprature":1`), 400, "temprature"},
		"invalid UTF-8":       {chatPath, "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}", 400, "messages[0].content"},
		"10 MiB":              {chatPath, `{"model":"demo","messages":[{"role":"user","content":"` + strings.Repeat("x", 10<<20) + `"}]}`, 413, ""},
		"foreign id":          {"/v1/completions", `{"model":"demo","prompt":[999999]}`, 400, "prompt"},
		"echo":                {"/v1/completions", `{"model":"demo","prompt":"x","echo":true}`, 400, "echo"},
		"unknown route":       {"/v2/chat", `{}`, 404, ""},
	} {
		response, err := http.Post(shared.url+c.path, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		var answer struct {
			Error *struct{ Message, Type, Param string }
		}
		if err := json.Unmarshal(text, &answer); err != nil || answer.Error == nil {
			t.Errorf("%s: %d, not an error object: %s", name, response.StatusCode, text)
			continue
		}
		if response.StatusCode != c.status || answer.Error.Param != c.param || answer.Error.Message == "" {
			t.Errorf("%s: %d, param %q: %s; want %d, %q", name, response.StatusCode, answer.Error.Param, answer.Error.Message, c.status, c.param)
		}
	}
	if text, _ := chat(t, "demo", questions(t, "held-out", "fact")[0].Question); text == "" {
		t.Error("the server does not answer any more")
	}
}
