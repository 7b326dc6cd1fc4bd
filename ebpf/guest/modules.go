// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/wire"
)

func loadModule(m wire.Module) error {
	f, err := os.Open(m.Path)
	if err != nil {
		return fmt.Errorf("load module: %w", err)
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), m.Args, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load module %s %s: %w", m.Path, m.Args, err)
	}
	return checkParams(filepath.Join("/sys/module", moduleName(m.Path), "parameters"), m.Args)
}

// checkParams tells whether a module has the parameters that it was loaded with: it may
// not know one, or the processor may not have what it is for.
func checkParams(dir, args string) error {
	for arg := range strings.FieldsSeq(args) {
		name, value, _ := strings.Cut(arg, "=")
		switch found := readLine(filepath.Join(dir, name)); {
		case found == "":
			return fmt.Errorf("parameter %s: the module has none of that name that can be read", arg)
		case truth(found) != truth(value):
			return fmt.Errorf("parameter %s: the module has taken %s instead", arg, found)
		}
	}
	return nil
}

// truth is a parameter with one text for yes and one for no.
func truth(value string) string {
	switch value {
	case "Y", "y", "on":
		return "1"
	case "N", "n", "off":
		return "0"
	}
	return value
}

func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".ko"), "-", "_")
}
