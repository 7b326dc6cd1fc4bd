// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
)

// All is the name that stands for all columns.
const All = "all"

// common is the fragment that all columns have.
const common = "common" + ext

const ext = ".config"

// field is a comment of a fragment that means something.
var field = regexp.MustCompile(`(?m)^# (like|arch|kbuild|base|compiler): *(\S+)$`)

// withoutSparse says why sparse is of no use for a column.
var withoutSparse = regexp.MustCompile(`(?m)^# sparse: no, (\S.*)$`)

// Load reads the columns in dir, in the order of their names. A column is a
// configuration fragment, <name>.config, with comments that say of which
// architecture it is ("# arch: s390x"), which target of make gives the
// configuration to begin with ("# base: defconfig") and, where it is not gcc,
// which compiler it is for ("# compiler: clang-19"), and why sparse cannot be
// used, if so ("# sparse: no, it ..."). What common.config says holds for all.
// A column that is like another one ("# like: x86_64") has what that one says,
// too, as far as it does not say otherwise. Where kbuild has another name for
// 32 bits of an architecture, that stands there as well ("# kbuild: i386").
func Load(dir string) ([]kbuild.ObjectSpec, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+ext))
	if err != nil {
		return nil, err
	}
	var columns []kbuild.ObjectSpec
	for _, name := range names {
		if filepath.Base(name) == common {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, exit.With(exit.Usage, fmt.Errorf("read the build matrix: %w", err))
		}
		c, err := parse(name, string(data), false)
		if err != nil {
			return nil, exit.With(exit.Usage, fmt.Errorf("read the build matrix: %s: %w", name, err))
		}
		columns = append(columns, c)
	}
	if len(columns) == 0 {
		return nil, exit.With(exit.Usage, fmt.Errorf("read the build matrix: %s holds no *%s but %s", dir, ext, common))
	}
	return columns, nil
}

// parse reads the comments of a column's fragment. other says that it is read
// for a column that is like it.
func parse(name, text string, other bool) (kbuild.ObjectSpec, error) {
	said := make(map[string]string)
	for _, m := range field.FindAllStringSubmatch(text, -1) {
		if _, twice := said[m[1]]; twice {
			return kbuild.ObjectSpec{}, fmt.Errorf("%q stands in it twice", "# "+m[1]+":")
		}
		said[m[1]] = m[2]
	}
	c, err := start(name, said["like"], other)
	if err != nil {
		return c, err
	}
	c.Name = strings.TrimSuffix(filepath.Base(name), ext)
	c.Fragments = append(c.Fragments, name)
	if a := said["arch"]; a != "" {
		if c.Arch, err = arch.Find(a); err != nil {
			return c, err
		}
	}
	if k := said["kbuild"]; k != "" {
		c.Arch.Make = k
	}
	if b := said["base"]; b != "" {
		c.Defconfig = b
	}
	if cc := said["compiler"]; cc != "" {
		c.Compiler = cc
	}
	if m := withoutSparse.FindStringSubmatch(text); m != nil {
		c.WithoutSparse = m[1]
	}
	for f, is := range map[string]string{"arch": c.Arch.Name, "base": c.Defconfig} {
		if is == "" {
			return c, fmt.Errorf("it has no line %q", "# "+f+": ...")
		}
	}
	return c, nil
}

// start returns what a column begins with: what it is like, or what all have
// in common.
func start(name, like string, other bool) (kbuild.ObjectSpec, error) {
	var c kbuild.ObjectSpec
	switch {
	case like == "":
		if shared := filepath.Join(filepath.Dir(name), common); exists(shared) {
			c.Fragments = append(c.Fragments, shared)
		}
		return c, nil
	case other:
		return c, fmt.Errorf("it is like %s: one column in between is too many", like)
	}
	from := filepath.Join(filepath.Dir(name), like+ext)
	data, err := os.ReadFile(from)
	if err != nil {
		return c, fmt.Errorf("it is like %s: %w", like, err)
	}
	if c, err = parse(from, string(data), true); err != nil {
		return c, fmt.Errorf("it is like %s: %w", like, err)
	}
	return c, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// Choose returns the columns of a name: its own, or those of an architecture
// as uname, kbuild or Go call it, or all.
func Choose(columns []kbuild.ObjectSpec, name string) ([]kbuild.ObjectSpec, error) {
	if name == All {
		return columns, nil
	}
	of, archErr := arch.Find(name)
	var chosen []kbuild.ObjectSpec
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
		if c.Name == name {
			return []kbuild.ObjectSpec{c}, nil
		}
		if archErr == nil && c.Arch.Name == of.Name && c.Arch.Make == of.Make {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, exit.With(exit.Usage, fmt.Errorf("the build matrix has no column %q; it has %s, and %s",
			name, strings.Join(names, ", "), All))
	}
	return slices.Clip(chosen), nil
}
