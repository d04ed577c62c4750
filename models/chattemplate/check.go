package chattemplate

import "slices"

// checkCalls refuses calls of functions that nothing can define. Data has no
// functions in it, so a called name must be a global or be set by the template,
// unless the template itself asks whether it is there. The name self, which
// stands for the blocks of template inheritance, is refused too.
func checkCalls(stmts []stmt) error {
	bound := map[string]bool{"caller": true, "varargs": true, "kwargs": true, "loop": true}
	var calls []*nameExpr
	self := 0
	visit := func(e expr) {
		switch n := e.(type) {
		case *nameExpr:
			if n.name == "self" && self == 0 {
				self = n.at()
			}
		case *callExpr:
			if name, ok := n.of.(*nameExpr); ok {
				calls = append(calls, name)
			}
		case *testExpr:
			if name, ok := n.of.(*nameExpr); ok && slices.Contains([]string{"defined", "undefined", "callable"}, n.name) {
				bound[name.name] = true
			}
		}
	}
	walkStmts(stmts, visit, func(name string, _ int) { bound[name] = true })
	if self > 0 && !bound["self"] {
		return &SyntaxError{Line: self, Message: "the name 'self' is not supported in chat templates"}
	}
	for _, c := range calls {
		if !bound[c.name] && globalFunction(c.name) == nil {
			return &SyntaxError{Line: c.at(), Message: "No function named " + quoted(c.name)}
		}
	}
	return nil
}
