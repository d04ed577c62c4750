package chattemplate

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"
)

// small limits keep these tests quick; what they show does not depend on them.
var testLimits = Limits{Steps: 300_000, Memory: 4 << 20, Output: 1 << 20, Depth: 400}

// growing are templates that make more and more.
func growing() map[string]string {
	return map[string]string{
		"text times a billion":          `{{ 'a' * 10**9 }}`,
		"text times beyond int64":       `{{ 'a' * 10**30 }}`,
		"list times a billion":          `{{ ([0] * 10**9)|length }}`,
		"tuple times a billion":         `{{ ((0,) * 10**9)|length }}`,
		"range beyond the sandbox":      `{{ range(10**12)|length }}`,
		"range beyond int64":            `{{ range(-(10**40), 10**40)|length }}`,
		"tower of powers":               `{{ 10**(10**10) }}`,
		"power of a power":              `{% set x = 3**9999 %}{{ x**9999 }}`,
		"products that grow":            `{% set ns = namespace(n=3) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}`,
		"text that doubles":             `{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`,
		"text that doubles by ~":        `{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`,
		"text that doubles by replace":  `{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s|replace('a', ns.s) %}{% endfor %}`,
		"text that doubles by join":     `{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}`,
		"text that doubles by format":   `{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}`,
		"text that doubles by %":        `{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}`,
		"text that doubles by escaping": `{% set ns = namespace(s='&') %}{% for i in range(100) %}{% set ns.s = ns.s|forceescape|string ~ ns.s %}{% endfor %}`,
		"list that doubles":             `{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}`,
		"tuple that doubles as a key":   `{% set ns = namespace(l=()) %}{% for i in range(100) %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ {ns.l: 1} }}`,
		"tuple that doubles, compared":  `{% set ns = namespace(a=(1,), b=(1,)) %}{% for i in range(100) %}{% set ns.a = (ns.a, ns.a) %}{% set ns.b = (ns.b, ns.b) %}{% endfor %}{{ ns.a == ns.b }}`,
		"list that doubles, printed":    `{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}`,
		"list that doubles as JSON":     `{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson }}`,
		"deep list, printed":            `{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}`,
		"deep tuple as a key":           `{% set ns = namespace(l=()) %}{% for i in range(5000) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}`,
		"deep list, ordered":            `{% set ns = namespace(a=[], b=[]) %}{% for i in range(5000) %}{% set ns.a = [ns.a] %}{% set ns.b = [ns.b] %}{% endfor %}{{ ns.a < ns.b }}`,
		"streams stacked":               `{% set ns = namespace(g=[1]) %}{% for i in range(5000) %}{% set ns.g = ns.g|map('string') %}{% endfor %}{{ ns.g|list }}`,
		"macro without end":             `{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}`,
		"two macros without end":        `{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}`,
		"macro that branches":           `{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}`,
		"recursive loop without end":    `{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}`,
		"loops in loops":                `{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}`,
		"loops over a filtered range":   `{% for a in range(99999) if false %}{% endfor %}{% for a in range(99999) if false %}{% endfor %}`,
		"batches that are filled up":    `{{ [1]|batch(10**9, 0)|list }}`,
		"slices of nothing":             `{{ []|slice(10**9)|list|length }}`,
		"lists that double, prettily":   `{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|pprint }}`,
		"blocks without end":            `{% block a %}{{ self.a() }}{% endblock %}`,
		"escaped text that doubles":     `{% autoescape true %}{% set ns = namespace(s='<'|safe) %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{% endautoescape %}`,
		"links made again and again":    `{% for i in range(99999) %}{% set x = 'a.com'|urlize %}{% endfor %}`,
		"loop that reads itself":        `{% for a in range(99999) %}{% for b in loop %}{{ loop.length }}{% endfor %}{% endfor %}{% for a in range(99999) %}{% for b in range(99) %}{% endfor %}{% endfor %}`,
		"output of a loop":              `{% for a in range(99999) %}0123456789012345678901234567890123456789{% endfor %}`,
	}
}

