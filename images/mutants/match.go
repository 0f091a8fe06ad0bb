package main

import "go/ast"

// Mentions says whether an expression has an identifier of a name, "" for any.
func mentions(expression ast.Expr, name string) bool {
	found := name == ""
	ast.Inspect(expression, func(node ast.Node) bool {
		if identifier, ok := node.(*ast.Ident); ok && identifier.Name == name {
			found = true
		}
		return !found
	})
	return found
}

// CalleeOf returns the last name of what a call calls: "Add" for a.b.Add(1).
func calleeOf(call *ast.CallExpr) string {
	callee := call.Fun
	for {
		switch kind := callee.(type) {
		case *ast.ParenExpr:
			callee = kind.X
		case *ast.IndexExpr:
			callee = kind.X
		case *ast.IndexListExpr:
			callee = kind.X
		case *ast.SelectorExpr:
			return kind.Sel.Name
		case *ast.Ident:
			return kind.Name
		default:
			return ""
		}
	}
}

// ListOf returns the statements of a node that has a list of them.
func listOf(node ast.Node) []ast.Stmt {
	switch kind := node.(type) {
	case *ast.BlockStmt:
		return kind.List
	case *ast.CaseClause:
		return kind.Body
	case *ast.CommClause:
		return kind.Body
	}
	return nil
}

// Does says whether a statement itself, without the blocks in it, calls a name or, with sets, sets it.
func does(statement ast.Stmt, name string, sets bool) bool {
	found := false
	ast.Inspect(statement, func(node ast.Node) bool {
		switch kind := node.(type) {
		case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause:
			return false
		case *ast.CallExpr:
			found = found || calleeOf(kind) == name
		case *ast.AssignStmt:
			for _, target := range kind.Lhs {
				found = found || sets && lastName(target) == name
			}
		}
		return true
	})
	return found
}

func lastName(expression ast.Expr) string {
	switch kind := expression.(type) {
	case *ast.Ident:
		return kind.Name
	case *ast.SelectorExpr:
		return kind.Sel.Name
	case *ast.IndexExpr:
		return lastName(kind.X)
	case *ast.StarExpr:
		return lastName(kind.X)
	}
	return ""
}

// Values calls a function for every expression of a body that has a value: no name of a field, and nothing that is set.
func values(body *ast.BlockStmt, see func(ast.Expr)) {
	names := map[ast.Node]bool{}
	ast.Inspect(body, func(node ast.Node) bool {
		switch kind := node.(type) {
		case *ast.SelectorExpr:
			names[kind.Sel] = true
		case *ast.KeyValueExpr:
			if _, ok := kind.Key.(*ast.Ident); ok {
				names[kind.Key] = true
			}
		case *ast.AssignStmt:
			for _, target := range kind.Lhs {
				names[target] = true
			}
		}
		if expression, ok := node.(ast.Expr); ok && !names[node] {
			see(expression)
		}
		return true
	})
}
