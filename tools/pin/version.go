// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// Version returns the version of the kernel tree in dir as its Makefile has
// it. A folder that is no kernel tree gives a *NotKernelError.
func Version(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return "", &NotKernelError{dir, err.Error()}
	case !info.IsDir():
		return "", &NotKernelError{dir, "it is no folder"}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", &NotKernelError{dir, err.Error()}
	}
	defer root.Close()
	for _, name := range []string{"Makefile", "Kconfig", "Kbuild", "virt/kvm/kvm_main.c", "include/linux/kvm_host.h"} {
		if info, err := root.Stat(name); err != nil || !info.Mode().IsRegular() {
			return "", &NotKernelError{dir, "it has no " + name}
		}
	}
	f, err := root.Open("Makefile")
	if err != nil {
		return "", &NotKernelError{dir, err.Error()}
	}
	defer f.Close()
	version, err := makefileVersion(f)
	if err != nil {
		return "", &NotKernelError{dir, "its Makefile " + err.Error()}
	}
	return version, nil
}

// makefileVersion reads the assignments that a kernel's Makefile begins with.
func makefileVersion(r io.Reader) (string, error) {
	const most = 64 << 10 // they are in the first lines
	vars := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(r, most))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if name = strings.TrimSpace(name); !ok || strings.ContainsAny(name, " \t:?+") {
			continue
		}
		if _, twice := vars[name]; !twice {
			vars[name] = strings.TrimSpace(value)
		}
	}
	version := vars["VERSION"]
	if version == "" || vars["PATCHLEVEL"] == "" {
		return "", fmt.Errorf("says no VERSION and PATCHLEVEL")
	}
	version += "." + vars["PATCHLEVEL"]
	if sub := vars["SUBLEVEL"]; sub != "" {
		version += "." + sub
	}
	return version + vars["EXTRAVERSION"], nil
}
