package cli

import (
	"os"
	"strings"
	"testing"
)

// served is a configuration of one base, one pair and one route over both; what stands in
// the base, the route or behind them is a case's.
func served(base, route, more string) string {
	return "bases:\n  b: {" + base + "}\nexperts: {chat: {tuned: x, untuned: y}}\nroutes:\n  r: {base: b" + route + "}\n" + more
}

const (
	behind = "url: http://h:1/v1, model: m"
	tuned  = ", experts: {chat: 1}"
)

func TestValuesOfAnotherKindAreToldWithTheirPlace(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"a time without a unit":     {served(behind+", timeouts: {connect: 5}", tuned, ""), `[2:57] "5" is no time; write it with a unit, as 5s`},
		"a time without sense":      {served(behind+", wait: soon", tuned, ""), `[2:43] "soon" is no time`},
		"a time that is a list":     {served(behind+", wait: [5s]", tuned, ""), "[2:43]"},
		"a size without sense":      {served(behind, tuned, "cache: {memory: lots}"), `[6:17] "lots" is no size`},
		"a size below nothing":      {served(behind, tuned, "cache: {memory: -5MiB}"), `[6:17] "-5MiB" is no size`},
		"a size beyond all numbers": {served(behind, tuned, "cache: {memory: 15EiB}"), `[6:17] "15EiB" is no size`},
		"a fraction of a retry":     {served(behind+", retries: 1.5", tuned, ""), `[2:46] "1.5" is not a whole number`},
		"a fraction of a log-prob":  {served(behind+", top_logprobs: 1.5", tuned, ""), `"1.5" is not a whole number`},
		"a word for a number":       {served(behind+", named: all", tuned, ""), `"all" is not a whole number`},
		"a number in a base folder": {served("folder: x, threads: 2.5", tuned, ""), `"2.5" is not a whole number`},
		"a word for a switch":       {served("url: https://h/v1, tls: {insecure: maybe}", tuned, ""), `"maybe" is not true or false`},
		"a list for text":           {served("url: [a]", tuned, ""), "[2:12] want text here"},
		"a number for a mapping":    {served(behind, tuned, "cache: 5MiB"), "[6:8]"},
		"one bound":                 {served("folder: x", tuned+", bounds: {strength: [1]}", ""), "want 2 numbers in brackets"},
		"three bounds":              {served("folder: x", tuned+", bounds: {strength: [0, 1, 2]}", ""), "want 2 numbers in brackets"},
		"a bound that is a word":    {served("folder: x", tuned+", bounds: {strength: [0, much]}", ""), `"much" is not a number`},
		"bounds without brackets":   {served("folder: x", tuned+", bounds: {strength: 2}", ""), "want 2 numbers in brackets"},
		"an expert without weight":  {served("folder: x", ", experts: {chat: }", ""), "a number is missing"},
		"a tag":                     {served("folder: !!str x", tuned, ""), "tags such as !!str"},
		"a second document":         {served("folder: x", tuned, "---\nlisten: 1.1.1.1:1\n"), "a second document"},
		"an unknown key of TLS":     {served("url: https://h/v1, tls: {cafile: x}", tuned, ""), `[2:32] unknown field "cafile"`},
		"an unknown key of times":   {served(behind+", timeouts: {total: 5s}", tuned, ""), `unknown field "total"`},
		"an unknown key of caches":  {served(behind, tuned, "cache: {disk: 5MiB}"), `[6:9] unknown field "disk"`},
		"a name twice":              {"bases: {b: {folder: x}, b: {folder: y}}\nroutes: {r: {base: b}}", `mapping key "b" already defined`},
	} {
		if _, err := loadConfig(write(t, c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestWhatCannotBeMeantIsRefused(t *testing.T) {
	t.Setenv("SHORT", "short")
	for name, c := range map[string]struct{ text, says string }{
		"folder and URL":                {served(behind+", folder: x", tuned, ""), "folder and url exclude each other"},
		"a server's key on a folder":    {served("folder: x, dialect: vllm", tuned, ""), "url is missing"},
		"a model's key on a server":     {served(behind+", threads: 2", tuned, ""), "are for a model in process"},
		"an unknown dialect":            {served(behind+", dialect: tgi", tuned, ""), `dialect "tgi" is unknown: use auto, vllm`},
		"an unknown provider":           {served("folder: x, provider: tpu", tuned, ""), `bases.b: provider "tpu" is unknown`},
		"threads below nothing":         {served("folder: x, threads: -1", tuned, ""), "threads -1"},
		"a context below nothing":       {served(behind+", context: -1", tuned, ""), "context -1: must be 2 tokens"},
		"a context of one token":        {served("folder: x, context: 1", tuned, ""), "context 1: must be 2 tokens"},
		"an expert's context":           {"bases: {b: {folder: x}}\nexperts: {e: {tuned: x, untuned: y, context: -3}}\nroutes: {r: {base: b}}", "experts.e: context -3"},
		"a time below nothing":          {served(behind+", timeouts: {stall: -1s}", tuned, ""), "wait and timeouts cannot be negative"},
		"retries below nothing":         {served(behind+", retries: -1", tuned, ""), "retries cannot be negative"},
		"fewer than all log-probs":      {served(behind+", top_logprobs: -2", tuned, ""), "top_logprobs -2"},
		"fewer than no names":           {served(behind+", named: -1", tuned, ""), "named -1"},
		"a key that is not there":       {served(behind+", api_key_env: NO_SUCH_KEY", tuned, ""), "NO_SUCH_KEY is empty or not set"},
		"half a certificate":            {served("url: https://h/v1, tls: {cert: x}", tuned, ""), "cert and key belong together"},
		"any certificate, but this one": {served("url: https://h/v1, tls: {insecure: true, ca: x}", tuned, ""), "insecure believes any certificate"},
		"a route without a name":        {"bases: {b: {folder: x}}\nroutes: {'': {base: b}}", `the name "" is empty`},
		"a line break in a name":        {"bases: {b: {folder: x}}\nroutes: {\"a\\nb\": {base: b}}", `the name "a\nb"`},
		"bounds without end":            {served("folder: x", tuned+", bounds: {strength: [0, .inf]}", ""), "two finite numbers"},
		"bounds that are no number":     {served("folder: x", tuned+", bounds: {strength: [0, .nan]}", ""), "two finite numbers"},
		"fewer than all of a route":     {served("folder: x", tuned+", logprobs: {chat: -7}", ""), "chat and completions must each be -1"},
		"bounds of what passes":         {served(behind, ", bounds: {strength: [0, 1]}", ""), "routes.r: bounds means nothing here"},
		"a prompt of what passes":       {served(behind, ", prompt: {base: plain}", ""), "prompt means nothing here"},
		"a tail of what passes":         {served(behind, ", tail: drop", ""), "tail means nothing here"},
		"log-probs of what passes":      {served(behind, ", logprobs: {chat: 5}", ""), "logprobs means nothing here"},
		"an unknown tail":               {served(behind, tuned+", tail: tuned", ""), `tail "tuned"`},
		"a secret without Redis":        {served(behind, tuned, "cache: {secret_env: SHORT}"), "redis is missing"},
		"Redis without a secret":        {served(behind, tuned, "cache: {redis: 'redis://h:6379/0'}"), "GRAFT_CACHE_SECRET holds 0 bytes"},
		"Redis with a short secret":     {served(behind, tuned, "cache: {redis: 'redis://h:6379/0', secret_env: SHORT}"), "SHORT holds 5 bytes of the 16"},
		"Redis without its password":    {served(behind, tuned, "cache: {redis: 'redis://h:6379/0', password_env: NO_SUCH}"), "NO_SUCH is empty or not set"},
	} {
		if _, err := loadConfig(write(t, c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestMistakesShowNoSecret(t *testing.T) {
	for name, text := range map[string]string{
		"a key in place of its variable":      served(behind+", api_key_env: sk-SECRET", tuned, ""),
		"a password in place of its variable": served(behind, tuned, "cache: {redis: 'redis://h:6379/0', password_env: 'p/SECRET'}"),
		"a secret in place of its variable":   served(behind, tuned, "cache: {redis: 'redis://h:6379/0', secret_env: 0SECRET}"),
		"a client's key":                      served(behind, tuned, "keys_env: sk-SECRET"),
		"a key in a query":                    served("url: 'http://h/v1?key=SECRET'", tuned, ""),
		"a base's password by a mistake":      served("url: http://u:SECRET@h/v1, modle: x", tuned, ""),
		"Redis' password by a mistake":        served(behind, tuned, "cache: {redis: 'redis://:SECRET@h:6379/0', memory: lots}"),
	} {
		if _, err := loadConfig(write(t, text)); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBasesBehindServersAreReadWhole(t *testing.T) {
	t.Setenv("BASE_KEY", "k")
	c, err := loadConfig(write(t, `
bases:
  near: &near {url: "http://[::1]:8000/v1", model: m}
  far:
    url: https://u@h/some/where/
    dialect: vllm
    wait: 2m
    context: 100
    top_logprobs: -1
    named: 0
    retries: 0
    tls: {ca: ca.pem, cert: c.pem, key: k.pem, server_name: other}
    timeouts: {connect: 1s, first_byte: 2s, stall: 3s}
  keyed: {<<: *near, api_key_env: BASE_KEY}
cache: {memory: 0.5GiB}
routes: {r: {base: near}, s: {base: far}, t: {base: keyed}}
`))
	if err != nil {
		t.Fatal(err)
	}
	far := c.Bases.values["far"]
	if far.named() != 0 || *far.Retries != 0 || far.Context != 100 || far.TopLogprobs != -1 || far.Wait.Minutes() != 2 {
		t.Errorf("%+v", far)
	}
	if far.TLS != (TLS{CA: "ca.pem", Cert: "c.pem", Key: "k.pem", ServerName: "other"}) || far.Timeouts != (Timeouts{1e9, 2e9, 3e9}) {
		t.Errorf("%+v", far)
	}
	if near := c.Bases.values["near"]; near.named() != defaultNamed || near.Retries != nil || near.URL != "http://[::1]:8000/v1" {
		t.Errorf("%+v", near)
	}
	if keyed := c.Bases.values["keyed"]; keyed.Model != "m" || keyed.APIKeyEnv != "BASE_KEY" {
		t.Errorf("merged %+v", keyed)
	}
	if got := c.Cache.memory(); got != 512<<20 {
		t.Errorf("%d bytes of cache", got)
	}
}

func FuzzConfigurations(f *testing.F) {
	f.Add(string(demoConfig))
	f.Add(served(behind, tuned, "cache: {memory: 5MiB, redis: 'redis://h/0'}"))
	f.Add(served("url: https://h/v1, tls: {insecure: true}, timeouts: {stall: 3s}, retries: 1, wait: 5s", "", ""))
	f.Add(served("folder: x", tuned+", bounds: {strength: [0, 1, 2]}", "---\n"))
	f.Add("bases: &a {b: *a}\nroutes: {r: {<<: *a}}")
	f.Fuzz(func(t *testing.T, text string) {
		path := t.TempDir() + "/graft.yaml"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := loadConfig(path) // never a panic
		if err != nil {
			return
		}
		for _, name := range c.Routes.names {
			if err := c.checkRoute(c.Routes.values[name]); err != nil {
				t.Errorf("a route that was let through: %v", err)
			}
		}
	})
}
