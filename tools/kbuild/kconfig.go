// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// kconfigSymbol is what the Kconfig files of a tree say about one symbol,
// as far as it explains why a setting was dropped.
type kconfigSymbol struct {
	where    string   // file:line of its definition
	prompt   bool     // whether it can be set, and is not only selected
	promptIf string   // condition of the prompt
	depends  []string // expressions that must be true: "depends on" and "if" around it
}

var (
	kconfigDef    = regexp.MustCompile(`^\s*(?:menu)?config\s+([A-Za-z0-9_]+)\s*$`)
	kconfigPrompt = regexp.MustCompile(`^\s+(?:bool|tristate|int|hex|string|prompt|def_bool|def_tristate)\s+"(?:[^"\\]|\\.)*"(?:\s+if\s+(.*))?`)
	kconfigDep    = regexp.MustCompile(`^\s+depends\s+on\s+(.*)$`)
	kconfigIf     = regexp.MustCompile(`^if\s+(.*)$`)
)

// findSymbol looks for the definitions of a symbol (without its prefix) in
// the Kconfig files of a tree; those of other architectures than source are
// left out.
func findSymbol(fsys fs.FS, source, symbol string) ([]kconfigSymbol, error) {
	var found []kconfigSymbol
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// No Kconfig file of the build is below these, and they are large.
			switch {
			case p == "Documentation", p == "tools", p == ".git",
				path.Dir(p) == "arch" && path.Base(p) != source:
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasPrefix(path.Base(p), "Kconfig") {
			return nil
		}
		f, err := fsys.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		list, err := scanKconfig(p, f, symbol)
		found = append(found, list...)
		return err
	})
	return found, err
}

// scanKconfig returns the definitions of a symbol in one Kconfig file. It
// knows as much of the language as an explanation needs, no more.
func scanKconfig(name string, r io.Reader, symbol string) ([]kconfigSymbol, error) {
	var found []kconfigSymbol
	var ifs []string
	in, help := false, false
	scan := bufio.NewScanner(r)
	for n := 1; scan.Scan(); n++ {
		line := scan.Text()
		for strings.HasSuffix(line, `\`) && scan.Scan() {
			line = strings.TrimSuffix(line, `\`) + " " + strings.TrimSpace(scan.Text())
			n++
		}
		if i := strings.Index(line, " #"); i >= 0 {
			line = line[:i]
		}
		if m := kconfigDef.FindStringSubmatch(line); m != nil && line[0] != ' ' && line[0] != '\t' {
			in, help = m[1] == symbol, false
			if in {
				found = append(found, kconfigSymbol{where: fmt.Sprintf("%s:%d", name, n), depends: append([]string(nil), ifs...)})
			}
			continue
		}
		if line != "" && line[0] != ' ' && line[0] != '\t' && line[0] != '#' {
			in = false
			if m := kconfigIf.FindStringSubmatch(line); m != nil {
				ifs = append(ifs, strings.TrimSpace(m[1]))
			} else if strings.HasPrefix(line, "endif") && len(ifs) > 0 {
				ifs = ifs[:len(ifs)-1]
			}
			continue
		}
		if !in || help {
			continue
		}
		s := &found[len(found)-1]
		if t := strings.TrimSpace(line); t == "help" || t == "---help---" {
			help = true
		} else if m := kconfigPrompt.FindStringSubmatch(line); m != nil {
			s.prompt, s.promptIf = true, strings.TrimSpace(m[1])
		} else if m := kconfigDep.FindStringSubmatch(line); m != nil {
			s.depends = append(s.depends, strings.TrimSpace(m[1]))
		}
	}
	return found, scan.Err()
}

// hint explains why a setting was dropped, from the definitions of its symbol
// and the final configuration.
func hint(symbol string, defs []kconfigSymbol, final Config) string {
	if len(defs) == 0 {
		return "this kernel has no symbol " + symbol
	}
	var parts []string
	for _, d := range defs {
		var exprs []string
		exprs = append(exprs, d.depends...)
		if d.promptIf != "" {
			exprs = append(exprs, d.promptIf)
		}
		var unmet []string
		for _, e := range exprs {
			if ok, missing := evaluate(e, final); !ok {
				unmet = append(unmet, fmt.Sprintf("%s, where %s", e, strings.Join(missing, ", ")))
			}
		}
		switch {
		case len(unmet) > 0:
			parts = append(parts, fmt.Sprintf("%s: depends on %s", d.where, strings.Join(unmet, "; and on ")))
		case !d.prompt:
			parts = append(parts, d.where+": cannot be set: it follows from other symbols")
		default:
			parts = append(parts, d.where)
		}
	}
	return strings.Join(parts, "; ")
}
