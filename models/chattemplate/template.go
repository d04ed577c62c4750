package chattemplate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Template is a parsed chat template.
type Template struct {
	body   block
	blocks map[string]*blockStmt
	self   bool // it uses the name self for its blocks
	limits Limits
}

// Parse reads a template. It refuses, with a [SyntaxError], what it cannot
// parse and every filter, test, function and statement that does not exist.
func Parse(source string) (*Template, error) {
	stmts, err := parse(source)
	if err != nil {
		return nil, err
	}
	if err := checkNames(stmts); err != nil {
		return nil, err
	}
	t := &Template{body: block{stmts: stmts}, blocks: make(map[string]*blockStmt)}
	t.findBlocks()
	if err := resolveScopes(&t.body); err != nil {
		return nil, err
	}
	return t, nil
}

// findBlocks collects the template's blocks, and whether it asks for them.
func (t *Template) findBlocks() {
	set := false
	walkStmts(t.body.stmts, func(e expr) {
		n, ok := e.(*nameExpr)
		t.self = t.self || ok && n.name == "self" && !set
	}, func(name string, _ int) { set = set || name == "self" })
	eachBlock(t.body.stmts, func(b *blockStmt) { t.blocks[b.name] = b })
}

// WithLimits returns the same template with other limits.
func (t *Template) WithLimits(l Limits) *Template {
	c := *t
	c.limits = l
	return &c
}

// Render runs the template on data, a JSON object whose members are the names
// that the template sees: messages, tools, add_generation_prompt, bos_token and
// so on. Keys keep their order, and 1 and 1.0 are different. now is what
// strftime_now sees.
//
// The error is a [RaisedError] if the template refuses the conversation, a
// [RenderError] or [LimitError] if it fails, or that of ctx.
func (t *Template) Render(ctx context.Context, data json.RawMessage, now time.Time) (string, error) {
	v, err := readJSON(data)
	if err != nil {
		return "", fmt.Errorf("chat template: reading the data: %w", err)
	}
	d, ok := v.(*dict)
	if !ok {
		return "", fmt.Errorf("chat template: the data is a JSON %s, not an object", typeName(v))
	}
	return t.render(ctx, d, now)
}

func (t *Template) render(ctx context.Context, data *dict, now time.Time) (string, error) {
	r := &render{meter: meter{ctx: ctx, limits: t.limits.withDefaults()}, data: data, now: now}
	out := r.output()
	r.blocks = t.blocks
	r.root = r.root.inner(t.body.hidden)
	if t.self {
		r.root.set("self", r.self())
	}
	if _, err := r.run(t.body.stmts, r.root, out); err != nil {
		return "", err
	}
	return out.String(), nil
}
