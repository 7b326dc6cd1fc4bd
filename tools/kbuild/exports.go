// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"debug/elf"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// exportMark begins the name of the local symbol that EXPORT_SYMBOL() and its
// kin leave for modpost.
const exportMark = "__export_symbol_"

// moduleSymbols are the symbols of one module's object, before modpost.
type moduleSymbols struct {
	// object is relative to the output directory.
	object                     string
	defined, exported, missing map[string]bool
}

// unexported returns a warning for each symbol that a module below the
// directories takes from another of them that does not export it. modpost would
// find it, but needs the whole kernel; and a patch in the middle of a series can
// lack an export that a later one adds. Symbols that the kernel itself does not
// export are not found.
func unexported(out string, directories []string) ([]Warning, error) {
	var modules []moduleSymbols
	for _, dir := range directories {
		names, err := filepath.Glob(filepath.Join(out, filepath.FromSlash(dir), "*.mod"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			object, err := filepath.Rel(out, strings.TrimSuffix(name, ".mod")+".o")
			if err != nil {
				return nil, err
			}
			m, err := readModuleSymbols(out, filepath.ToSlash(object))
			if err != nil {
				return nil, err
			}
			modules = append(modules, m)
		}
	}

	var found []Warning
	for _, user := range modules {
		for _, name := range slices.Sorted(maps.Keys(user.missing)) {
			for _, owner := range modules {
				if owner.defined[name] && !owner.exported[name] {
					found = append(found, Warning{File: user.object, Message: fmt.Sprintf("error: %q is in %s, which does not export it", name, owner.object)})
				}
			}
		}
	}
	return found, nil
}

func readModuleSymbols(out, object string) (moduleSymbols, error) {
	m := moduleSymbols{object: object, defined: make(map[string]bool), exported: make(map[string]bool), missing: make(map[string]bool)}
	f, err := elf.Open(filepath.Join(out, filepath.FromSlash(object)))
	if err != nil {
		return m, fmt.Errorf("read what a module exports: %w", err)
	}
	defer f.Close()

	symbols, err := f.Symbols()
	if err != nil {
		return m, fmt.Errorf("read what %s exports: %w", object, err)
	}
	for _, s := range symbols {
		name, mark := strings.CutPrefix(s.Name, exportMark)
		switch global := elf.ST_BIND(s.Info) != elf.STB_LOCAL; {
		case mark:
			m.exported[name] = true
		case s.Section == elf.SHN_UNDEF && global:
			m.missing[name] = true
		case global:
			m.defined[name] = true
		}
	}
	return m, nil
}
