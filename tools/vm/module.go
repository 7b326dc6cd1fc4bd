// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Module is a kernel module file of this machine.
type Module struct {
	// Host is the path of the .ko file, not compressed.
	Host string
	// Args are its parameters, as insmod takes them.
	Args string
}

// dependencies returns the names of the modules that the module in a file depends
// on.
func dependencies(file string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", file, err)
	}
	defer f.Close()
	err = errors.New("not a kernel module: no .modinfo section")
	var data []byte
	if section := f.Section(".modinfo"); section != nil {
		data, err = section.Data()
	}
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", file, err)
	}
	return parseDepends(data), nil
}

// parseDepends reads the content of a .modinfo section: name=value, each
// ended by one NUL or more.
func parseDepends(modinfo []byte) []string {
	var depends []string
	for field := range strings.SplitSeq(string(modinfo), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok {
			depends = append(depends, strings.FieldsFunc(canonical(list), func(r rune) bool { return r == ',' })...)
		}
	}
	return depends
}

// canonical is how the kernel names a module: file names may have a dash where
// names have an underscore.
func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// moduleName is the kernel's name for the module in a file.
func moduleName(file string) string {
	return canonical(strings.TrimSuffix(filepath.Base(file), ".ko"))
}

// OrderModules returns modules in an order in which they can be loaded: each
// after those that it depends on, otherwise as given. A dependency that is not
// in the list is looked for below dir, unless that is "".
func OrderModules(modules []Module, dir string) ([]Module, error) {
	pool, err := modulePool(dir)
	if err != nil {
		return nil, err
	}
	given := make(map[string]Module)
	for _, m := range modules {
		name := moduleName(m.Host)
		if _, ok := given[name]; ok {
			return nil, fmt.Errorf("modules: duplicate %s", name)
		}
		given[name] = m
	}

	var ordered []Module
	visited := make(map[string]bool) // false while dependencies are visited
	var visit func(name, from string) error
	visit = func(name, from string) error {
		if done, found := visited[name]; done {
			return nil
		} else if found {
			return fmt.Errorf("modules: %s and %s depend on each other", from, name)
		}
		m, ok := given[name]
		if !ok {
			m.Host = pool[name]
		}
		if m.Host == "" {
			return fmt.Errorf("modules: %s depends on %s, which has no file", from, name)
		}
		depends, err := dependencies(m.Host)
		if err != nil {
			return err
		}

		visited[name] = false
		for _, d := range depends {
			if err := visit(d, name); err != nil {
				return err
			}
		}
		visited[name] = true
		ordered = append(ordered, m)
		return nil
	}
	for _, m := range modules {
		if err := visit(moduleName(m.Host), ""); err != nil {
			return nil, err
		}
	}
	return ordered, nil
}

// modulePool maps the names of all .ko files below dir to their paths.
func modulePool(dir string) (map[string]string, error) {
	pool := map[string]string{}
	if dir == "" {
		return pool, nil
	}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(p, ".ko") {
			pool[moduleName(p)] = p
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("modules: %w", err)
	}
	return pool, nil
}
