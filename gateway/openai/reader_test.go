package openai

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestBodiesThatAreNotOneJSONObjectAreRefused(t *testing.T) {
	refuses(t, DecodeChat, []wrong{
		{"empty", "", "", CodeInvalidJSON, "the body is empty"},
		{"blanks", " \r\n\t", "", CodeInvalidJSON, "the body is empty"},
		{"null", "null", "", CodeInvalidType, "the body must be an object, got null"},
		{"a list", "[]", "", CodeInvalidType, "must be an object, got a list"},
		{"a string", `"x"`, "", CodeInvalidType, "got a string"},
		{"a number", "1", "", CodeInvalidType, "got a number"},
		{"a byte order mark", "\xef\xbb\xbf{}", "", CodeInvalidJSON, `'\ufeff' where a value should be`},
		{"not UTF-8 at the start", "\xff", "", CodeInvalidJSON, "byte 0xff where a value"},
		{"data after it", chatWith(`"n":1`) + " x", "", CodeInvalidJSON, "more data follows"},
		{"a second object", chatWith(`"n":1`) + "{}", "", CodeInvalidJSON, "more data follows"},
		{"only an opening brace", "{", "", CodeInvalidJSON, "line 1, column 2 (byte 1): the end where a key"},
		{"a key without quotes", "{model:1}", "", CodeInvalidJSON, "'m' where a key in double quotes"},
		{"single quotes", "{'model':1}", "", CodeInvalidJSON, `'\'' where a key`},
		{"an unfinished key", `{"mod`, "", CodeInvalidJSON, "it ends inside a string"},
		{"a missing colon", `{"model" "x"}`, "model", CodeInvalidJSON, "where ':' should be"},
		{"a missing value", `{"model":`, "model", CodeInvalidJSON, "it ends where a value should be"},
		{"a missing comma", `{"model":"x" "n":1}`, "", CodeInvalidJSON, "where ',' or '}' should be"},
		{"a trailing comma", `{"model":"x",}`, "", CodeInvalidJSON, "'}' where a key"},
		{"a trailing comma in a list", promptStop(`["a",]`), "stop[1]", CodeInvalidJSON, "']' where a value"},
		{"an unfinished list", `{"stop":["a"`, "stop[0]", CodeInvalidJSON, "the end where ',' or ']'"},
		{"a cut literal", `{"stream":tru}`, "stream", CodeInvalidJSON, "where true should be"},
		{"a cut null", `{"stream":nul`, "stream", CodeInvalidJSON, "where null should be"},
		{"Python's False", `{"stream":False}`, "stream", CodeInvalidJSON, "'F' where a value"},
		{"a cut false", `{"stream":fals}`, "stream", CodeInvalidJSON, "where false should be"},
		{"a comment", `{"n":1 /* one */}`, "", CodeInvalidJSON, "'/' where ','"},
		{"the line and column", "{\n\"model\": \"x\",\n  \"n\": !}", "n", CodeInvalidJSON, "line 3, column 8 (byte 23)"},
	})
}

func promptStop(stop string) string { return `{"stop":` + stop + `}` }

func TestNumbersThatAreNotJSONAreRefused(t *testing.T) {
	var cases []wrong
	for _, number := range []string{"+1", ".5", "1.", "01", "-", "1e", "1e+", "0x10", "1_000", "--1", "-.5"} {
		cases = append(cases, wrong{number, chatWith(`"temperature":` + number), "temperature", CodeInvalidJSON, ""})
	}
	// These end where a number may end: what follows is what is wrong.
	for i, c := range cases {
		if c.name == "01" || c.name == "0x10" || c.name == "1_000" {
			cases[i].param = ""
			cases[i].message = "where ',' or '}' should be"
		}
	}
	refuses(t, DecodeChat, append(cases,
		wrong{"NaN", chatWith(`"temperature":NaN`), "temperature", CodeInvalidJSON, "NaN (which JSON does not have)"},
		wrong{"Infinity", chatWith(`"temperature": Infinity`), "temperature", CodeInvalidJSON, "Infinity (which JSON does not have)"},
		wrong{"-Infinity", chatWith(`"tuning":{"strength":-Infinity}`), "tuning.strength", CodeInvalidJSON, "-Infinity (which"},
	))
}

