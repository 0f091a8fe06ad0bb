// Mutants inserts guards for mutants into copies of Go modules:
//
//	mutants GUARDS FOLDER
//
// GUARDS is a JSON file with the folders of the modules and with the guards, as the type plan below. Each module with a guard is
// copied to FOLDER/PATH, and the package of the switch to FOLDER/kubechain.test/mutant, for replace directives of a go.mod.
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

// What a run does: the folder of each module by its path, and the guards.
type plan struct {
	Modules map[string]string
	Guards  []guard
}

// Where a mutant is, and what it changes; see changes.go for the kinds of changes and their fields.
type guard struct {
	ID       string
	Package  string
	Function string
	Change   change
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: mutants GUARDS FOLDER")
		os.Exit(2)
	}
	if err := work(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Work copies the modules and inserts the guards; it names every guard that does not fit.
func work(file, folder string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var todo plan
	if err := json.Unmarshal(text, &todo); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for path, source := range todo.Modules {
		if err := os.CopyFS(filepath.Join(folder, path), os.DirFS(source)); err != nil {
			return err
		}
	}
	if err := writeSwitch(filepath.Join(folder, switchPath)); err != nil {
		return err
	}
	files := map[string]*source{}
	var wrong []error
	for _, each := range todo.Guards {
		if err := insert(each, todo.Modules, folder, files); err != nil {
			wrong = append(wrong, fmt.Errorf("mutant %s: %s %s: %w", each.ID, each.Package, each.Function, err))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	for path, changed := range files {
		if err := os.WriteFile(path, changed.mutated(), 0o644); err != nil {
			return err
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
func insert(each guard, modules map[string]string, folder string, files map[string]*source) error {
	if !within(each.Package, modules) {
		return errors.New("expected a package of one of the modules")
	}
	found, err := find(filepath.Join(folder, each.Package), each.Function, files)
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

func within(path string, modules map[string]string) bool {
	for module := range modules {
		if path == module || strings.HasPrefix(path, module+"/") {
			return true
		}
	}
	return false
}
