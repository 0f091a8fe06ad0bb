package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The name of the package of the switch in the changed files: one that no file has.
const alias = "kubechainMutant"

// A file of a copied module. Edits only insert text, so that several guards can change one line.
type source struct {
	text    []byte
	set     *token.FileSet
	tree    *ast.File
	wrapped []wrap
}

// Text before and after a range of a file; both are at the same place where from equals to.
type wrap struct {
	from, to      int
	before, after string
}

// A function in a file.
type function struct {
	file        *source
	declaration *ast.FuncDecl
}

func (s *source) offset(place token.Pos) int { return s.set.Position(place).Offset }

func (s *source) textOf(node ast.Node) string {
	return string(s.text[s.offset(node.Pos()):s.offset(node.End())])
}

func (s *source) add(edits []wrap) { s.wrapped = append(s.wrapped, edits...) }

// Mutated returns the text of the file with all edits, and with the import of the switch on the line of the package clause.
func (s *source) mutated() []byte {
	name := s.offset(s.tree.Name.End())
	all := append([]wrap{{name, name, fmt.Sprintf("; import %s %q", alias, switchPath), ""}}, s.wrapped...)
	// The wider range is the outer one; of equal ranges, that of the earlier guard.
	slices.SortStableFunc(all, func(a, b wrap) int { return (b.to - b.from) - (a.to - a.from) })
	var result []byte
	for place := range len(s.text) + 1 {
		// Ranges end before others begin at the same place; the inner one ends first.
		for _, each := range slices.Backward(all) {
			if each.to == place && each.from < each.to {
				result = append(result, each.after...)
			}
		}
		for _, each := range all {
			if each.from == place && each.from == each.to {
				result = append(result, each.before...)
			}
		}
		for _, each := range all {
			if each.from == place && each.from < each.to {
				result = append(result, each.before...)
			}
		}
		if place < len(s.text) {
			result = append(result, s.text[place])
		}
	}
	return result
}

// Find returns the one function of a package, "Name" or "Type.Name", among the files that are built for Linux.
func find(folder, name string, files map[string]*source) (*function, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, errors.New("no such package")
	}
	target := build.Default
	target.GOOS, target.CgoEnabled = "linux", false
	var found []*function
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		if built, err := target.MatchFile(folder, entry.Name()); err != nil || !built {
			continue
		}
		path := filepath.Join(folder, entry.Name())
		declared, err := functionsOf(path, name, files)
		if err != nil {
			return nil, err
		}
		found = append(found, declared...)
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("expected one such function, got %d", len(found))
	}
	return found[0], nil
}

// FunctionsOf returns the functions of a name in a file, which it keeps in files if there is one.
func functionsOf(path, name string, files map[string]*source) ([]*function, error) {
	parsed, known := files[path]
	if !known {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		parsed = &source{text: text, set: set, tree: tree}
	}
	var found []*function
	for _, each := range parsed.tree.Decls {
		declaration, ok := each.(*ast.FuncDecl)
		if ok && declaration.Body != nil && nameOf(declaration) == name {
			found = append(found, &function{parsed, declaration})
		}
	}
	if len(found) > 0 {
		files[path] = parsed
	}
	return found, nil
}

// NameOf returns "Name", or "Type.Name" for a method, be its receiver a pointer or generic or not.
func nameOf(declaration *ast.FuncDecl) string {
	if declaration.Recv == nil {
		return declaration.Name.Name
	}
	receiver := declaration.Recv.List[0].Type
	for {
		switch kind := receiver.(type) {
		case *ast.StarExpr:
			receiver = kind.X
		case *ast.ParenExpr:
			receiver = kind.X
		case *ast.IndexExpr:
			receiver = kind.X
		case *ast.IndexListExpr:
			receiver = kind.X
		case *ast.Ident:
			return kind.Name + "." + declaration.Name.Name
		default:
			return ""
		}
	}
}
