// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
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

// MissingError says which programs or libraries a build needs that the
// machine lacks.
type MissingError struct {
	Doing    string
	Programs []string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s: this machine lacks %s; ci/packages.toml lists the packages to install", e.Doing, strings.Join(e.Programs, ", "))
}

// ExitCode says that the machine lacks something.
func (e *MissingError) ExitCode() int { return exit.MachineLacks }

var clangName = regexp.MustCompile(`^clang(-[0-9]+)?$`)

// untracked has gcc track no variables for the debug information: that takes a
// twelfth of the time, for debuggers that print local variables. Clang does not
// know the options.
var untracked = []string{"-fno-var-tracking", "-fno-var-tracking-assignments"}

// findToolchain finds the programs that a build needs and asks them for their
// versions. With compiler "" it is the architecture's.
func findToolchain(ctx context.Context, a arch.Arch, compiler string, ccache bool) (Toolchain, error) {
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
	if ccache {
		t.vars = append(t.vars, "CC=ccache "+cc, "HOSTCC=ccache "+hostCC)
	}

	doing := "build for " + a.Name
	if missing := missingPrograms(cc, ld, "make", "gcc", "flex", "bison", "bc", "pahole"); len(missing) > 0 {
		return t, &MissingError{Doing: doing, Programs: missing}
	}
	for version, name := range map[*string]string{&t.Compiler: cc, &t.Linker: ld, &t.Pahole: "pahole"} {
		out, _, err := program.Program{Name: name, Env: []string{locale}}.Run(ctx, "--version")
		if err != nil {
			return t, exit.With(exit.MachineLacks, fmt.Errorf("%s: ask %s for its version: %w", doing, name, err))
		}
		*version, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	}
	return t, nil
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

// locale is the environment in which programs print plain ASCII.
const locale = "LC_ALL=C"

// environment returns the environment of the processes of a build: nothing of
// the caller's that would change what is built (MAKEFLAGS, KCFLAGS, ARCH, a
// language), only what finds programs and temporary space. Package program
// gives them the same.
func environment(extra []string) []string {
	env := []string{locale}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, extra...)
}

// checker is sparse, as a command for kbuild's CHECK=.
type checker struct {
	Command string
	Version string
}

// checkerProbe is what kernels since 7.0 ask of sparse
// (scripts/checker-valid.sh). If sparse does not understand it, they go on
// without sparse and print only a line about it.
const checkerProbe = "static inline int u(const int *q)\n{\n\t__typeof_unqual__(*q) v = *q;\n\treturn v;\n}\n"

// olderSparse makes sparse 0.6.4 understand the kernel's headers: a qualifier
// that stays causes at most a warning, which is the same in all kernels.
const olderSparse = "-D__typeof_unqual__=__typeof__"

// findChecker finds sparse and how it has to be called.
func findChecker(ctx context.Context) (checker, error) {
	var c checker
	if missing := missingPrograms("sparse"); len(missing) > 0 {
		return c, &MissingError{Doing: "check with sparse", Programs: missing}
	}
	version, err := runSparse(ctx, "", "--version")
	if err != nil {
		return c, exit.With(exit.MachineLacks, fmt.Errorf("ask sparse for its version: %w", err))
	}
	c.Version = "sparse " + version

	var said string
	for _, flags := range [][]string{nil, {olderSparse}} {
		said, err = runSparse(ctx, checkerProbe, append(flags, "-")...)
		if err == nil && !strings.Contains(said, "error") {
			c.Command = strings.Join(append([]string{"sparse"}, flags...), " ")
			return c, nil
		}
		if _, failed := errors.AsType[*program.StatusError](err); err != nil && !failed {
			return c, err
		}
	}
	return c, exit.With(exit.MachineLacks, fmt.Errorf("%s does not understand __typeof_unqual__(), which the kernel has in its headers: %s", c.Version, said))
}

// runSparse runs sparse and returns all that it printed.
func runSparse(ctx context.Context, stdin string, args ...string) (string, error) {
	var out bytes.Buffer
	sparse := program.Program{Name: "sparse", Env: []string{locale}, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &out}
	_, _, err := sparse.Run(ctx, args...)
	return strings.TrimSpace(out.String()), err
}
