// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
)

// stopGrace is how long make has to clean up after it was told to stop,
// before it is killed. It deletes half-made targets.
const stopGrace = 10 * time.Second

type makeRun struct {
	doing   string   // for errors: "build linux 7.3.4 for x86_64"
	dir     string   // -C
	vars    []string // O=..., CC=...
	targets []string
	jobs    int
	env     []string // in addition to what package program gives
	log     string   // file that gets all output; appended to
	goOn    bool     // a target that fails does not keep the others from being made

	step     *progress.Step
	said     *targetWarnings // gets the output, unless it is nil
	expected int             // number of steps, 0 if unknown
	steps    int             // number of steps that kbuild has printed
}

func (m *makeRun) args() []string {
	args := []string{"-C", m.dir, fmt.Sprintf("-j%d", m.jobs)}
	if m.goOn {
		args = append(args, "-k")
	}
	return slices.Concat(args, m.vars, m.targets)
}

func (m *makeRun) program() program.Program {
	return program.Program{Name: "make", Env: append([]string{locale}, m.env...), Stop: syscall.SIGTERM, Grace: stopGrace}
}

// run runs make and returns nil, the context's error, or an *Error with the
// first error of the output. clean says whether make ended by itself, so that
// it left no half-made target even where it failed.
func (m *makeRun) run(ctx context.Context) (clean bool, err error) {
	defer func() {
		if _, explained := errors.AsType[*Error](err); err != nil && !explained {
			err = fmt.Errorf("%s: %w", m.doing, err)
		}
	}()
	if err := ctx.Err(); err != nil {
		return true, err
	}
	if err := os.MkdirAll(filepath.Dir(m.log), 0o755); err != nil {
		return true, err
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return true, err
	}
	defer log.Close()
	start, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return true, err
	}

	var logErr error
	write := func(line string) {
		if _, err := fmt.Fprintln(log, line); err != nil && logErr == nil {
			logErr = err
		}
	}
	gnuMake := m.program()
	write("# " + m.doing + "\n# " + gnuMake.Command(m.args()...))
	gnuMake.Lines = func(line string) {
		write(line)
		m.countStep(line)
		if m.said != nil {
			m.said.add(line)
		}
	}
	_, _, err = gnuMake.Run(ctx, m.args()...)

	signaled, ok := errors.AsType[*program.SignalError](err)
	clean = !ok || signaled.Signal != syscall.SIGKILL
	switch {
	case ctx.Err() != nil:
		return clean, ctx.Err()
	case logErr != nil:
		return clean, logErr
	case m.said != nil && m.said.err != nil:
		return clean, m.said.err
	case err == nil:
		return true, nil
	}
	if _, failed := errors.AsType[*program.StatusError](err); !failed && !ok {
		return clean, err // it did not start
	}
	return clean, m.explain(log, start, err)
}

// explain returns the *Error of a run that failed, whose output begins at start
// in its log.
func (m *makeRun) explain(log io.ReadSeeker, start int64, err error) error {
	var fault Fault
	_, readErr := log.Seek(start, io.SeekStart)
	if readErr == nil {
		fault, readErr = FirstFault(log)
	}
	if readErr != nil {
		return fmt.Errorf("%w (and reading its log failed: %v)", err, readErr)
	}
	fault.File = strings.TrimPrefix(strings.TrimPrefix(fault.File, m.dir+"/"), "../")
	return &Error{Doing: m.doing, Fault: fault, Log: m.log, Command: m.program().Command(m.args()...), Err: err}
}

// stepLine is what kbuild prints for each command that it runs: "  CC      kernel/fork.o".
// The programs below tools/ are built with absolute paths.
var stepLine = regexp.MustCompile(`^  ([A-Z][A-Z0-9_]*)(?: \[[MU]\])? +(\S+)`)

const stepCheck = "CHECK" // runs sparse

// countStep counts and shows the step that a line of output announces, if it does.
func (m *makeRun) countStep(line string) {
	found := stepLine.FindStringSubmatch(line)
	if found == nil {
		return
	}
	m.steps++
	of := ""
	if m.expected > 0 {
		// The estimate may be too low; it never says that more was done than
		// there is to do.
		of = fmt.Sprintf(" of about %d", max(m.expected, m.steps))
	}
	m.step.Update("%d%s, %s %s", m.steps, of, found[1], strings.TrimPrefix(found[2], m.dir+"/out/"))
}

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

// checkCommand is sparse, for kbuild's CHECK=. It makes sparse 0.6.4 understand the
// kernel's headers, which since Linux 7.0 have __typeof_unqual__(): a qualifier that
// stays causes at most a warning, which is the same in all kernels. kbuild asks whether
// sparse does, and if not goes on without it.
const checkCommand = "sparse -D__typeof_unqual__=__typeof__"

func sparseVersion(ctx context.Context) (string, error) {
	if err := need("check with sparse", "sparse"); err != nil {
		return "", err
	}
	version, err := program.Version(ctx, "sparse", "--version")
	if err != nil {
		return "", exit.With(exit.MachineLacks, fmt.Errorf("ask sparse for its version: %w", err))
	}
	return "sparse " + version, nil
}
