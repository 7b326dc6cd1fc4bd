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

// symbolUse is a symbol that an object takes from elsewhere.
type symbolUse struct{ object, symbol string }

// unexported returns a warning for each symbol that a module below the
// directories takes from another of them that does not export it. modpost would
// find it, but needs the whole kernel; and a patch in the middle of a series can
// lack an export that a later one adds. Symbols that the kernel itself does not
// export are not found.
func unexported(out string, directories []string) ([]Warning, error) {
	owner := make(map[string]string) // object that defines a symbol
	exported := make(map[string]bool)
	var uses []symbolUse
	for _, dir := range directories {
		names, err := filepath.Glob(filepath.Join(out, filepath.FromSlash(dir), "*.mod"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			object := dir + "/" + strings.TrimSuffix(filepath.Base(name), ".mod") + ".o"
			symbols, err := elfSymbols(filepath.Join(out, filepath.FromSlash(object)))
			if err != nil {
				return nil, fmt.Errorf("read what %s exports: %w", object, err)
			}
			for _, s := range symbols {
				name, mark := strings.CutPrefix(s.Name, exportMark)
				switch global := elf.ST_BIND(s.Info) != elf.STB_LOCAL; {
				case mark:
					exported[name] = true
				case s.Section == elf.SHN_UNDEF && global:
					uses = append(uses, symbolUse{object, name})
				case global:
					owner[name] = object
				}
			}
		}
	}

	var found []Warning
	for _, u := range uses {
		if from := owner[u.symbol]; from != "" && !exported[u.symbol] {
			found = append(found, Warning{File: u.object, Message: fmt.Sprintf("error: %q is in %s, which does not export it", u.symbol, from)})
		}
	}
	return sorted(found), nil
}

func elfSymbols(name string) ([]elf.Symbol, error) {
	f, err := elf.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Symbols()
}
