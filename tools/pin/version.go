// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"vcpulab/tools/exit"
)

// NotKernelError says that a directory is not a kernel's source tree.
type NotKernelError struct {
	Dir string
	Why string
}

func (e *NotKernelError) Error() string {
	return fmt.Sprintf("%s is not a kernel source tree: %s; name the directory that holds the kernel's top Makefile", e.Dir, e.Why)
}

// ExitCode makes it wrong use.
func (e *NotKernelError) ExitCode() int { return exit.Usage }

// Version returns the version of the kernel tree in dir as its Makefile has
// it. A directory that is not a kernel tree gives a *NotKernelError.
func Version(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return "", &NotKernelError{dir, err.Error()}
	case !info.IsDir():
		return "", &NotKernelError{dir, "it is not a directory"}
	}
	for _, name := range []string{"Makefile", "Kconfig", "Kbuild", "virt/kvm/kvm_main.c", "include/linux/kvm_host.h"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
			return "", &NotKernelError{dir, "it has no " + name}
		}
	}

	text, err := os.ReadFile(filepath.Join(dir, "Makefile"))
	if err != nil {
		return "", &NotKernelError{dir, err.Error()}
	}
	version, err := makefileVersion(string(text))
	if err != nil {
		return "", &NotKernelError{dir, "its Makefile " + err.Error()}
	}
	return version, nil
}

var assignment = regexp.MustCompile(`(?m)^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(.*?)[ \t]*$`)

// makefileVersion reads the assignments that a kernel's Makefile begins with.
func makefileVersion(text string) (string, error) {
	vars := map[string]string{}
	for _, m := range assignment.FindAllStringSubmatch(text, -1) {
		if _, twice := vars[m[1]]; !twice {
			vars[m[1]] = m[2]
		}
	}
	if vars["VERSION"] == "" || vars["PATCHLEVEL"] == "" {
		return "", errors.New("sets no VERSION and PATCHLEVEL")
	}
	version := vars["VERSION"] + "." + vars["PATCHLEVEL"]
	if sub := vars["SUBLEVEL"]; sub != "" {
		version += "." + sub
	}
	return version + vars["EXTRAVERSION"], nil
}
