package cli

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// checkShape holds a file's scalars and lists to what they are read into, before the
// decoder does that: it would cut fractions off, fill up lists that are too short, fall
// over those that are too long, and tell of Go's types. Names of keys are the decoder's.
func checkShape(data []byte) error {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return err
	}
	var document *ast.DocumentNode
	for _, d := range file.Docs {
		switch {
		case d.Body == nil:
		case document != nil:
			return misshapen(d.Body, "a second document: only one is read, put everything into it")
		default:
			document = d
		}
	}
	if document == nil {
		return nil
	}
	return shape(document.Body, reflect.TypeFor[Config]())
}

// keyed is a mapping whose keys are names that the file chooses.
type keyed interface{ entry() reflect.Type }

// shape checks a node and all below it. What stands behind an alias was checked where it
// was written.
func shape(node ast.Node, want reflect.Type) error {
	switch n := node.(type) {
	case *ast.AnchorNode:
		return shape(n.Value, want)
	case *ast.TagNode:
		return misshapen(n, "tags such as %s are not understood: leave it out", n.Start.Value)
	case *ast.AliasNode:
		return nil
	case *ast.NullNode:
		if want.Kind() == reflect.Float64 {
			return misshapen(n, "a number is missing")
		}
		return nil // as if the key were not there
	}
	if want.Kind() == reflect.Pointer {
		return shape(node, want.Elem())
	}
	if many, ok := reflect.Zero(want).Interface().(keyed); ok {
		return eachEntry(node, func(_ string, value ast.Node) error { return shape(value, many.entry()) })
	}
	switch want {
	case reflect.TypeFor[time.Duration]():
		return durationShape(node)
	case reflect.TypeFor[size]():
		return sizeShape(node)
	}
	switch want.Kind() {
	case reflect.Struct:
		fields := fieldTypes(want)
		return eachEntry(node, func(key string, value ast.Node) error {
			if field, ok := fields[key]; ok {
				return shape(value, field)
			}
			return nil
		})
	case reflect.Array:
		return listShape(node, want)
	}
	return scalarShape(node, want.Kind())
}

// eachEntry goes through a mapping. Whatever else a node is, the decoder refuses.
func eachEntry(node ast.Node, visit func(key string, value ast.Node) error) error {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		return nil
	}
	for entries := mapping.MapRange(); entries.Next(); {
		key := entries.Key()
		if key.IsMergeKey() {
			continue
		}
		if err := visit(key.GetToken().Value, entries.Value()); err != nil {
			return err
		}
	}
	return nil
}

// fieldTypes are a structure's keys in a file, those of inlined structures included.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	types := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if option != "inline" {
			types[name] = f.Type
			continue
		}
		for name, inlined := range fieldTypes(f.Type) {
			types[name] = inlined
		}
	}
	return types
}

func listShape(node ast.Node, want reflect.Type) error {
	list, ok := node.(*ast.SequenceNode)
	if !ok || len(list.Values) != want.Len() {
		return misshapen(node, "want %d numbers in brackets", want.Len())
	}
	for _, value := range list.Values {
		if err := shape(value, want.Elem()); err != nil {
			return err
		}
	}
	return nil
}

func scalarShape(node ast.Node, want reflect.Kind) error {
	scalar, ok := node.(ast.ScalarNode)
	switch node.(type) {
	case *ast.IntegerNode:
		ok = ok && want != reflect.Bool
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		ok = ok && (want == reflect.Float64 || want == reflect.String)
	case *ast.BoolNode:
		ok = ok && (want == reflect.Bool || want == reflect.String)
	default:
		ok = ok && want == reflect.String
	}
	if ok {
		return nil
	}
	what := map[reflect.Kind]string{reflect.Int: "a whole number", reflect.Float64: "a number", reflect.Bool: "true or false", reflect.String: "text"}[want]
	if scalar == nil {
		return misshapen(node, "want %s here", what)
	}
	return misshapen(node, "%q is not %s", scalar.GetToken().Value, what)
}

func durationShape(node ast.Node) error {
	text := node.GetToken().Value
	if _, ok := node.(ast.ScalarNode); ok {
		if _, err := time.ParseDuration(text); err == nil {
			return nil
		}
	}
	return misshapen(node, "%q is no time; write it with a unit, as 5s or 2m30s", text)
}

func sizeShape(node ast.Node) error {
	text := node.GetToken().Value
	if _, ok := node.(ast.ScalarNode); ok {
		if n, err := humanize.ParseBytes(text); err == nil && n <= math.MaxInt64 {
			return nil
		}
	}
	return misshapen(node, "%q is no size; write it as 4MiB", text)
}

// misshapen is an error that knows its line and column.
func misshapen(node ast.Node, format string, args ...any) error {
	return &yaml.SyntaxError{Message: fmt.Sprintf(format, args...), Token: node.GetToken()}
}

// passwords are those in URLs.
var passwords = regexp.MustCompile(`(://[^\s:/@]*:)([^\s@]+)@`)

// excerpt tells an error with the lines round it, passwords in them made unreadable.
func excerpt(err error) error {
	text := yaml.FormatError(err, false, true)
	return errors.New(passwords.ReplaceAllStringFunc(text, func(found string) string {
		parts := passwords.FindStringSubmatch(found)
		return parts[1] + strings.Repeat("*", len(parts[2])) + "@"
	}))
}
