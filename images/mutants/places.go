package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A function with the places for changes by rule: which of its ifs can be negated (from 1), among how many, and how many
// constants can be changed.
type candidate struct {
	Package    string `json:"package"`
	Function   string `json:"function"`
	Conditions []int  `json:"conditions"`
	Among      int    `json:"among"`
	Constants  int    `json:"constants"`
}

// A constant that can be changed: the statement or the condition that has it, and its own node.
type constant struct{ whole, literal ast.Node }

// Other numbers are masks and modes.
var decimal = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// List prints the functions of the packages of the plan, in the order of their names.
func (todo *plan) list(out io.Writer) error {
	parsed, candidates := packages{}, []candidate{}
	for _, path := range todo.Packages {
		module := within(path, todo.Modules)
		if module == "" {
			return fmt.Errorf("%s: expected a package of one of the modules", path)
		}
		files, err := parsed.of(filepath.Join(todo.Modules[module], strings.TrimPrefix(path, module)))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		candidates = append(candidates, candidatesOf(path, files)...)
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return strings.Compare(a.Package+" "+a.Function, b.Package+" "+b.Function)
	})
	return json.NewEncoder(out).Encode(candidates)
}

// CandidatesOf leaves out generated files, functions without a statement, and names that several functions have.
func candidatesOf(path string, files []*source) []candidate {
	found, times := []candidate{}, map[string]int{}
	for _, file := range files {
		for _, each := range file.functions() {
			name := nameOf(each.declaration)
			times[name]++
			if name == "" || name == "init" || len(each.declaration.Body.List) == 0 || generated.Match(file.text) {
				continue
			}
			all, fit := each.conditions(""), []int{}
			for number, condition := range all {
				if !logs(condition) {
					fit = append(fit, number+1)
				}
			}
			found = append(found, candidate{path, name, fit, len(all), len(each.constants())})
		}
	}
	return slices.DeleteFunc(found, func(each candidate) bool { return times[each.Function] > 1 })
}

// Constants returns the decimal numbers and truth values of a function that can be changed in a copy of the condition of an if, or of a
// statement, which is on one line, has no function in it and writes no log.
func (f *function) constants() []constant {
	var found []constant
	add := func(whole ast.Node) {
		if f.line(whole.Pos()) == f.line(whole.End()) && !logs(whole) {
			for _, literal := range literals(whole) {
				found = append(found, constant{whole, literal})
			}
		}
	}
	ast.Inspect(f.declaration.Body, func(node ast.Node) bool {
		if branch, ok := node.(*ast.IfStmt); ok {
			add(branch.Cond)
		}
		for _, each := range listOf(node) {
			switch kind := each.(type) {
			case *ast.ReturnStmt, *ast.ExprStmt:
				add(each)
			case *ast.AssignStmt:
				if kind.Tok != token.DEFINE {
					add(each)
				}
			}
		}
		return true
	})
	return found
}

func (f *function) line(place token.Pos) int { return f.file.set.Position(place).Line }

// Literals returns the decimal numbers and truth values in a node: no length of an array and no key; none if there is a function in it.
func literals(whole ast.Node) []ast.Node {
	var found []ast.Node
	closed := false
	var look func(ast.Node) bool
	look = func(node ast.Node) bool {
		switch kind := node.(type) {
		case *ast.FuncLit:
			closed = true
		case *ast.ArrayType:
			return false
		case *ast.KeyValueExpr:
			ast.Inspect(kind.Value, look)
			return false
		case *ast.SelectorExpr:
			ast.Inspect(kind.X, look)
			return false
		case *ast.BasicLit:
			if decimal.MatchString(kind.Value) {
				found = append(found, kind)
			}
		case *ast.Ident:
			if kind.Name == "true" || kind.Name == "false" {
				found = append(found, kind)
			}
		}
		return true
	}
	ast.Inspect(whole, look)
	if closed {
		return nil
	}
	return found
}

// Logs says whether a node has to do with logs: their texts and levels are no behaviour.
func logs(node ast.Node) bool {
	return slices.ContainsFunc([]string{"klog", "logger", "log", "V"}, func(name string) bool {
		found := false
		ast.Inspect(node, func(inner ast.Node) bool {
			identifier, ok := inner.(*ast.Ident)
			found = found || ok && identifier.Name == name
			return !found
		})
		return found
	})
}

// Changed puts a copy with the changed constant before a return, and beside another statement or a condition.
func (f *function) changed(on string, todo change) ([]wrap, error) {
	chosen, err := chosen(f.constants(), todo, "a constant")
	if err != nil {
		return nil, err
	}
	start, end := f.file.offset(chosen.whole.Pos()), f.file.offset(chosen.whole.End())
	from, to := f.file.offset(chosen.literal.Pos()), f.file.offset(chosen.literal.End())
	copied := string(f.file.text[start:from]) + other(f.file.textOf(chosen.literal)) + string(f.file.text[to:end])
	switch chosen.whole.(type) {
	case *ast.ReturnStmt:
		return []wrap{{start, start, fmt.Sprintf("if %s { %s }; ", on, copied), ""}}, nil
	case ast.Stmt:
		return []wrap{f.around(chosen.whole, fmt.Sprintf("if %s { %s } else { ", on, copied), " }")}, nil
	}
	return []wrap{f.around(chosen.whole, fmt.Sprintf("%s && (%s) || !%s && (", on, copied, on), ")")}, nil
}

func other(literal string) string {
	switch literal {
	case "true":
		return "false"
	case "false":
		return "true"
	}
	return "(" + literal + " + 1)"
}
