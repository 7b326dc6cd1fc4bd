// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Module is a kernel module file of this machine.
type Module struct {
	// Host is the path of the .ko file, not compressed.
	Host string
	// Args are its parameters, as insmod takes them.
	Args string
}

// moduleInfo is what a module's .modinfo section says.
type moduleInfo struct {
	name    string
	depends []string
}

// readModule reads the .modinfo section of a module.
func readModule(file string) (moduleInfo, error) {
	f, err := elf.Open(file)
	if err != nil {
		return moduleInfo{}, fmt.Errorf("module %s: %w", file, err)
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return moduleInfo{}, fmt.Errorf("module %s: not a kernel module: no .modinfo section", file)
	}
	data, err := section.Data()
	if err != nil {
		return moduleInfo{}, fmt.Errorf("module %s: .modinfo: %w", file, err)
	}
	info := parseModinfo(data)
	if info.name == "" {
		info.name = moduleName(file)
	}
	return info, nil
}

// parseModinfo reads the content of a .modinfo section: name=value, each
// ended by one NUL or more.
func parseModinfo(data []byte) moduleInfo {
	var info moduleInfo
	for field := range strings.SplitSeq(string(data), "\x00") {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "name":
			info.name = canonical(value)
		case "depends":
			for d := range strings.SplitSeq(value, ",") {
				if d != "" {
					info.depends = append(info.depends, canonical(d))
				}
			}
		}
	}
	return info
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
// in the list is added from pool, which maps names of modules to files.
func OrderModules(modules []Module, pool map[string]string) ([]Module, error) {
	var names []string
	files := make(map[string]Module)
	for name, host := range pool {
		files[name] = Module{Host: host}
	}
	for _, m := range modules {
		info, err := readModule(m.Host)
		if err != nil {
			return nil, err
		}
		if slices.Contains(names, info.name) {
			return nil, fmt.Errorf("modules: duplicate %s", info.name)
		}
		names, files[info.name] = append(names, info.name), m
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
		m, ok := files[name]
		if !ok {
			return fmt.Errorf("modules: %s depends on %s, which has no file", from, name)
		}
		info, err := readModule(m.Host)
		if err != nil {
			return err
		}
		visited[name] = false
		for _, d := range info.depends {
			if err := visit(d, name); err != nil {
				return err
			}
		}
		visited[name] = true
		ordered = append(ordered, m)
		return nil
	}
	for _, name := range names {
		if err := visit(name, ""); err != nil {
			return nil, err
		}
	}
	return ordered, nil
}

// ModulePool maps the names of all .ko files below dir to their paths.
func ModulePool(dir string) (map[string]string, error) {
	pool := map[string]string{}
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
