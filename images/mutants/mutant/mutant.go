// Package mutant is the switch of the mutants in a program: each of them is on while a file of its name exists.
package mutant

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The folder of the files; the variable in the environment names another.
const (
	folder   = "/etc/kubechain/mutants"
	variable = "KUBECHAIN_MUTANTS_FOLDER"
)

// How long the names of the files are cached.
const fresh = 100 * time.Millisecond

// What ends the name of the file that says that the changed code of a mutant was reached.
const reached = ".reached"

type state struct {
	read time.Time
	on   map[string]bool
}

var (
	current atomic.Pointer[state]
	reading sync.Mutex
	// Mutants that have a file with the ending reached, and functions that are noted, from this process.
	marked  sync.Map
	entered sync.Map
	base    = cmp.Or(os.Getenv(variable), folder)
)

// On says whether a mutant is on. The first call after it was switched on, or after the file was removed, leaves a file that says
// that the code was reached.
func On(id string) bool {
	names := current.Load()
	if names == nil || time.Since(names.read) > fresh {
		names = refresh()
	}
	if !names.on[id] {
		return false
	}
	if _, known := marked.LoadOrStore(id, true); !known {
		// Where the folder cannot be written, the mutant is on all the same.
		_ = os.WriteFile(filepath.Join(base, id+reached), nil, 0o644)
	}
	return true
}

// Or returns the first value while a mutant is on, else the second.
func Or[T any](id string, mutated, original T) T {
	if On(id) {
		return mutated
	}
	return original
}

// Zero returns the zero value of a type.
func Zero[T any]() T {
	var zero T
	return zero
}

// Enter notes the name of a function that is called while a mutant is on: once, as a line of a file for each program.
func Enter(id, function string) {
	if !On(id) {
		return
	}
	if _, known := entered.LoadOrStore(function, true); known {
		return
	}
	path := filepath.Join(base, id+"."+filepath.Base(os.Args[0])+reached)
	if file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
		_, _ = file.WriteString(function + "\n")
		_ = file.Close()
	}
}

func refresh() *state {
	reading.Lock()
	defer reading.Unlock()
	if last := current.Load(); last != nil && time.Since(last.read) <= fresh {
		return last
	}
	names, written := &state{time.Now(), map[string]bool{}}, map[string]bool{}
	// Without the folder, all mutants are off.
	entries, _ := os.ReadDir(base)
	for _, entry := range entries {
		if id, ends := strings.CutSuffix(entry.Name(), reached); ends {
			written[id] = true
		} else {
			names.on[id] = true
		}
	}
	marked.Range(func(id, _ any) bool {
		if !written[id.(string)] {
			marked.Delete(id)
		}
		return true
	})
	current.Store(names)
	return names
}
