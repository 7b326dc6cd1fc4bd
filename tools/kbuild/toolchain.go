// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"vcpulab/tools/exit"
)

// GCC is the name of the default compiler in a [Spec]. Clang goes by "clang",
// or with a version as "clang-19".
const GCC = "gcc"

// Toolchain is what compiles a kernel. Its versions are part of what a kernel
// is found again by.
type Toolchain struct {
	// Compiler, Linker and Pahole are the first lines of what the programs
	// print for --version.
	Compiler string `json:"compiler"`
	Linker   string `json:"linker"`
	Pahole   string `json:"pahole"`

	vars  []string // for make's command line: CC=, CROSS_COMPILE=, LLVM=, ...
	flags []string // of the compiler, for kernels
}

// MissingError says which programs or libraries a build needs that the
// machine does not have.
type MissingError struct {
	Doing    string
	Programs []string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s: this machine lacks %s; ci/packages.txt lists the packages to install", e.Doing, strings.Join(e.Programs, ", "))
}

// ExitCode says that the machine lacks something.
func (e *MissingError) ExitCode() int { return exit.MachineLacks }

var clangName = regexp.MustCompile(`^clang(-[0-9]+)?$`)

// findToolchain finds the programs that a specification needs and asks them
// for their versions.
func findToolchain(ctx context.Context, spec Spec, ccache bool) (Toolchain, error) {
	cross := spec.Arch.CrossPrefix()
	cc, ld := cross+"gcc", cross+"ld"
	var t Toolchain
	compiler := cmp.Or(spec.Compiler, spec.Arch.Compiler, GCC)
	switch m := clangName.FindStringSubmatch(compiler); {
	case compiler == GCC:
		t.vars, t.flags = append(t.vars, "CROSS_COMPILE="+cross), untracked
		if ccache {
			t.vars = append(t.vars, "CC=ccache "+cc, "HOSTCC=ccache gcc")
		}
	case m != nil:
		cc, ld = compiler, "ld.lld"+m[1]
		llvm := m[1]
		if llvm == "" {
			llvm = "1"
		}
		t.vars = append(t.vars, "CROSS_COMPILE="+cross, "LLVM="+llvm)
		if ccache {
			t.vars = append(t.vars, "CC=ccache "+cc, "HOSTCC=ccache "+cc)
		}
	default:
		return t, exit.With(exit.Usage, fmt.Errorf("compiler %q is not known; known are gcc, clang and clang-<version>", compiler))
	}

	doing := "build for " + spec.Arch.Name
	missing := lacking(cc, ld, "make", "gcc", "flex", "bison", "bc", "pahole")
	if len(missing) > 0 {
		return t, &MissingError{Doing: doing, Programs: missing}
	}
	for _, p := range []struct {
		version *string
		program string
	}{{&t.Compiler, cc}, {&t.Linker, ld}, {&t.Pahole, "pahole"}} {
		cmd := exec.CommandContext(ctx, p.program, "--version")
		cmd.Env = environment(nil)
		out, err := cmd.Output()
		if err != nil {
			return t, exit.With(exit.MachineLacks, fmt.Errorf("%s: ask %s for its version: %w", doing, p.program, err))
		}
		*p.version, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	}
	return t, nil
}

// lacking returns those programs that are not in PATH.
func lacking(programs ...string) []string {
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	return missing
}

// environment returns the environment of the processes of a build: nothing of
// the caller's that would change what is built (MAKEFLAGS, KCFLAGS, ARCH, a
// language), only what finds programs and temporary space.
func environment(extra []string) []string {
	env := []string{"LC_ALL=C"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, extra...)
}
