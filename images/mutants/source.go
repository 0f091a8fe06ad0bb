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
	path    string
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
	starts, ends := map[int][]wrap{}, map[int][]wrap{}
	for _, each := range all {
		starts[each.from] = append(starts[each.from], each)
		if each.from < each.to {
			ends[each.to] = append(ends[each.to], each)
		}
	}
	var result []byte
	for place := range len(s.text) + 1 {
		// Ranges end before others begin at the same place; the inner one ends first.
		for _, each := range slices.Backward(ends[place]) {
			result = append(result, each.after...)
		}
		// What is inserted without a range stands before the ranges, and is the last in the order of their width.
		points := slices.IndexFunc(starts[place], func(each wrap) bool { return each.from == each.to })
		if points >= 0 {
			for _, each := range starts[place][points:] {
				result = append(result, each.before...)
			}
			starts[place] = starts[place][:points]
		}
		for _, each := range starts[place] {
			result = append(result, each.before...)
		}
		if place < len(s.text) {
			result = append(result, s.text[place])
		}
	}
	return result
}

// The files of packages that were parsed, by the folder of the package.
type packages map[string][]*source

// Of returns the files of a package that are built for Linux, without those of its tests.
func (p packages) of(folder string) ([]*source, error) {
	if known, ok := p[folder]; ok {
		return known, nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, errors.New("no such package")
	}
	target := build.Default
	target.GOOS, target.CgoEnabled = "linux", false
	var files []*source
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		if built, err := target.MatchFile(folder, entry.Name()); err != nil || !built {
			continue
		}
		file, err := parse(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	p[folder] = files
	return files, nil
}

func parse(path string) (*source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &source{path: path, text: text, set: set, tree: tree}, nil
}

// Functions returns the functions of a file that have a body.
func (s *source) functions() []*function {
	var found []*function
	for _, each := range s.tree.Decls {
		if declaration, ok := each.(*ast.FuncDecl); ok && declaration.Body != nil {
			found = append(found, &function{s, declaration})
		}
	}
	return found
}

// Find returns the one function of a package, "Name" or "Type.Name".
func (p packages) find(folder, name string) (*function, error) {
	files, err := p.of(folder)
	if err != nil {
		return nil, err
	}
	var found []*function
	for _, file := range files {
		for _, each := range file.functions() {
			if nameOf(each.declaration) == name {
				found = append(found, each)
			}
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("expected one such function, got %d", len(found))
	}
	return found[0], nil
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
