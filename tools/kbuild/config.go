// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/exit"
)

// Setting is one symbol of a kernel configuration with its wanted value.
type Setting struct {
	Symbol string // with its prefix: "CONFIG_KVM"
	Value  string // as in .config: y, m, n, a number or a quoted string
	Where  string // file:line of the fragment, for errors
}

// Config is a list of settings, each symbol once, in the order in which the
// symbols were first seen.
type Config []Setting

var (
	settingLine = regexp.MustCompile(`^(?:# (CONFIG_\w+) is not set|(CONFIG_\w+)=(.*))$`)
	valueForm   = regexp.MustCompile(`^([ymn]|-?[0-9]+|0[xX][0-9A-Fa-f]+|"([^"\\]|\\.)*")$`)
)

// ParseConfig reads a configuration or a fragment of one: lines
// CONFIG_X=value and "# CONFIG_X is not set", which is the same as =n;
// other comments and empty lines are skipped. Anything else is an error with
// its line. The last value of a symbol counts.
func ParseConfig(name string, r io.Reader) (Config, error) {
	var c Config
	scan := bufio.NewScanner(r)
	for n := 1; scan.Scan(); n++ {
		line := strings.TrimSpace(scan.Text())
		where := fmt.Sprintf("%s:%d", name, n)
		m := settingLine.FindStringSubmatch(line)
		switch {
		case m == nil && (line == "" || strings.HasPrefix(line, "#")):
		case m == nil:
			return nil, exit.With(exit.Usage, fmt.Errorf("%s: %q is neither CONFIG_NAME=value nor a comment", where, line))
		case m[1] != "":
			c = c.set(Setting{m[1], "n", where})
		case !valueForm.MatchString(m[3]):
			return nil, exit.With(exit.Usage, fmt.Errorf("%s: %s: the value %q is neither y, m, n, a number nor a quoted string", where, m[2], m[3]))
		default:
			c = c.set(Setting{m[2], m[3], where})
		}
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("read the configuration %s: %w", name, err)
	}
	return c, nil
}

func readConfig(name string) (Config, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseConfig(name, f)
}

// ReadFragments reads configuration fragments; a later one overrides those
// before it.
func ReadFragments(paths ...string) (Config, error) {
	var all Config
	for _, p := range paths {
		c, err := readConfig(p)
		if err != nil {
			return nil, exit.With(exit.Usage, fmt.Errorf("read a configuration fragment: %w", err))
		}
		for _, s := range c {
			all = all.set(s)
		}
	}
	return all, nil
}

func (c Config) index(symbol string) int {
	return slices.IndexFunc(c, func(s Setting) bool { return s.Symbol == symbol })
}

func (c Config) set(s Setting) Config {
	if i := c.index(s.Symbol); i >= 0 {
		c[i] = s
		return c
	}
	return append(c, s)
}

// Value returns the value of a symbol, "n" if it is not in c.
func (c Config) Value(symbol string) string {
	if i := c.index(symbol); i >= 0 {
		return c[i].Value
	}
	return "n"
}

// Without returns c without these symbols.
func (c Config) Without(symbols ...string) Config {
	return slices.DeleteFunc(slices.Clone(c), func(s Setting) bool { return slices.Contains(symbols, s.Symbol) })
}

// String returns c as a configuration file.
func (c Config) String() string {
	var b strings.Builder
	for _, s := range c {
		if s.Value == "n" {
			fmt.Fprintf(&b, "# %s is not set\n", s.Symbol)
			continue
		}
		fmt.Fprintf(&b, "%s=%s\n", s.Symbol, s.Value)
	}
	return b.String()
}

// Hash returns the SHA-256 of the configuration without its comments, in
// hexadecimal.
func (c Config) Hash() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(c.String())))
}

// kvmSymbols are what a kernel without is of no use.
var kvmSymbols = []string{"CONFIG_KVM", "CONFIG_KVM_AMD", "CONFIG_KVM_INTEL"}

// checkKept returns an error that names the settings of c that the final configuration
// of a tree does not have, with the reason as far as its Kconfig files tell: the kernel
// would not be the one that was asked for. Source is the architecture's directory. What
// these fragments set, which are for another kernel, it returns instead, as the tree has
// it, but for KVM itself.
func (c Config) checkKept(final Config, fsys fs.FS, source string, forAnother []string) (others Config, err error) {
	var list strings.Builder
	n := 0
	for _, s := range c {
		got := final.Value(s.Symbol)
		if got == s.Value {
			continue
		}
		if !slices.Contains(kvmSymbols, s.Symbol) && slices.ContainsFunc(forAnother, func(file string) bool { return strings.HasPrefix(s.Where, file+":") }) {
			others = append(others, Setting{s.Symbol, got, s.Where})
			continue
		}
		n++
		fmt.Fprintf(&list, "\n  %s: %s=%s became %s", s.Where, s.Symbol, s.Value, got)
		// An error here must not hide the error that is explained.
		if h, err := hint(fsys, source, strings.TrimPrefix(s.Symbol, "CONFIG_"), final); err == nil {
			fmt.Fprintf(&list, " (%s)", h)
		}
	}
	if n == 0 {
		return others, nil
	}
	return nil, exit.With(exit.BuildFailed, fmt.Errorf("%d of the settings were not kept by Kconfig:%s\nset what they depend on in the same fragment, or remove them from it", n, &list))
}

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
