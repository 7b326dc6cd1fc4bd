// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/pattern"
)

// ext is the extension of fragments, and common the one that all columns have.
const (
	ext    = ".config"
	common = "common" + ext
)

// Fields of a fragment: comments with a meaning.
var field = regexp.MustCompile(`(?m)^# (?:(like|arch|kbuild|base|compiler): *(\S+)|(sparse): no, (\S.*))$`)

// Load reads the columns in dir, in the order of their names. A column is a
// configuration fragment, <name>.config, on top of common.config. Its comments
// are
//
//	# like: x86_64       another column whose fragment and fields come first
//	# arch: s390x        the architecture
//	# kbuild: i386       kbuild's ARCH=, where that is not the architecture's
//	# base: defconfig    the target of make that gives the configuration to begin with
//	# compiler: clang-19 where it is not the architecture's
//	# sparse: no, ...    why sparse is not used
func Load(dir string) ([]kbuild.ObjectSpec, error) {
	names, err := pattern.Files(dir, "*"+ext)
	if err != nil {
		return nil, err
	}
	var columns []kbuild.ObjectSpec
	for _, name := range names {
		if filepath.Base(name) == common {
			continue
		}
		c, err := read(name)
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

func read(name string) (kbuild.ObjectSpec, error) {
	c := kbuild.ObjectSpec{Name: strings.TrimSuffix(filepath.Base(name), ext)}
	shared := filepath.Join(filepath.Dir(name), common)
	if _, err := os.Stat(shared); err == nil {
		c.Fragments = []string{shared}
	}
	fields, err := readFields(name)
	if err != nil {
		return c, err
	}

	if like := fields["like"]; like != "" {
		other := filepath.Join(filepath.Dir(name), like+ext)
		otherFields, err := readFields(other)
		if err != nil {
			return c, fmt.Errorf("like %s: %w", like, err)
		}
		if otherFields["like"] != "" {
			return c, fmt.Errorf("like %s, which is like %s itself", like, otherFields["like"])
		}
		for key, value := range otherFields {
			fields[key] = cmp.Or(fields[key], value)
		}
		c.Fragments = append(c.Fragments, other)
	}
	c.Fragments = append(c.Fragments, name)

	for _, key := range []string{"arch", "base"} {
		if fields[key] == "" {
			return c, fmt.Errorf("no line %q", "# "+key+": ...")
		}
	}
	if c.Arch, err = arch.Find(fields["arch"]); err != nil {
		return c, err
	}
	c.Arch.Make = cmp.Or(fields["kbuild"], c.Arch.Make)
	c.Defconfig, c.Compiler, c.WithoutSparse = fields["base"], fields["compiler"], fields["sparse"]
	return c, nil
}

// readFields returns the fields of a fragment; "sparse" is why it is not used.
func readFields(name string) (map[string]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	fields := make(map[string]string)
	for _, m := range field.FindAllStringSubmatch(string(data), -1) {
		key, value := m[1]+m[3], m[2]+m[4]
		if _, duplicate := fields[key]; duplicate {
			return nil, fmt.Errorf("duplicate line %q", "# "+key+":")
		}
		fields[key] = value
	}
	return fields, nil
}

// Choose returns the columns of a name: a column's own, those of an
// architecture, or all of them for [arch.All].
func Choose(columns []kbuild.ObjectSpec, name string) ([]kbuild.ObjectSpec, error) {
	if name == arch.All {
		return columns, nil
	}
	a, archErr := arch.Find(name)
	var chosen []kbuild.ObjectSpec
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
		if c.Name == name {
			return []kbuild.ObjectSpec{c}, nil
		}
		// i386 is not x86_64, though it has the same name.
		if archErr == nil && c.Arch.Name == a.Name && c.Arch.Make == a.Make {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, exit.With(exit.Usage, fmt.Errorf("unknown column %q of the build matrix: expected one of %s, or %s",
			name, strings.Join(names, ", "), arch.All))
	}
	return chosen, nil
}

// Group is the group of ci/packages.toml that all columns need.
const Group = "matrix"

// Groups returns the groups of ci/packages.toml that a column needs.
func Groups(c kbuild.ObjectSpec) []string {
	groups := []string{"build", Group}
	if c.Arch.Group != "" {
		return append(groups, c.Arch.Group)
	}
	if c.Compiler != "" && c.Compiler != kbuild.GCC {
		return append(groups, "clang")
	}
	return groups
}
