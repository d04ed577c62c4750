package chattemplate

// parts calls visit with the expressions directly inside e.
func parts(e expr, visit func(expr)) {
	one := func(es ...expr) {
		for _, x := range es {
			if x != nil {
				visit(x)
			}
		}
	}
	switch n := e.(type) {
	case *tupleExpr:
		one(n.items...)
	case *listExpr:
		one(n.items...)
	case *dictExpr:
		for i := range n.keys {
			one(n.keys[i], n.values[i])
		}
	case *unaryExpr:
		one(n.of)
	case *binaryExpr:
		one(n.left, n.right)
	case *concatExpr:
		one(n.items...)
	case *compareExpr:
		one(n.first)
		one(n.rest...)
	case *condExpr:
		one(n.test, n.yes, n.no)
	case *attrExpr:
		one(n.of)
	case *itemExpr:
		one(n.of, n.key)
	case *sliceExpr:
		one(n.start, n.stop, n.step)
	case *callExpr:
		one(n.of)
		n.args.each(one)
	case *filterExpr:
		one(n.of)
		n.args.each(one)
	case *testExpr:
		one(n.of)
		n.args.each(one)
	}
}

func (a callArgs) each(visit func(...expr)) {
	visit(a.positional...)
	visit(a.named...)
	visit(a.star, a.starStar)
}

// walkExpr calls visit with e and everything inside it.
func walkExpr(e expr, visit func(expr)) {
	if e == nil {
		return
	}
	visit(e)
	parts(e, func(x expr) { walkExpr(x, visit) })
}

// walkStmts calls visit with every expression in stmts, and bind with every
// name that they give a value.
func walkStmts(stmts []stmt, visit func(expr), bind func(name string, line int)) {
	for _, st := range stmts {
		walkStmt(st, visit, bind)
	}
}

func walkStmt(st stmt, visit func(expr), bind func(name string, line int)) {
	expr := func(e expr) { walkExpr(e, visit) }
	body := func(b []stmt) { walkStmts(b, visit, bind) }
	targets := func(t target) { t.each(func(name string) { bind(name, st.at()) }) }
	switch n := st.(type) {
	case *printStmt:
		expr(n.of)
	case *ifStmt:
		expr(n.test)
		body(n.body)
		body(n.not)
	case *forStmt:
		expr(n.iter)
		expr(n.test)
		targets(n.target)
		body(n.body.stmts)
		body(n.otherwise.stmts)
	case *setStmt:
		expr(n.of)
		targets(n.target)
	case *setBlockStmt:
		targets(n.target)
		expr(n.filter.orNil())
		body(n.body.stmts)
	case *filterStmt:
		expr(n.filter)
		body(n.body.stmts)
	case *withStmt:
		for i := range n.values {
			expr(n.values[i])
			targets(n.targets[i])
		}
		body(n.body.stmts)
	case *macroStmt:
		bind(n.macro.name, st.at())
		n.macro.walk(visit, bind, st.at())
	case *callStmt:
		expr(n.call)
		n.caller.walk(visit, bind, st.at())
	case *generationStmt:
		n.macro.walk(visit, bind, st.at())
	case *blockStmt:
		body(n.body.stmts)
	case *autoescapeStmt:
		expr(n.on)
		body(n.body.stmts)
	case *outputStmt:
		for _, e := range n.items {
			expr(e)
		}
	case *loadStmt:
		expr(n.of)
		for _, name := range n.targets {
			bind(name, st.at())
		}
	}
}

func (m *macroDef) walk(visit func(expr), bind func(name string, line int), line int) {
	for _, p := range m.params {
		bind(p, line)
	}
	for _, d := range m.defaults {
		walkExpr(d, visit)
	}
	walkStmts(m.body.stmts, visit, bind)
}

// orNil keeps a missing filter a nil expression.
func (n *filterExpr) orNil() expr {
	if n == nil {
		return nil
	}
	return n
}

// each calls bind with the names that t assigns; an attribute assigns none.
func (t target) each(bind func(name string)) {
	switch {
	case t.tuple != nil:
		for _, part := range t.tuple {
			part.each(bind)
		}
	case t.attr == "":
		bind(t.name)
	}
}

// bodies are the statements directly inside st.
func bodies(st stmt) [][]stmt {
	switch n := st.(type) {
	case *ifStmt:
		return [][]stmt{n.body, n.not}
	case *forStmt:
		return [][]stmt{n.body.stmts, n.otherwise.stmts}
	case *setBlockStmt:
		return [][]stmt{n.body.stmts}
	case *filterStmt:
		return [][]stmt{n.body.stmts}
	case *withStmt:
		return [][]stmt{n.body.stmts}
	case *macroStmt:
		return [][]stmt{n.macro.body.stmts}
	case *callStmt:
		return [][]stmt{n.caller.body.stmts}
	case *generationStmt:
		return [][]stmt{n.macro.body.stmts}
	case *blockStmt:
		return [][]stmt{n.body.stmts}
	case *autoescapeStmt:
		return [][]stmt{n.body.stmts}
	}
	return nil
}

// eachBlock visits the blocks in stmts, at any depth.
func eachBlock(stmts []stmt, visit func(*blockStmt)) {
	for _, st := range stmts {
		if b, ok := st.(*blockStmt); ok {
			visit(b)
		}
		for _, body := range bodies(st) {
			eachBlock(body, visit)
		}
	}
}
