package chattemplate

// block prints a block, which sees the names of around.
func (r *render) block(n *blockStmt, around *scope, out *builder) error {
	in := around.inner(n.body.hidden)
	in.set("super", &undefined{message: "there is no parent block called " + quoted(n.name) + ".", kind: undefinedError})
	before := r.autoescape
	r.autoescape = false
	_, err := r.run(n.body.stmts, in, out)
	r.autoescape = before
	return err
}

// self gives the template's blocks as functions.
func (r *render) self() *module {
	return &module{kind: "TemplateReference", members: func(name string) (value, bool) {
		n := r.blocks[name]
		if n == nil {
			return nil, false
		}
		call := func(_ *render, a arguments) (value, error) {
			if _, err := a.bind(name, 0); err != nil {
				return nil, err
			}
			out := r.meter.output()
			err := r.block(n, r.root, out)
			return r.marked(out.String()), err
		}
		return &module{kind: "BlockReference", call: call, members: func(member string) (value, bool) {
			switch member {
			case "name":
				return str(name), true
			case "super":
				return &undefined{message: "there is no parent block called " + quoted(name) + ".", kind: undefinedError}, true
			}
			return nil, false
		}}, true
	}}
}
