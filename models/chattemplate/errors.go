package chattemplate

import "fmt"

// SyntaxError says that a template cannot be parsed, or names something that
// does not exist here. Such a template must not be loaded.
type SyntaxError struct {
	// Line counts from 1.
	Line    int
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("chat template, line %d: %s", e.Line, e.Message)
}

// RaisedError is a call of raise_exception: the template itself refuses the
// conversation. Message is meant for whoever sent the conversation.
type RaisedError struct {
	// Line counts from 1.
	Line    int
	Message string
}

func (e *RaisedError) Error() string {
	return "the chat template refuses this conversation: " + e.Message
}

// RenderError says that a template failed on its data. Kind is the name of the
// exception that the reference raises in this place, such as TypeError or
// UndefinedError; NotSupported marks what the reference could do and this
// package refuses.
type RenderError struct {
	// Line counts from 1; 0 is a failure before the first line, in the data.
	Line    int
	Kind    string
	Message string
}

func (e *RenderError) Error() string {
	return fmt.Sprintf("chat template, line %d: %s: %s", e.Line, e.Kind, e.Message)
}

// LimitError says that a template would cost more than its [Limits] allow.
type LimitError struct {
	// Line counts from 1.
	Line int
	// What is the limit, for instance "steps".
	What string
	Max  int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("chat template, line %d: more than %d %s", e.Line, e.Max, e.What)
}

// The exceptions of the reference that templates run into.
const (
	typeError      = "TypeError"
	valueError     = "ValueError"
	indexError     = "IndexError"
	attributeError = "AttributeError"
	keyError       = "KeyError"
	overflowError  = "OverflowError"
	zeroDivision   = "ZeroDivisionError"
	undefinedError = "UndefinedError"
	securityError  = "SecurityError"
	runtimeError   = "TemplateRuntimeError"
	filterArgument = "FilterArgumentError"
	notSupported   = "NotSupported"
)

// fail makes a RenderError whose line the enclosing statement fills in.
func fail(kind, format string, a ...any) error {
	return &RenderError{Kind: kind, Message: fmt.Sprintf(format, a...)}
}

// misfit is the error of a value of the wrong kind. An undefined one has its own,
// which names what is missing.
func misfit(v value, otherwise error) error {
	if u, ok := v.(*undefined); ok {
		return u.err()
	}
	return otherwise
}

// at gives err the line of the innermost node that knows one.
func at(err error, line int) error {
	switch e := err.(type) {
	case *RenderError:
		if e.Line == 0 {
			e.Line = line
		}
	case *RaisedError:
		if e.Line == 0 {
			e.Line = line
		}
	case *LimitError:
		if e.Line == 0 {
			e.Line = line
		}
	}
	return err
}
