package chattemplate

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestWhatDoesNotExistIsRefusedAtParsingByLineAndName(t *testing.T) {
	tests := []struct {
		source, message string
		line            int
	}{
		{"a\n{{ x|nope }}", "No filter named 'nope'", 2},
		{"{% if false %}{% for a in x %}\n{{ a|nope }}{% endfor %}{% endif %}", "No filter named 'nope'", 2},
		{"{% for a in x if a is nope %}{% endfor %}", "No test named 'nope'", 1},
		{"{% macro m(a=1|nope) %}{% endmacro %}", "No filter named 'nope'", 1},
		{"{% set x | nope %}{% endset %}", "No filter named 'nope'", 1},
		{"{% with a = 1|nope %}{% endwith %}", "No filter named 'nope'", 1},
		{"{% call nope() %}{% endcall %}", "No function named 'nope'", 1},
		{"\n\n{{ x is nope }}", "No test named 'nope'", 3},
		{"\n{{ nope(1) }}", "No function named 'nope'", 2},
		{"\n{% nope %}", "Encountered unknown tag 'nope'", 2},
		{"{% if 1 %}\n{% endfor %}", "Encountered unknown tag 'endfor'; the innermost open block waits for 'elif' or 'else' or 'endif'", 2},
		{"{% for a in b %}{% extends 'x' %}{% endfor %}", "cannot use extend from a non top-level scope", 1},
		{"{% block a %}{% endblock %}\n{% block a %}{% endblock %}", "block 'a' defined twice", 2},
		{"{% block a required %}text{% endblock %}", "Required blocks can only contain comments or whitespace", 1},
		{"{% block a-b %}{% endblock %}", "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.", 1},
		{"{% from 'x' import _a %}", "names starting with an underline can not be imported", 1},
		{"{% import 'x' %}", "expected token 'as', got 'end of statement block'", 1},
		{"{% set x | replace(y, '') %}{% endset %}", "the name 'y' in the filters of a set block is mentioned nowhere else in its scope", 1},
		{"{% do x %}", "Encountered unknown tag 'do'", 1},
		{"{{ x|random }}", "the filter 'random' is not supported in chat templates", 1},
		{"{{ 1\n", "unexpected end of template, expected '}}'", 1},
		{"{% for a in b %}", "unexpected end of template, expected the tag 'endfor' or 'else'", 1},
		{"{{ 'a }}", `unexpected char "'" (the string does not end)`, 1},
		{"{{ a ! b }}", "unexpected char '!'", 1},
		{"{{ a² }}", "Invalid character in identifier 'a²'", 1},
		{`{{ '\N{DASH}' }}`, `the escape \N{…} is not supported; write the character itself`, 1},
		{`{{ '\ud800' }}`, "an escape in a string is no character: 'd800'", 1},
		{`{{ '\xg0' }}`, "an escape in a string needs hexadecimal digits, got 'g0'", 1},
		{`{{ '\x' }}`, "an escape in a string is cut short", 1},
		{"{% break %}", "break outside of a loop", 1},
		{"{{ x[1:2, 3] }}", "a slice cannot stand among several keys", 1},
		{"{% for loop in x %}{% endfor %}", "Can't assign to special loop variable in for-loop target", 1},
		{"{{ a.'b' }}", "expected name or number", 1},
		{"{{ f(a=1, a=2) }}", "keyword argument repeated: a", 1},
		{"{{ 007 }}", "expected token 'end of print statement', got '7'", 1},
		{"{{ " + strings.Repeat("9", 5000) + " }}", "invalid number '99999999999999999999'", 1},
	}
	for _, tt := range tests {
		var syntax *SyntaxError
		_, err := Parse(tt.source)
		if !errors.As(err, &syntax) {
			t.Errorf("%.60q: error %v, want a SyntaxError", tt.source, err)
			continue
		}
		if syntax.Message != tt.message || syntax.Line != tt.line {
			t.Errorf("%.60q: line %d: %s\nwant line %d: %s", tt.source, syntax.Line, syntax.Message, tt.line, tt.message)
		}
		if !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%q does not say %q", err, tt.message)
		}
	}
}

