// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"strings"
)

// exportMark begins the name of the local symbol that EXPORT_SYMBOL() and its
// kin leave for modpost.
const exportMark = "__export_symbol_"

// moduleSymbols are the symbols of the objects of some modules, before modpost.
type moduleSymbols struct {
	owner    map[string]string // object that defines a symbol
	exported map[string]bool
	uses     []symbolUse
}

// symbolUse is a symbol that an object takes from elsewhere.
type symbolUse struct{ object, symbol string }

// unexported returns a warning for each symbol that a module below the
// directories takes from another of them that does not export it. modpost would
// find it, but needs the whole kernel; and a patch in the middle of a series can
// lack an export that a later one adds. Symbols that the kernel itself does not
// export are not found.
func unexported(out string, directories []string) ([]Warning, error) {
	m := moduleSymbols{owner: make(map[string]string), exported: make(map[string]bool)}
	for _, dir := range directories {
		names, err := filepath.Glob(filepath.Join(out, filepath.FromSlash(dir), "*.mod"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			object := dir + "/" + strings.TrimSuffix(filepath.Base(name), ".mod") + ".o"
			if err := m.add(out, object); err != nil {
				return nil, fmt.Errorf("read what %s exports: %w", object, err)
			}
		}
	}

	var found []Warning
	for _, u := range m.uses {
		if owner := m.owner[u.symbol]; owner != "" && !m.exported[u.symbol] {
			found = append(found, Warning{File: u.object, Message: fmt.Sprintf("error: %q is in %s, which does not export it", u.symbol, owner)})
		}
	}
	return sorted(found), nil
}

// add adds the symbols of a module's object, relative to the output directory.
func (m *moduleSymbols) add(out, object string) error {
	f, err := elf.Open(filepath.Join(out, filepath.FromSlash(object)))
	if err != nil {
		return err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return err
	}

	for _, s := range symbols {
		name, mark := strings.CutPrefix(s.Name, exportMark)
		switch global := elf.ST_BIND(s.Info) != elf.STB_LOCAL; {
		case mark:
			m.exported[name] = true
		case s.Section == elf.SHN_UNDEF && global:
			m.uses = append(m.uses, symbolUse{object, name})
		case global:
			m.owner[name] = object
		}
	}
	return nil
}
