// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	kconfigDef = regexp.MustCompile(`^(?:menu)?config\s+([A-Za-z0-9_]+)\s*$`)
	kconfigIf  = regexp.MustCompile(`^if\s+(.*)$`)
	// The next entry, or the help text, of which words may look like what is
	// looked for.
	kconfigEnd    = regexp.MustCompile(`^(?:[^\s#]|\s+(?:---)?help(?:---)?\s*$)`)
	kconfigPrompt = regexp.MustCompile(`(?m)^\s+(?:bool|tristate|int|hex|string|prompt|def_bool|def_tristate)\s+"`)
	kconfigOn     = regexp.MustCompile(`(?m)^\s+(?:depends\s+on|\w+\s+"(?:[^"\\]|\\.)*"\s+if)\s+([^#\n]*)`)
	// Strings and calls of macros have no symbols.
	kconfigText   = regexp.MustCompile(`"[^"]*"|\$\([^)]*\)`)
	kconfigSymbol = regexp.MustCompile(`\b[A-Z0-9_]*[A-Z][A-Z0-9_]*\b`)
)

// explain adds hints to the settings that Kconfig of a tree did not keep; source
// is the architecture's directory.
func explain(dropped []Dropped, fsys fs.FS, source string, final Config) {
	for i, d := range dropped {
		// An error here must not hide the error that is explained.
		if h, err := hint(fsys, source, strings.TrimPrefix(d.Symbol, "CONFIG_"), final); err == nil {
			dropped[i].Hint = h
		}
	}
}

// hint tells where a symbol (without its prefix) is defined in a tree and what it
// depends on. The files of other architectures than source are left out.
func hint(fsys fs.FS, source, symbol string, final Config) (string, error) {
	var found []string
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// No Kconfig file of the build is below these, and they are large.
		if d.IsDir() && (p == "Documentation" || p == "tools" || p == ".git" || path.Dir(p) == "arch" && path.Base(p) != source) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasPrefix(path.Base(p), "Kconfig") {
			return nil
		}
		text, err := fs.ReadFile(fsys, p)
		found = append(found, scanKconfig(p, string(text), symbol, final)...)
		return err
	})
	if len(found) == 0 {
		found = []string{"this kernel has no symbol " + symbol}
	}
	return strings.Join(found, "; "), err
}

// scanKconfig describes the definitions of a symbol in one Kconfig file. It knows
// only as much of the language as an explanation needs.
func scanKconfig(name, text, symbol string, final Config) []string {
	var found, around []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if m := kconfigIf.FindStringSubmatch(line); m != nil {
			around = append(around, m[1])
		} else if strings.HasPrefix(line, "endif") && len(around) > 0 {
			around = around[:len(around)-1]
		}
		if m := kconfigDef.FindStringSubmatch(line); m == nil || m[1] != symbol {
			continue
		}

		body := lines[i+1:]
		if end := slices.IndexFunc(body, kconfigEnd.MatchString); end >= 0 {
			body = body[:end]
		}
		entry := strings.ReplaceAll(strings.Join(body, "\n"), "\\\n", " ")
		on := slices.Clone(around)
		for _, m := range kconfigOn.FindAllStringSubmatch(entry, -1) {
			on = append(on, strings.Join(strings.Fields(m[1]), " "))
		}
		hint := fmt.Sprintf("%s:%d", name, i+1)
		if !kconfigPrompt.MatchString(entry) {
			hint += ": cannot be set: it follows from other symbols"
		} else if len(on) > 0 {
			hint += ": depends on " + strings.Join(on, ", and on ") + values(strings.Join(on, " "), final)
		}
		found = append(found, hint)
	}
	return found
}

// values returns the values of the symbols in an expression of Kconfig.
func values(expr string, c Config) string {
	var list []string
	for _, symbol := range kconfigSymbol.FindAllString(kconfigText.ReplaceAllString(expr, ""), -1) {
		if is := symbol + " is " + c.Value("CONFIG_"+symbol); !slices.Contains(list, is) {
			list = append(list, is)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return ", where " + strings.Join(list, ", ")
}