// wide are templates that ask for much at once, or for a little too often.
func wide() map[string]string {
	return map[string]string{
		"width of center":                `{{ 'a'|center(10**10) }}`,
		"width of the method center":     `{{ 'a'.center(10**10, 'é') }}`,
		"width of zfill":                 `{{ 'a'.zfill(10**10) }}`,
		"width beyond int64":             `{{ 'a'.ljust(10**30) }}`,
		"width of %":                     `{{ '%999999999d' % 1 }}`,
		"width of % by argument":         `{{ '%*d' % (10**10, 1) }}`,
		"precision of %d":                `{{ '%.999999999d' % 1 }}`,
		"precision of %f":                `{{ '%.999999999f' % 1 }}`,
		"width of a format field":        `{{ '{:999999999}'.format('a') }}`,
		"width of a format field, given": `{{ '{:{}}'.format(1, 999999999) }}`,
		"width of indent":                `{{ 'a\nb'|indent(10**10) }}`,
		"width with separators":          `{{ '{:0999999999,d}'.format(1) }}`,
		"width of a nested format":       `{{ '{:{w}}'.format(1, w=10**9) }}`,
		"width of escaped text":          `{{ ('a'|safe).center(10**10) }}`,
		"lines of wordwrap":              `{{ ('a' * 10**6)|wordwrap(1) }}`,
		"dashes of wordwrap":             `{% for i in range(9999) %}{% set x = ('a' + '-' * 100000)|wordwrap %}{% endfor %}`,
		"tags that are stripped":         `{% for i in range(9999) %}{% set x = ('<' * 100000)|striptags %}{% endfor %}`,
		"brackets of a link":             `{% for i in range(9999) %}{% set x = ('(a' * 50000 + ')' * 50000)|urlize %}{% endfor %}`,
		"precision of a format field":    `{{ '{:.999999999f}'.format(1.0) }}`,
		"indent of JSON":                 `{{ [1]|tojson(indent=10**10) }}`,
		"size of tabs":                   `{{ '\t'.expandtabs(10**10) }}`,
		"parts of a split":               `{{ ('a ' * 200000).split() }}`,
		"parts of a split by text":       `{{ ('aa' * 200000).split('a') }}`,
		"parts of a split into lines":    `{{ ('a\n' * 200000).splitlines()|length }}`,
		"characters of a text":           `{{ ('a' * 300000)|list|length }}`,
		"one digit too many":             `{{ ('f' * 5000)|int(base=16) }}`,
		"searches in a long text":        `{% set s = 'a' * 10**6 %}{% for i in range(99999) %}{% set x = 'b' in s %}{% endfor %}`,
		"lengths of a long text":         `{% set s = 'a' * 10**6 %}{% for i in range(99999) %}{% set x = s|length %}{% endfor %}`,
		"keys as long texts":             `{% set s = 'a' * 10**6 %}{% for i in range(99999) %}{% set x = {}[s] %}{% endfor %}`,
		"loops left at once":             `{% set s = 'é' * 10**6 %}{% for i in range(99999) %}{% for c in s %}{% break %}{% endfor %}{% endfor %}`,
		"long quoted text":               `{{ ['\x01' * 2**20] }}`,
		"long sum of lists":              `{{ ([[1]] * 9999)|sum(start=[])|length }}`,
		"sort of a long list":            `{% for i in range(9999) %}{% set x = range(9999)|sort %}{% endfor %}`,
	}
}

func TestTemplatesThatCostTooMuchAreStopped(t *testing.T) {
	tests := growing()
	maps.Copy(tests, wide())
	for name, source := range tests {
		t.Run(name, func(t *testing.T) {
			tmpl, err := Parse(source)
			if err != nil {
				t.Fatal(err)
			}
			text, err := tmpl.WithLimits(testLimits).Render(context.Background(), json.RawMessage(`{}`), vectorTime)
			var limit *LimitError
			var failed *RenderError
			switch {
			case errors.As(err, &limit):
				if limit.Line != 1 || limit.Max <= 0 {
					t.Errorf("the error %v does not say where and how much", err)
				}
			case errors.As(err, &failed) && (failed.Kind == overflowError || failed.Kind == notSupported):
			default:
				t.Errorf("%d bytes of text and the error %v, want a limit", len(text), err)
			}
		})
	}
}

