// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Module is a kernel module file of this machine.
type Module struct {
	// Host is the path of the .ko file, not compressed.
	Host string
	// Args are its parameters, as insmod takes them.
	Args string
}

// moduleInfo is what a module says of itself in its .modinfo section.
type moduleInfo struct {
	name    string
	depends []string
	magic   string
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
		return moduleInfo{}, fmt.Errorf("module %s: it has no .modinfo section: not a kernel module", file)
	}
	data, err := section.Data()
	if err != nil {
		return moduleInfo{}, fmt.Errorf("module %s: .modinfo: %w", file, err)
	}
	info := parseModinfo(data)
	if info.name == "" {
		info.name = strings.TrimSuffix(filepath.Base(file), ".ko")
	}
	info.name = canonical(info.name)
	return info, nil
}

// ModuleMagic returns the version magic of a module: the kernel that it was
// built for and the options that must be the same. It is "" when the module
// carries none.
func ModuleMagic(file string) (string, error) {
	info, err := readModule(file)
	return info.magic, err
}

// parseModinfo reads the content of a .modinfo section: name=value, each
// ended by one NUL or more.
func parseModinfo(data []byte) moduleInfo {
	var info moduleInfo
	for _, field := range bytes.Split(data, []byte{0}) {
		name, value, _ := strings.Cut(string(field), "=")
		switch name {
		case "name":
			info.name = value
		case "vermagic":
			info.magic = value
		case "depends":
			for _, d := range strings.Split(value, ",") {
				if d != "" {
					info.depends = append(info.depends, canonical(d))
				}
			}
		}
	}
	return info
}

// canonical is how the kernel names a module: file names may have a dash
// where names have an underscore.
func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// OrderModules returns modules in an order in which they can be loaded: each
// after those that it depends on, otherwise as given. What a module depends
// on and is not in the list is added from pool, where pool maps names of
// modules to files; a dependency that is in neither is an error, unless
// builtin says that the kernel has it built in (nil says no).
func OrderModules(modules []Module, pool map[string]string, builtin func(name string) bool) ([]Module, error) {
	o := orderer{given: map[string]Module{}, pool: pool, builtin: builtin, state: map[string]int{}}
	var names []string
	for _, m := range modules {
		info, err := readModule(m.Host)
		if err != nil {
			return nil, err
		}
		if _, twice := o.given[info.name]; twice {
			return nil, fmt.Errorf("modules: %s is there twice", info.name)
		}
		o.given[info.name] = m
		names = append(names, info.name)
	}
	for _, name := range names {
		if err := o.visit(name, ""); err != nil {
			return nil, err
		}
	}
	return o.out, nil
}

// ModulePool maps the names of all .ko files below dir to their paths.
func ModulePool(dir string) (map[string]string, error) {
	pool := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(p, ".ko") {
			pool[canonical(strings.TrimSuffix(d.Name(), ".ko"))] = p
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("modules: %w", err)
	}
	return pool, nil
}

type orderer struct {
	given   map[string]Module
	pool    map[string]string
	builtin func(string) bool
	state   map[string]int // 1 while its dependencies are visited, 2 when it is in out
	out     []Module
}

func (o *orderer) visit(name, from string) error {
	switch o.state[name] {
	case 1:
		return fmt.Errorf("modules: %s and %s depend on each other", from, name)
	case 2:
		return nil
	}
	m, ok := o.given[name]
	if !ok {
		if o.pool[name] == "" {
			if o.builtin != nil && o.builtin(name) {
				return nil
			}
			return fmt.Errorf("modules: %s depends on %s: found no file of that module", from, name)
		}
		m = Module{Host: o.pool[name]}
	}
	info, err := readModule(m.Host)
	if err != nil {
		return err
	}
	o.state[name] = 1
	for _, d := range info.depends {
		if err := o.visit(d, name); err != nil {
			return err
		}
	}
	o.state[name] = 2
	o.out = append(o.out, m)
	return nil
}
