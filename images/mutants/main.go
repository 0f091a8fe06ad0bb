// Mutants inserts guards for mutants into copies of Go modules, or lists where it can insert some:
//
//	mutants PLAN FOLDER
//	mutants PLAN
//
// PLAN is a JSON file with the folders of the modules, as the type plan below. With FOLDER, each module is copied to FOLDER/PATH
// with the guards of the plan, and the package of the switch to FOLDER/kubechain.test/mutant, for replace directives of a go.mod.
// Without, the functions of the packages of the plan are printed as JSON, with the places for a change by rule (places.go).
package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The import path of the package with the switch.
const switchPath = "kubechain.test/mutant"

//go:embed mutant/mutant.go
var switchSource embed.FS

// What a run does: the folder of each module by its path, and the guards, or the packages whose functions are listed.
type plan struct {
	Modules  map[string]string
	Guards   []guard
	Packages []string
}

// Where a mutant is, and what it changes; see changes.go for the kinds of changes and their fields.
type guard struct {
	ID       string
	Package  string
	Function string
	Change   change
}

func main() {
	if len(os.Args) != 2 && len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: mutants PLAN [FOLDER]")
		os.Exit(2)
	}
	todo, err := read(os.Args[1])
	if err == nil && len(os.Args) == 3 {
		err = todo.insert(os.Args[2])
	} else if err == nil {
		err = todo.list(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(file string) (*plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var todo plan
	if err := json.Unmarshal(text, &todo); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &todo, nil
}

// Insert copies the modules and inserts the guards; it names every guard that does not fit.
func (todo *plan) insert(folder string) error {
	for path, source := range todo.Modules {
		if err := os.CopyFS(filepath.Join(folder, path), os.DirFS(source)); err != nil {
			return err
		}
	}
	if err := writeSwitch(filepath.Join(folder, switchPath)); err != nil {
		return err
	}
	parsed := packages{}
	var wrong []error
	for _, each := range todo.Guards {
		if err := insert(each, todo.Modules, folder, parsed); err != nil {
			wrong = append(wrong, fmt.Errorf("mutant %s: %s %s: %w", each.ID, each.Package, each.Function, err))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	for _, files := range parsed {
		for _, file := range files {
			if len(file.wrapped) == 0 {
				continue
			}
			if err := os.WriteFile(file.path, file.mutated(), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeSwitch(folder string) error {
	inner, err := fs.Sub(switchSource, "mutant")
	if err != nil {
		return err
	}
	if err := os.CopyFS(folder, inner); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "go.mod"), []byte("module "+switchPath+"\n\ngo 1.26.0\n"), 0o644)
}

// Insert adds the edits of a guard to the file that has its function.
func insert(each guard, modules map[string]string, folder string, parsed packages) error {
	if within(each.Package, modules) == "" {
		return errors.New("expected a package of one of the modules")
	}
	found, err := parsed.find(filepath.Join(folder, each.Package), each.Function)
	if err != nil {
		return err
	}
	edits, err := found.edits(each)
	if err != nil {
		return err
	}
	found.file.add(edits)
	return nil
}

// Within returns the path of the module that has a package, "" if none of them has it.
func within(path string, modules map[string]string) string {
	for module := range modules {
		if path == module || strings.HasPrefix(path, module+"/") {
			return module
		}
	}
	return ""
}