func TestALongConversationStaysWithinTheDefaults(t *testing.T) {
	var messages []Message
	for range 500 {
		messages = append(messages, Message{Role: "user", Content: strings.Repeat("word ", 400)}, Message{Role: "assistant", Content: strings.Repeat("écho\n", 400)})
	}
	for _, v := range readVectors(t) {
		if !strings.HasPrefix(v.Name, "qwen3|user") && !strings.HasPrefix(v.Name, "llama3.1-pkg|user") {
			continue
		}
		tmpl, err := Parse(v.Template)
		if err != nil {
			t.Fatal(err)
		}
		text, err := tmpl.RenderInput(context.Background(), Input{Messages: messages, AddGenerationPrompt: true, Special: map[string]string{"bos_token": "<s>"}, Now: vectorTime})
		if err != nil || len(text) < 2_000_000 {
			t.Errorf("%s: %d bytes, error %v", v.Name, len(text), err)
		}
	}
}

func TestRenderingStopsWhenNobodyWaits(t *testing.T) {
	tmpl, err := Parse(`{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tmpl.Render(ctx, json.RawMessage(`{}`), vectorTime); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: error %v, want context.Canceled", err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := tmpl.Render(ctx, json.RawMessage(`{}`), vectorTime); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("timed out: error %v, want context.DeadlineExceeded", err)
	}
}

func TestSourcesThatNestTooDeepAreRefused(t *testing.T) {
	deep := 20_000
	tests := map[string]string{
		"brackets":          "{{ " + strings.Repeat("(", deep) + "1" + strings.Repeat(")", deep) + " }}",
		"lists":             "{{ " + strings.Repeat("[", deep) + strings.Repeat("]", deep) + " }}",
		"not":               "{{ " + strings.Repeat("not ", deep) + "1 }}",
		"minus":             "{{ " + strings.Repeat("-", deep) + "1 }}",
		"conditions":        "{{ " + strings.Repeat("1 if 1 else ", deep/3) + "1 }}",
		"blocks":            strings.Repeat("{% if 1 %}", deep/3) + strings.Repeat("{% endif %}", deep/4),
		"elif":              "{% if 1 %}" + strings.Repeat("{% elif 1 %}", deep/4) + "{% endif %}",
		"targets":           "{% set " + strings.Repeat("(", deep) + "a" + strings.Repeat(")", deep) + " = 1 %}",
		"tokens in a tag":   "{{ " + strings.Repeat("a.", 30_000) + "a }}",
		"length":            strings.Repeat("a", maxSource+1),
		"an invalid source": "a\xff",
	}
	for name, source := range tests {
		var syntax *SyntaxError
		if _, err := Parse(source); !errors.As(err, &syntax) {
			t.Errorf("%s: error %v, want a SyntaxError", name, err)
		}
	}
}

func TestLongChainsAreParsedAndStoppedWhenRun(t *testing.T) {
	n := 20_000
	for name, source := range map[string]string{
		"sum":        "{{ 1" + strings.Repeat("+1", n) + " }}",
		"attributes": "{{ a" + strings.Repeat(".a", n) + " }}",
		"filters":    "{{ 1" + strings.Repeat("|e", n) + " }}",
		"or":         "{{ 0" + strings.Repeat(" or 0", n/2) + " }}",
		"calls":      "{{ loop" + strings.Repeat("()", n) + " }}",
	} {
		tmpl, err := Parse(source)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var limit *LimitError
		if _, err := tmpl.Render(context.Background(), json.RawMessage(`{}`), vectorTime); !errors.As(err, &limit) {
			t.Errorf("%s: error %v, want a LimitError", name, err)
		}
	}
}
