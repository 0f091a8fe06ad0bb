package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"strings"
)

// A change of a function. Kinds:
//
//	begin    runs the statements Text first
//	return   returns the zero values at once
//	negate, always, never   of an if whose condition mentions Name: the condition is negated, or true, or false
//	skip     leaves out the statement that calls Name
//	after    runs the statements Text after the statement that calls or sets Name
//	replace  an expression that is written Name has the value Text, of type Type if a constant needs it
//	swap     the call of Name has the arguments First and Second in the other order
//	constant a decimal number in a statement or condition is one greater, or true is false and false true (see places.go)
//	enter    nothing: while the mutant is on, the first call of the function is noted as Text
//
// Name is matched Nth among the Among matches of the function; another number of matches is an error.
type change struct {
	Kind          string
	Name          string
	Nth, Among    int
	Text, Type    string
	First, Second int
}

// Edits returns what a guard inserts into the function.
func (f *function) edits(each guard) ([]wrap, error) {
	on, todo := fmt.Sprintf("%s.On(%q)", alias, each.ID), each.Change
	switch todo.Kind {
	case "begin":
		return f.begin(on, todo.Text)
	case "return":
		return f.begin(on, f.zeros())
	case "negate", "always", "never":
		return f.condition(on, todo)
	case "skip", "after":
		return f.statement(on, todo)
	case "replace":
		return f.replaced(each.ID, todo)
	case "swap":
		return f.swapped(each.ID, todo)
	case "constant":
		return f.changed(on, todo)
	case "enter":
		place := f.file.offset(f.declaration.Body.Lbrace) + 1
		return []wrap{{place, place, fmt.Sprintf(" %s.Enter(%q, %q);", alias, each.ID, todo.Text), ""}}, nil
	}
	return nil, fmt.Errorf("unknown kind of change: %s", todo.Kind)
}

func (f *function) begin(on, statements string) ([]wrap, error) {
	if err := parsed(statements); err != nil {
		return nil, err
	}
	place := f.file.offset(f.declaration.Body.Lbrace) + 1
	return []wrap{{place, place, fmt.Sprintf(" if %s { %s };", on, statements), ""}}, nil
}

// Zeros returns the statement that returns the zero value of each result. Results with names still have it; where there are none, it
// is made by a name that no parameter has, as new may be one.
func (f *function) zeros() string {
	var values []string
	if results := f.declaration.Type.Results; results != nil {
		for _, field := range results.List {
			if len(field.Names) == 0 {
				values = append(values, fmt.Sprintf("%s.Zero[%s]()", alias, f.file.textOf(field.Type)))
			}
		}
	}
	return strings.TrimSpace("return " + strings.Join(values, ", "))
}

func (f *function) condition(on string, todo change) ([]wrap, error) {
	condition, err := chosen(f.conditions(todo.Name), todo, "an if with "+todo.Name)
	if err != nil {
		return nil, err
	}
	before := map[string]string{"negate": on + " != (", "always": on + " || (", "never": "!" + on + " && ("}[todo.Kind]
	return []wrap{f.around(condition, before, ")")}, nil
}

// Conditions returns those of the ifs that mention a name, all of them for "".
func (f *function) conditions(name string) []ast.Expr {
	var conditions []ast.Expr
	ast.Inspect(f.declaration.Body, func(node ast.Node) bool {
		if branch, ok := node.(*ast.IfStmt); ok && mentions(branch.Cond, name) {
			conditions = append(conditions, branch.Cond)
		}
		return true
	})
	return conditions
}

func (f *function) around(node ast.Node, before, after string) wrap {
	return wrap{f.file.offset(node.Pos()), f.file.offset(node.End()), before, after}
}

// Statement leaves out a statement, or adds others after it.
func (f *function) statement(on string, todo change) ([]wrap, error) {
	var statements []ast.Stmt
	sets := todo.Kind == "after"
	ast.Inspect(f.declaration.Body, func(node ast.Node) bool {
		for _, each := range listOf(node) {
			if does(each, todo.Name, sets) {
				statements = append(statements, each)
			}
		}
		return true
	})
	statement, err := chosen(statements, todo, "a statement with "+todo.Name)
	if err != nil {
		return nil, err
	}
	if sets {
		end := f.file.offset(statement.End())
		return []wrap{{end, end, fmt.Sprintf("; if %s { %s }", on, todo.Text), ""}}, parsed(todo.Text)
	}
	if made, ok := statement.(*ast.AssignStmt); ok && made.Tok.String() == ":=" {
		return nil, errors.New("cannot skip a statement that makes variables")
	}
	return []wrap{f.around(statement, fmt.Sprintf("if !%s { ", on), " }")}, nil
}

func (f *function) replaced(id string, todo change) ([]wrap, error) {
	if _, err := parser.ParseExpr(todo.Text); err != nil {
		return nil, fmt.Errorf("%s: %w", todo.Text, err)
	}
	var expressions []ast.Expr
	values(f.declaration.Body, func(expression ast.Expr) {
		if f.file.textOf(expression) == todo.Name {
			expressions = append(expressions, expression)
		}
	})
	expression, err := chosen(expressions, todo, todo.Name)
	if err != nil {
		return nil, err
	}
	before := fmt.Sprintf("%s.Or%s(%q, (%s), ", alias, typed(todo.Type), id, todo.Text)
	return []wrap{f.around(expression, before, ")")}, nil
}

func (f *function) swapped(id string, todo change) ([]wrap, error) {
	var calls []*ast.CallExpr
	ast.Inspect(f.declaration.Body, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok && calleeOf(call) == todo.Name {
			calls = append(calls, call)
		}
		return true
	})
	call, err := chosen(calls, todo, "a call of "+todo.Name)
	if err != nil {
		return nil, err
	}
	if todo.First == todo.Second || max(todo.First, todo.Second) >= len(call.Args) {
		return nil, fmt.Errorf("expected two of the %d arguments, got %d and %d", len(call.Args), todo.First, todo.Second)
	}
	first, second := call.Args[todo.First], call.Args[todo.Second]
	before := func(other ast.Node) string {
		return fmt.Sprintf("%s.Or%s(%q, (%s), ", alias, typed(todo.Type), id, f.file.textOf(other))
	}
	return []wrap{f.around(first, before(second), ")"), f.around(second, before(first), ")")}, nil
}

func typed(name string) string {
	if name == "" {
		return ""
	}
	return "[" + name + "]"
}

// Parsed returns an error if a text is not a list of statements.
func parsed(statements string) error {
	if _, err := parser.ParseExpr("func() {" + statements + "}"); err != nil {
		return fmt.Errorf("%s: %w", statements, err)
	}
	return nil
}

// Chosen returns the match that a change is about; an error if there are not as many matches as it says.
func chosen[T any](matches []T, todo change, what string) (T, error) {
	nth, among := max(todo.Nth, 1), max(todo.Among, 1)
	if len(matches) != among || nth > among {
		var none T
		return none, fmt.Errorf("expected %s %d times, got %d", what, among, len(matches))
	}
	return matches[nth-1], nil
}
