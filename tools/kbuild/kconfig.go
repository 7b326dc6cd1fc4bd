// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"fmt"
	"go/build/constraint"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// kconfigSymbol is what the Kconfig files of a tree say about one symbol,
// as far as it explains why a setting was dropped.
type kconfigSymbol struct {
	where   string   // file:line of its definition
	prompt  bool     // whether it can be set, and is not only selected
	depends []string // expressions that must be true: "depends on", the prompt's "if" and any "if" around it
}

var (
	kconfigDef    = regexp.MustCompile(`^\s*(?:menu)?config\s+([A-Za-z0-9_]+)\s*$`)
	kconfigPrompt = regexp.MustCompile(`^\s+(?:bool|tristate|int|hex|string|prompt|def_bool|def_tristate)\s+"(?:[^"\\]|\\.)*"(?:\s+if\s+(.*))?`)
	kconfigDep    = regexp.MustCompile(`^\s+depends\s+on\s+(.*)$`)
	kconfigIf     = regexp.MustCompile(`^if\s+(.*)$`)
)

// explain adds hints to the settings that Kconfig of a tree did not keep; source
// is the architecture's directory.
func explain(dropped []Dropped, fsys fs.FS, source string, final Config) {
	for i, d := range dropped {
		symbol := strings.TrimPrefix(d.Symbol, "CONFIG_")
		// An error here must not hide the error that is explained.
		if defs, err := findSymbol(fsys, source, symbol); err == nil {
			dropped[i].Hint = hint(symbol, defs, final)
		}
	}
}

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

// scanKconfig returns the definitions of a symbol in one Kconfig file. It knows
// only as much of the language as an explanation needs.
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
		condition := ""
		if t := strings.TrimSpace(line); t == "help" || t == "---help---" {
			help = true
		} else if m := kconfigPrompt.FindStringSubmatch(line); m != nil {
			s.prompt, condition = true, m[1]
		} else if m := kconfigDep.FindStringSubmatch(line); m != nil {
			condition = m[1]
		}
		if condition = strings.TrimSpace(condition); condition != "" {
			s.depends = append(s.depends, condition)
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
		var unmet []string
		for _, e := range d.depends {
			if why := blockers(e, final); len(why) > 0 {
				unmet = append(unmet, fmt.Sprintf("%s, where %s", e, strings.Join(why, ", ")))
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

var (
	comparison = regexp.MustCompile(`([A-Za-z0-9_]+)\s*(=|!=|<=?|>=?)\s*("[^"]*"|[A-Za-z0-9_]+)`)
	// Strings and calls of macros count as true.
	opaque = regexp.MustCompile(`"[^"]*"|\$\([^)]*\)`)
)

// blockers returns nothing if a Kconfig expression is true in a configuration,
// otherwise the values of its symbols as "NAME is VALUE"; m counts as true.
// Expressions that it does not understand count as true: it explains a decision,
// it does not make one.
//
// With comparisons taken out, the language is that of Go's build constraints.
func blockers(expr string, c Config) []string {
	var compared [][]string // symbol, operator and value, by the number of their stand-in
	text := comparison.ReplaceAllStringFunc(expr, func(s string) string {
		compared = append(compared, comparison.FindStringSubmatch(s))
		return fmt.Sprintf("compared.%d", len(compared)-1)
	})
	parsed, err := constraint.Parse("//go:build " + opaque.ReplaceAllString(text, "y"))
	if err != nil {
		return nil
	}

	var values []string
	value := func(symbol string) string {
		got := c.Value("CONFIG_" + symbol)
		if text := symbol + " is " + got; !slices.Contains(values, text) {
			values = append(values, text)
		}
		return got
	}
	ok := parsed.Eval(func(tag string) bool {
		var i int
		if _, err := fmt.Sscanf(tag, "compared.%d", &i); err == nil {
			got, operator, want := value(compared[i][1]), compared[i][2], compared[i][3]
			// The order of values is not known here.
			return operator == "=" && got == want || operator == "!=" && got != want || strings.ContainsAny(operator, "<>")
		}
		if tag == "y" || tag == "m" || tag == "n" {
			return tag != "n"
		}
		return value(tag) != "n"
	})
	if ok {
		return nil
	}
	return values
}
