package chattemplate

// expr is an expression; stmt is a statement. Every node knows its line.
type expr interface{ at() int }

type stmt interface{ at() int }

// pos is a node's line.
type pos int

func (p pos) at() int { return int(p) }

type (
	constExpr struct {
		pos
		value value
	}
	nameExpr struct {
		pos
		name string
	}
	tupleExpr struct {
		pos
		items []expr
	}
	listExpr struct {
		pos
		items []expr
	}
	dictExpr struct {
		pos
		keys, values []expr
	}
	unaryExpr struct {
		pos
		op     string // not + -
		of     expr
		folded bool // constant, as are those below
	}
	binaryExpr struct {
		pos
		op          string // + - * / // % ** and or
		left, right expr
		folded      bool
	}
	// concatExpr is a ~ b ~ c.
	concatExpr struct {
		pos
		items  []expr
		folded bool
	}
	// compareExpr is first ops[0] rest[0] ops[1] rest[1] …
	compareExpr struct {
		pos
		first expr
		ops   []string // == != < <= > >= in, not in
		rest  []expr
	}
	// condExpr is yes if test else no; no may be nil.
	condExpr struct {
		pos
		test, yes, no expr
	}
	// attrExpr is of.name.
	attrExpr struct {
		pos
		of   expr
		name string
	}
	// itemExpr is of[key].
	itemExpr struct {
		pos
		of, key expr
	}
	// sliceExpr is start:stop:step inside brackets; each may be nil.
	sliceExpr struct {
		pos
		start, stop, step expr
	}
	callExpr struct {
		pos
		of   expr
		args callArgs
	}
	// filterExpr is of|name(args); of is nil at the head of a filter block.
	filterExpr struct {
		pos
		of     expr
		name   string
		args   callArgs
		folded bool
	}
	// testExpr is of is name(args).
	testExpr struct {
		pos
		of   expr
		name string
		args callArgs
	}
)

// constant says whether the reference computes e when it compiles it, which
// shows in a few places. Sums and filters know it of themselves, so that asking
// costs nothing.
func constant(e expr) bool {
	switch n := e.(type) {
	case *constExpr:
		return true
	case *unaryExpr:
		return n.folded
	case *binaryExpr:
		return n.folded
	case *concatExpr:
		return n.folded
	case *filterExpr:
		return n.folded
	}
	return false
}

// foldable says whether a filter of constants is constant: those that see the
// template's names are not.
func (n *filterExpr) foldable() bool {
	switch n.name {
	case "map", "select", "reject", "selectattr", "rejectattr", "random":
		return false
	}
	all := n.of != nil && constant(n.of)
	n.args.each(func(args ...expr) {
		for _, a := range args {
			all = all && (a == nil || constant(a))
		}
	})
	return all
}

// callArgs are the arguments of a call as written.
type callArgs struct {
	positional []expr
	names      []string
	named      []expr
	// star and starStar are *args and **kwargs, or nil.
	star, starStar expr
}

type (
	dataStmt struct {
		pos
		text string
	}
	printStmt struct {
		pos
		of expr
	}
	ifStmt struct {
		pos
		test      expr
		body, not []stmt
	}
	forStmt struct {
		pos
		target    target
		iter      expr
		test      expr // nil without a filter
		recursive bool
		body      block
		otherwise block
		testScope block // empty statements: the names of test
	}
	setStmt struct {
		pos
		target target
		of     expr
	}
	// setBlockStmt is {% set target | filter %}body{% endset %}.
	setBlockStmt struct {
		pos
		target target
		filter *filterExpr // nil without one
		body   block
	}
	filterStmt struct {
		pos
		filter *filterExpr
		body   block
	}
	withStmt struct {
		pos
		targets []target
		values  []expr
		body    block
	}
	macroStmt struct {
		pos
		macro *macroDef
	}
	// callStmt is {% call(params) of %}body{% endcall %}; caller is its body.
	callStmt struct {
		pos
		call   *callExpr
		caller *macroDef
	}
	// generationStmt marks what the assistant says. It is a call block that prints
	// its body, and so a macro.
	generationStmt struct {
		pos
		macro *macroDef
	}
	// blockStmt is {% block name scoped required %}: without inheritance its body
	// is printed where it stands, and again by self.name().
	blockStmt struct {
		pos
		name             string
		scoped, required bool
		body             block
	}
	autoescapeStmt struct {
		pos
		on   expr
		body block
	}
	// outputStmt is {% print a, b %}.
	outputStmt struct {
		pos
		items []expr
	}
	// loadStmt is include, import, from or extends. There is nothing to load
	// from, so it fails where it is reached; targets are the names it would set.
	loadStmt struct {
		pos
		tag     string
		of      expr
		targets []string
	}
	breakStmt    struct{ pos }
	continueStmt struct{ pos }
)

// block is a list of statements with a scope of its own. hidden are the names
// that mean nothing in it until it sets them, whatever they mean outside: see
// scopes.
type block struct {
	stmts  []stmt
	hidden []string
}

// macroDef is a macro as written. usesCaller, usesVarargs and usesKwargs say
// that its body mentions these names, which is what makes it accept them.
type macroDef struct {
	name                                string
	params                              []string
	defaults                            []expr // for the last params
	body                                block
	usesCaller, usesVarargs, usesKwargs bool
}

// target is what a value is assigned to: a name, an attribute of a namespace
// (name.attr), or a tuple of targets.
type target struct {
	name  string
	attr  string
	tuple []target // not nil for a tuple
}
