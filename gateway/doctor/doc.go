// Package doctor says whether a gateway would work, and what to do where it would
// not. It owns what `graft doctor` tells: the [Report], the verdicts in it, the
// [Run] that measures a model, and the table for people. What there is to examine is
// brought by the caller, as facts:
//
//	report := doctor.Report{Runtime: …, Machine: …, Models: …, Routes: …}
//	report.Judge()                            // facts → findings → verdicts
//	err := doctor.WriteTable(os.Stdout, &report)
//	if report.Verdict == doctor.Broken { … }  // exit status 1
//
// Nothing is left out because something else is broken: every part is examined, and
// everything that was found is told.
//
//	| level   | what it says                                            | example                           |
//	|---------|---------------------------------------------------------|-----------------------------------|
//	| broken  | serving would fail; Problem is the error it fails with  | tokenizer.json is cut short       |
//	| warning | it works, and probably not as it is wished              | on the CPU although there is CUDA |
//	| remark  | good to know                                            | the template refuses system turns |
//
// A part's verdict is the worst of its findings; remarks are ok. A route is broken
// if a model of it is, and the report is what its worst part is.
//
// As JSON, a report's names are stable: fields may be added, none is renamed or
// changes its unit. What is not known is absent, zero or null. Sizes are bytes, times
// seconds, rates tokens a second, ε nats.
package doctor