func TestBranchesMayNameWhatOtherEnginesHave(t *testing.T) {
	const data = `{"a": false}`
	for source, want := range map[string]string{
		"{% if now is defined %}{{ now() }}{% else %}-{% endif %}":                     "-",
		"{% if now is defined and now is callable %}{{ now() }}{% else %}-{% endif %}": "-",
		"{% if a %}{{ nope() }}{% endif %}-":                                           "-",
		"{% if a %}{% for b in c %}{{ nope() }}{% endfor %}{% endif %}-":               "-",
		"{% if a %}{{ a|nope }}{{ a is nope }}{% endif %}-":                            "-",
		"{{ a|nope if a else '-' }}":                                                   "-",
		"{% if 'nope' is filter %}{{ a|nope }}{% endif %}-":                            "-",
		"{% macro m() %}{{ nope() }}{% endmacro %}-":                                   "-",
		"{% for b in [] %}{{ nope() }}{% endfor %}-":                                   "-",
		"{{ a and nope() }}-":                                                          "False-",
		"{% if a %}{% include 'x' %}{% endif %}-":                                      "-",
	} {
		text, err := renderVector(vector{Template: source, Data: json.RawMessage(data)})
		if err != nil || text != want {
			t.Errorf("%s: got %q, error %v", source, text, err)
		}
	}
	for source, want := range map[string]string{
		"{% if not a %}{{ nope() }}{% endif %}":               "UndefinedError: 'nope' is undefined",
		"{% if not a %}{{ a|nope }}{% endif %}":               "TemplateRuntimeError: No filter named 'nope'",
		"{% if not a %}{{ [1]|random }}{% endif %}":           "TemplateRuntimeError: the filter 'random' is not supported in chat templates",
		"{% for i in [1] %}{{ nope(1) }}{% endfor %}":         "UndefinedError: 'nope' is undefined",
		"{% include 'x' %}":                                   "TypeError: no loader for this environment specified (the tag 'include')",
		"{% if a is nope %}{% endif %}":                       "TemplateRuntimeError: No test named 'nope'",
		"{% if 1 %}{{ [1]|map('nope')|list }}{% endif %}":     "TemplateRuntimeError: No filter named 'nope'",
		"{% if 1 %}{{ [1]|select('nope')|list }}{% endif %}":  "TemplateRuntimeError: No test named 'nope'",
		"{% if lipsum is defined %}{{ lipsum() }}{% endif %}": "NotSupported: the function lipsum, which makes random text",
		"{% set f = 'nope' %}{{ [1]|map(f)|list }}":           "TemplateRuntimeError: No filter named 'nope'",
		"{% set f = 1 %}{{ [1]|select(f)|list }}":             "TemplateRuntimeError: select needs the name of a test, got a int",
		"{% set f = 1 %}{{ [1]|map(f)|list }}":                "TypeError: map needs the name of a filter, got a int",
	} {
		_, err := renderVector(vector{Template: source, Data: json.RawMessage(data)})
		if err == nil || err.Error() != "chat template, line 1: "+want {
			t.Errorf("%s: error %v, want %s", source, err, want)
		}
	}
}

func TestErrorsSayWhereTheyHappened(t *testing.T) {
	for source, want := range map[string]string{
		"a\n{{ 'a' + 1 }}": `chat template, line 2: TypeError: can only concatenate str (not "int") to str`,
		"{% for m in [1] %}\n{{ m.a.b }}{% endfor %}":                "chat template, line 2: UndefinedError: 'int object' has no attribute 'a'",
		"{% macro m() %}\n{{ 1 // 0 }}\n{% endmacro %}\n\n{{ m() }}": "chat template, line 2: ZeroDivisionError: integer division or modulo by zero",
		"{{ ''.__class__.x }}":                                       "chat template, line 1: SecurityError: access to attribute '__class__' of 'str' object is unsafe.",
		"\n{{ [].append(1) }}":                                       "chat template, line 2: SecurityError: access to attribute 'append' of 'list' object is unsafe.",
		"\n{{ raise_exception('no ' ~ 1) }}":                         "the chat template refuses this conversation: no 1",
		"\n\n{{ 'a' * 10**12 }}":                                     "chat template, line 3: more than 134217728 bytes of text and lists",
	} {
		_, err := renderVector(vector{Template: source, Data: json.RawMessage(`{}`)})
		if err == nil || err.Error() != want {
			t.Errorf("%q\ngot  %v\nwant %s", source, err, want)
		}
	}
}

func TestRaisedErrorsCarryTheTemplatesMessage(t *testing.T) {
	_, err := renderVector(vector{Template: "\n{% if true %}{{ raise_exception('roles must alternate') }}{% endif %}", Data: json.RawMessage(`{}`)})
	var raised *RaisedError
	if !errors.As(err, &raised) || raised.Message != "roles must alternate" || raised.Line != 2 {
		t.Errorf("got %#v", err)
	}
}

func TestDataThatIsNotExactIsRefused(t *testing.T) {
	tmpl, err := Parse("{{ a }}")
	if err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]string{
		`[]`:                      "not an object",
		`{`:                       "EOF",
		`{"a": 1} 2`:              "goes on after",
		`{"a": "\ud800"}`:         "half a surrogate pair",
		`{"a": "\udc00\ud800"}`:   "half a surrogate pair",
		`{"a": "\ud83dx"}`:        "half a surrogate pair",
		"{\"a\": \"\xff\"}":       "not valid UTF-8",
		`{"a": NaN}`:              "invalid",
		`{"a": [1,}`:              "invalid",
		`{"a": {"b" 1}}`:          "invalid",
		`{"a": {1: 1}}`:           "invalid",
		strings.Repeat("[", 9999): "deeper",
		`{"a": ` + strings.Repeat("9", 5000) + `}`: "5000 digits",
	} {
		if _, err := tmpl.Render(context.Background(), json.RawMessage(data), vectorTime); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want one with %q", data, err, want)
		}
	}
}

func TestDataKeepsOrderAndTypes(t *testing.T) {
	for data, want := range map[string]string{
		`{"a": {"z": 1, "b": 1.0, "a": -0.0, "z": 2}}`:  "{'z': 2, 'b': 1.0, 'a': -0.0}",
		`{"a": [1e2, 1E400, -0, 12345678901234567890]}`: "[100.0, inf, 0, 12345678901234567890]",
		`{"a": "\ud83d\ude00 \\ud800 \u0041"}`:          `😀 \ud800 A`,
		`{"a": null}`:                                   "None",
		`{"a": [true, false, []]}`:                      "[True, False, []]",
		`{}`:                                            "",
	} {
		text, err := renderVector(vector{Template: "{{ a }}", Data: json.RawMessage(data)})
		if err != nil || text != want {
			t.Errorf("%s: got %q, error %v, want %q", data, text, err, want)
		}
	}
}