func TestTextThatIsNotUnicodeIsRefused(t *testing.T) {
	const field = "messages[0].content"
	refuses(t, DecodeChat, []wrong{
		{"a lone byte", contentWith("\"a\xffb\""), field, CodeInvalidJSON, "byte 0xff is not UTF-8"},
		{"a cut rune", contentWith("\"\xe2\x82\""), field, CodeInvalidJSON, "byte 0xe2 is not UTF-8"},
		{"an overlong form", contentWith("\"\xc0\x80\""), field, CodeInvalidJSON, "byte 0xc0 is not UTF-8"},
		{"a surrogate in UTF-8", contentWith("\"\xed\xa0\x80\""), field, CodeInvalidJSON, "byte 0xed is not UTF-8"},
		{"after good runes", contentWith("\"é\xff\""), field, CodeInvalidJSON, "byte 0xff is not UTF-8"},
		{"in a key", "{\"a\xff\":1}", "", CodeInvalidJSON, "byte 0xff is not UTF-8"},
		{"in a value nobody reads", chatWith("\"user\":\"\xff\""), "user", CodeInvalidJSON, "byte 0xff is not UTF-8"},
		{"a lone high surrogate", contentWith(`"\ud83d"`), field, CodeInvalidJSON, `\ud83d is half of a surrogate pair`},
		{"a high one before other text", contentWith(`"\ud83dabcdef"`), field, CodeInvalidJSON, "half of a surrogate pair"},
		{"a lone low surrogate", contentWith(`"\ude00"`), field, CodeInvalidJSON, `\ude00 is half`},
		{"surrogates the wrong way round", contentWith(`"\ude00\ud83d"`), field, CodeInvalidJSON, `\ude00 is half`},
		{"two high surrogates", contentWith(`"\ud83d\ud83d"`), field, CodeInvalidJSON, `\ud83d is half`},
		{"an unknown escape", contentWith(`"\x41"`), field, CodeInvalidJSON, "is no escape sequence"},
		{"a short escape", contentWith(`"\u12"`), field, CodeInvalidJSON, "is no escape sequence"},
		{"an escape that is not hexadecimal", contentWith(`"\u12g4"`), field, CodeInvalidJSON, "is no escape sequence"},
		{"a line feed", contentWith("\"a\nb\""), field, CodeInvalidJSON, `control character 0x0a inside a string; write it as \u000a`},
		{"no end", `{"model":"abc`, "model", CodeInvalidJSON, "it ends inside a string"},
		{"no end after a backslash", `{"model":"abc\`, "model", CodeInvalidJSON, "it ends inside a string"},
	})
}

func TestEscapesAreReadAsEncodingJSONReadsThem(t *testing.T) {
	for _, s := range []string{
		`""`, `"plain"`, `"é😀"`, `"\"\\\/\b\f\n\r\t"`, `"\u0041\u00e9\u20AC"`, `"\ud83d\ude00"`, `"a\u0000b"`, `"\uD83D\uDE00x"`, `"\\u0041"`,
	} {
		var want string
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			t.Fatal(err)
		}
		if got := mustChat(t, contentWith(s)).Messages[0].Content; got != want {
			t.Errorf("%s: got %q, want %q", s, got, want)
		}
	}
}

func TestKeysMustBeExactAndUnique(t *testing.T) {
	many := strings.Builder{}
	for i := range 20 {
		fmt.Fprintf(&many, `"k%d":1,`, i)
	}
	refuses(t, DecodeChat, []wrong{
		{"unknown", chatWith(`"temprature":1`), "temprature", CodeUnknown, "temprature is not a known parameter"},
		{"unknown though null", chatWith(`"foo":null`), "foo", CodeUnknown, "not a known parameter"},
		{"other case", chatWith(`"Temperature":1`), "Temperature", CodeUnknown, ""},
		{"empty", chatWith(`"":1`), `""`, CodeUnknown, ""},
		{"not a name", chatWith(`"a.b c":1`), `"a.b c"`, CodeUnknown, ""},
		{"long", chatWith(`"` + strings.Repeat("é", 200) + `":1`), `"` + strings.Repeat("é", 32) + `…"`, CodeUnknown, ""},
		{"unknown in an object", chatWith(`"stream":true,"stream_options":{"usage":true}`), "stream_options.usage", CodeUnknown, ""},
		{"twice", chatWith(`"model":"demo"`), "model", CodeDuplicate, "model is given twice"},
		{"twice by an escape", `{"model":"a","mod\u0065l":"b"}`, "model", CodeDuplicate, ""},
		{"twice with null first", chatWith(`"n":null,"n":1`), "n", CodeDuplicate, ""},
		{"twice in a message", messageWith(`{"role":"user","role":"user","content":""}`), "messages[0].role", CodeDuplicate, ""},
		{"twice in an ignored value", chatWith(`"metadata":{"a":{"b":1,"b":2}}`), "metadata.a.b", CodeDuplicate, ""},
		{"twice among many", chatWith(`"metadata":{` + many.String() + `"k19":2}`), "metadata.k19", CodeDuplicate, ""},
	})
}

func TestNestingIsBounded(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	if mustChat(t, chatWith(`"metadata":{"a":`+deep(maxDepth-2)+`}`)) == nil {
		t.Error("a value at the bound is refused")
	}
	refuses(t, DecodeChat, []wrong{
		{"one deeper", chatWith(`"metadata":{"a":[` + deep(maxDepth-2) + `]}`), "metadata.a" + strings.Repeat("[0]", maxDepth-2), CodeInvalidValue, "nested deeper than 64"},
		{"objects", chatWith(`"metadata":` + strings.Repeat(`{"a":`, 100)), "metadata" + strings.Repeat(".a", maxDepth-1), CodeInvalidValue, "nested deeper than 64"},
		{"a million brackets", chatWith(`"tools":` + strings.Repeat("[", 1<<20)), "tools" + strings.Repeat("[0]", maxDepth-1), CodeInvalidValue, "nested deeper"},
	})
}

func TestErrorsNeverRepeatMuchOfTheBody(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, body := range []string{
		chatWith(`"` + long + `":1`),
		chatWith(`"temperature":1` + strings.Repeat("0", 1<<20)),
		chatWith(`"n":1` + strings.Repeat("0", 1<<20)),
		chatWith(`"tuning":{"draft":"` + long + `"}`),
		chatWith(`"tuning":{"` + long + `":1}`),
		chatWith(`"logit_bias":{"` + long + `":1}`),
		messageWith(`{"role":"` + long + `"}`),
		contentWith(`[{"type":"` + long + `"}]`),
	} {
		_, err := DecodeChat([]byte(body))
		if e := AsError(err); len(e.Message)+len(e.Param) > 600 {
			t.Errorf("message of %d bytes, param of %d: %.80s…", len(e.Message), len(e.Param), e.Message)
		}
	}
}

// Were anything here quadratic, bodies of these sizes would run into the test's
// time-out instead of taking a fraction of a second.
func TestBigBodiesAreReadInOneGo(t *testing.T) {
	const size = 10 << 20
	fill := func(head, item, tail string) string {
		return head + item + strings.Repeat(","+item, (size-len(head)-len(tail))/(len(item)+1)-1) + tail
	}
	keys := strings.Builder{}
	for i := range 500_000 {
		fmt.Fprintf(&keys, `"key %d":1,`, i)
	}
	for _, body := range []string{
		fill(`{"model":"demo","messages":[`, `{"role":"user","content":"hello"}`, `]}`),
		fill(`{"model":"demo","messages":[{"role":"user","content":[`, `{"type":"text","text":"a"}`, `]}]}`),
		contentWith(`"` + strings.Repeat(`\u00e9`, size/6) + `"`),
		chatWith(`"metadata":{` + keys.String() + `"last":1}`),
		chatWith(`"metadata":{"a":[` + strings.Repeat("[],", size/3) + `[]]}`),
		chatWith(`"temperature":0.` + strings.Repeat("1", size)),
	} {
		mustChat(t, body)
	}
	if got := mustCompletion(t, fill(`{"model":"demo","prompt":[`, "1", `]}`)); len(got.Prompts[0].Tokens) < 5_000_000 {
		t.Errorf("%d ids", len(got.Prompts[0].Tokens))
	}
}
