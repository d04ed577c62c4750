package doctor

import "slices"

// Report is everything that was found.
type Report struct {
	Verdict       Level         `json:"verdict"` // broken is exit status 1
	Configuration Configuration `json:"configuration"`
	Runtime       Runtime       `json:"onnxruntime"`
	Machine       Machine       `json:"machine"`
	Models        []Model       `json:"models"`
	Servers       []Server      `json:"servers"` // bases behind servers
	Store         *Store        `json:"cache"`   // null if there are no servers whose rows it would keep
	Routes        []Route       `json:"routes"`  // none if folders were examined alone
}

// Configuration says what was examined.
type Configuration struct {
	Verdict  Level     `json:"verdict"`
	Findings []Finding `json:"findings"`
	Source   string    `json:"source"` // a file, "built-in" or "folders"
	Listen   string    `json:"listen,omitempty"`
	KeysEnv  string    `json:"keys_env,omitempty"`
	Keys     int       `json:"keys"` // how many clients' keys KeysEnv holds

	Open   bool     `json:"-"` // Listen is within reach of other machines
	Unused []string `json:"-"` // bases and experts that no route has
	Faults []Fault  `json:"-"`
}

// Runtime is ONNX Runtime as it was found.
type Runtime struct {
	Verdict   Level     `json:"verdict"`
	Findings  []Finding `json:"findings"`
	Library   string    `json:"library"` // the file; empty if there is none
	Version   string    `json:"version"`
	NamedBy   string    `json:"named_by,omitempty"` // what names the library; empty if it was searched for
	Searched  []string  `json:"searched"`           // where it is looked for, in this order
	Providers []string  `json:"providers"`          // that the library was built with

	Faults []Fault `json:"-"`
}

// CUDA says whether the library was built for NVIDIA's GPUs.
func (r *Runtime) CUDA() bool { return slices.Contains(r.Providers, "CUDAExecutionProvider") }

// Judge turns the facts of all parts into findings and verdicts. It is a pure
// function of them.
func (r *Report) Judge() {
	r.Configuration.judge()
	r.Runtime.judge()
	for i := range r.Models {
		r.Models[i].judge(&r.Runtime)
	}
	r.Machine.judge(r.Models)
	for i := range r.Servers {
		r.Servers[i].judge()
	}
	if r.Store != nil {
		r.Store.judge()
	}
	for i := range r.Routes {
		r.Routes[i].judge(r.Models, r.Servers)
	}
	r.Verdict = worse(worse(r.Configuration.Verdict, r.Runtime.Verdict), r.Machine.Verdict)
	for _, m := range r.Models {
		r.Verdict = worse(r.Verdict, m.Verdict)
	}
	for _, s := range r.Servers {
		r.Verdict = worse(r.Verdict, s.Verdict)
	}
	if r.Store != nil {
		r.Verdict = worse(r.Verdict, r.Store.Verdict)
	}
	for _, route := range r.Routes {
		r.Verdict = worse(r.Verdict, route.Verdict)
	}
}

// count is how many findings of a level there are in the whole report.
func (r *Report) count(level Level) int {
	all := slices.Concat(r.Configuration.Findings, r.Runtime.Findings, r.Machine.Findings)
	for _, m := range r.Models {
		all = append(all, m.Findings...)
	}
	for _, s := range r.Servers {
		all = append(all, s.Findings...)
	}
	if r.Store != nil {
		all = append(all, r.Store.Findings...)
	}
	for _, route := range r.Routes {
		all = append(all, route.Findings...)
	}
	n := 0
	for _, f := range all {
		if f.Level == level {
			n++
		}
	}
	return n
}

// broken turns faults into findings, each with its fix.
func broken(faults []Fault, fix func(Fault) string) []Finding {
	findings := []Finding{}
	for _, f := range faults {
		findings = append(findings, Finding{Broken, f.Part, f.Problem, fix(f)})
	}
	return findings
}

func (c *Configuration) judge() {
	c.Findings = broken(c.Faults, func(Fault) string { return "correct it there; README.md shows a configuration" })
	if c.Open && c.Keys == 0 {
		c.Findings = append(c.Findings, Finding{Warning, "keys", "everybody who reaches " + c.Listen + " may call, for " + c.KeysEnv + " holds no key",
			"put the clients' keys into " + c.KeysEnv + ", separated by commas, or listen on 127.0.0.1"})
	}
	for _, name := range c.Unused {
		c.Findings = append(c.Findings, Finding{Remark, name, "no route has it: it is not loaded", ""})
	}
	c.Verdict = verdict(c.Findings)
}

func (r *Runtime) judge() {
	r.Findings = broken(r.Faults, func(f Fault) string {
		if f.Cause == Missing && r.NamedBy != "" {
			return "correct what " + r.NamedBy + " says, or leave it out and run `make build`"
		}
		return "run `make build`, or name another library with --onnxruntime"
	})
	r.Verdict = verdict(r.Findings)
}
