// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
)

// GCC is the name of the default compiler in a [Spec]. Clang is called "clang",
// or "clang-19" with a version.
const GCC = "gcc"

// Toolchain is what compiles a kernel. Its versions are part of a kernel's key.
type Toolchain struct {
	// Compiler, Linker and Pahole are the first lines of what the programs
	// print for --version.
	Compiler string `json:"compiler"`
	Linker   string `json:"linker"`
	Pahole   string `json:"pahole"`

	vars  []string // for make's command line: CC=, CROSS_COMPILE=, LLVM=, ...
	flags []string // of the compiler, for kernels
}

var clangName = regexp.MustCompile(`^clang(-[0-9]+)?$`)

// untracked has gcc track no variables for the debug information: that takes a
// twelfth of the time, for debuggers that print local variables. Clang does not
// know the options.
var untracked = []string{"-fno-var-tracking", "-fno-var-tracking-assignments"}

// findToolchain finds the programs that a build needs and asks them for their
// versions. With compiler "" it is the architecture's.
func findToolchain(ctx context.Context, a arch.Arch, compiler string) (Toolchain, error) {
	compiler = cmp.Or(compiler, a.Compiler, GCC)
	cross := a.CrossPrefix()
	t := Toolchain{vars: []string{"CROSS_COMPILE=" + cross}}
	cc, hostCC, ld := cross+"gcc", "gcc", cross+"ld"

	switch m := clangName.FindStringSubmatch(compiler); {
	case compiler == GCC:
		t.flags = untracked
	case m != nil:
		cc, hostCC, ld = compiler, compiler, "ld.lld"+m[1]
		t.vars = append(t.vars, "LLVM="+cmp.Or(m[1], "1"))
	default:
		return t, exit.With(exit.Usage, fmt.Errorf("unknown compiler %q: expected gcc, clang or clang-<version>", compiler))
	}
	if len(missingPrograms("ccache")) == 0 {
		t.vars = append(t.vars, "CC=ccache "+cc, "HOSTCC=ccache "+hostCC)
	}

	doing := "build for " + a.Name
	if err := need(doing, cc, ld, "make", "gcc", "flex", "bison", "bc", "pahole"); err != nil {
		return t, err
	}
	for version, name := range map[*string]string{&t.Compiler: cc, &t.Linker: ld, &t.Pahole: "pahole"} {
		var err error
		if *version, err = program.Version(ctx, name, "--version"); err != nil {
			return t, exit.With(exit.MachineLacks, fmt.Errorf("%s: ask %s for its version: %w", doing, name, err))
		}
	}
	return t, nil
}

// need returns an error that stands for exit.MachineLacks if some of the programs
// that doing something takes are not in PATH.
func need(doing string, programs ...string) error {
	missing := missingPrograms(programs...)
	if len(missing) == 0 {
		return nil
	}
	return exit.With(exit.MachineLacks, fmt.Errorf("%s: this machine lacks %s; ci/packages.toml lists the packages to install", doing, strings.Join(missing, ", ")))
}

// missingPrograms returns those programs that are not in PATH.
func missingPrograms(programs ...string) []string {
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	return missing
}

// locale is the environment in which programs print plain ASCII. Package program
// passes on nothing else of the caller's that would change what is built, such as
// MAKEFLAGS, KCFLAGS or ARCH.
const locale = "LC_ALL=C"

// checker is sparse, as a command for kbuild's CHECK=.
type checker struct {
	Command string
	Version string
}

// checkCommand makes sparse 0.6.4 understand the kernel's headers, which since
// Linux 7.0 have __typeof_unqual__(): a qualifier that stays causes at most a
// warning, which is the same in all kernels. kbuild asks whether sparse does, and
// if not goes on without it.
const checkCommand = "sparse -D__typeof_unqual__=__typeof__"

// findChecker finds sparse.
func findChecker(ctx context.Context) (checker, error) {
	if err := need("check with sparse", "sparse"); err != nil {
		return checker{}, err
	}
	version, err := program.Version(ctx, "sparse", "--version")
	if err != nil {
		return checker{}, exit.With(exit.MachineLacks, fmt.Errorf("ask sparse for its version: %w", err))
	}
	return checker{Command: checkCommand, Version: "sparse " + version}, nil
}
