// SPDX-License-Identifier: GPL-2.0-only

// Vcpulab fetches a pinned Linux, applies a series of KVM patches, builds the
// kernel with and without them, boots both in QEMU and measures with eBPF
// what looking up a vCPU costs.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/term"

	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
)

// cli is the command line: a field a verb.
type cli struct {
	globals

	Install  installCmd  `cmd:"" help:"Install the packages that the other verbs need."`
	Doctor   doctorCmd   `cmd:"" help:"Report what this machine lacks, and what works on it."`
	Fetch    fetchCmd    `cmd:"" help:"Fetch the pinned kernel, verify and unpack it."`
	Apply    applyCmd    `cmd:"" help:"Apply all sets of patches, or one, and print where the patched tree is."`
	Checkout checkoutCmd `cmd:"" help:"Make a git repository with a branch for each set of patches."`
	Checkin  checkinCmd  `cmd:"" help:"Bring the branches back to the patches."`
	Verify   verifyCmd   `cmd:"" help:"Check the sets of patches as their maintainers would."`
	Generate generateCmd `cmd:"" help:"Make the patches that are generated from a semantic patch, and compare."`
	Build    buildCmd    `cmd:"" help:"Build the kernel without and with the patches."`
	Boot     bootCmd     `cmd:"" help:"Boot a kernel and say how long that took."`
	Shell    shellCmd    `cmd:"" help:"Open a shell in a guest, or run a command there."`
	Nested   nestedCmd   `cmd:"" help:"Run a command where there is a working KVM: in a guest, if need be."`
	Selftest selftestCmd `cmd:"" help:"Run KVM's selftests on both kernels and compare."`
	Soak     soakCmd     `cmd:"" help:"Run selftests in ever new ways until one is worse with the patches."`
	Bisect   bisectCmd   `cmd:"" help:"Find the patch with which a test fails, a kernel complains, a compiler warns or a figure changes."`
	Onto     ontoCmd     `cmd:"" help:"Say on which other kernels the sets apply, or put one there."`
	Versions versionsCmd `cmd:"" help:"Say what is different between two versions of a series."`
	Mutants  mutantsCmd  `cmd:"" help:"Test the checks: each fault of ci/mutants must be caught."`
	Bench    benchCmd    `cmd:"" help:"Measure both kernels and report."`
	Report   reportCmd   `cmd:"" help:"Report results that were measured before."`
	Prepare  prepareCmd  `cmd:"" help:"Make a set of patches ready to send in your name."`
	Reply    replyCmd    `cmd:"" help:"Answer a series with what was tested."`
	Test     testCmd     `cmd:"" help:"Run the project's own tests."`
	Cache_   cacheCmd    `cmd:"" name:"cache" help:"Say what the cache takes, and make room."`
	Pin      pinCmd      `cmd:"" name:"pin" help:"List the pinned kernels, add one, or update its blob ids."`

	Completion kongcompletion.Completion `cmd:"" help:"Print what has your shell complete verbs and flags."`
}

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	// A write to a pipe whose reader has gone ends the run as Ctrl-C does, not at once: there may
	// be a directory to remove, or a module to unload.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	// An empty variable counts as unset: scripts and make pass on empty ones.
	for _, name := range []string{"ACCEL", envKernelSrc, "VCPULAB_PIN", "VCPULAB_ROOT", cache.EnvDir} {
		if os.Getenv(name) == "" {
			os.Unsetenv(name)
		}
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// newParser returns the parser of the command line. It calls exit where it prints help.
func newParser(ctx context.Context, c *cli, stdout, stderr io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("vcpulab"), kong.PostBuild(addHelp),
		kong.Writers(stdout, stderr), kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 90}),
		kong.Help(printHelp),
		kong.Vars{"bootable": arch.Names(arch.Bootable()), "tested": arch.Names(arch.Tested()), "groups": arch.Groups()},
		kong.BindTo(ctx, (*context.Context)(nil)),
		// What verbs take besides a lab is read for those that do.
		kong.BindToProvider((*lab).sets), kong.BindToProvider((*lab).packages))
}

// run is the whole command with its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &checkedWriter{w: stdout, broken: cancel}
	progress := &checkedWriter{w: stderr, broken: cancel}
	if f, ok := stderr.(*os.File); ok && !term.IsTerminal(int(f.Fd())) {
		stderr = progress
	}
	unread := func() bool { return errors.Is(cmp.Or(out.err, progress.err), syscall.EPIPE) }

	var c cli
	code := -1
	parser, err := newParser(ctx, &c, out, stderr, func(n int) { code = n })
	if err != nil {
		fmt.Fprintln(stderr, "vcpulab:", err)
		return exit.Usage
	}
	kongcompletion.Register(parser)
	if code >= 0 { // a shell was told how a line may go on
		return code
	}
	if len(args) > 0 && args[0] == "help" { // as other commands of many verbs have it
		args = append(slices.Clone(args[1:]), "--help")
	}
	parsed, err := parser.Parse(args)
	if code >= 0 { // --help was printed
		return code
	}
	if unread() {
		return exit.Unread
	}
	if err != nil {
		help := "vcpulab --help lists the verbs"
		if e, ok := errors.AsType[*kong.ParseError](err); ok && e.Context.Selected() != nil {
			help = "vcpulab " + e.Context.Selected().Path() + " --help says how it is used"
		}
		fmt.Fprintf(stderr, "vcpulab: %v\n%s.\n", err, help)
		return exit.Usage
	}
	l, err := newLab(c.globals, out, stderr)
	if err == nil {
		err = parsed.Run(l)
	}
	if unread() {
		return exit.Unread
	}
	if out.err != nil && (err == nil || errors.Is(err, out.err)) {
		err = exit.With(exit.MachineLacks, fmt.Errorf("print the result: %w", out.err))
	}
	if err == nil {
		return exit.Good
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "vcpulab: interrupted")
		return exit.Interrupted
	}
	if status, ok := errors.AsType[exit.Status](err); ok {
		return int(status)
	}
	fmt.Fprintln(stderr, "vcpulab:", err)
	return exit.Code(err)
}

// checkedWriter remembers the first error of writing: no line that is printed needs a check.
type checkedWriter struct {
	w      io.Writer
	err    error
	broken func() // is called if w is a pipe whose reader has gone
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.err = cmp.Or(c.err, err)
	if errors.Is(err, syscall.EPIPE) {
		c.broken()
	}
	return n, err
}

// Fd is the descriptor by which a terminal is known; no file has the one of other writers.
func (c *checkedWriter) Fd() uintptr {
	if f, ok := c.w.(*os.File); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

//go:embed help.txtar
var helpText []byte

// addHelp adds the texts of help.txtar, each to the verb that its name is.
func addHelp(k *kong.Kong) error {
	for _, f := range txtar.Parse(helpText).Files {
		text := strings.TrimSpace(string(f.Data))
		if f.Name == k.Model.Name {
			k.Model.Help = text
			continue
		}
		verb, err := kong.Trace(k, strings.Fields(f.Name))
		if err != nil {
			return err
		}
		verb.Selected().Detail = text
	}
	return nil
}

// printHelp prints how a verb is used. For a verb that also works without one
// of its subcommands that is the default one's help, and a list of the others.
func printHelp(o kong.HelpOptions, ctx *kong.Context) error {
	verb := ctx.Selected()
	if verb == nil || verb.DefaultCmd == nil {
		return kong.DefaultHelpPrinter(o, ctx)
	}
	does, err := kong.Trace(ctx.Kong, []string{verb.Name, verb.DefaultCmd.Name})
	if err != nil {
		return err
	}
	if err := kong.DefaultHelpPrinter(o, does); err != nil {
		return err
	}

	fmt.Fprintf(ctx.Stdout, "\nMore, see --help of each:\n")
	for _, c := range verb.Children {
		if c != verb.DefaultCmd {
			fmt.Fprintf(ctx.Stdout, "  %s\n        %s\n", c.Summary(), c.Help)
		}
	}
	return nil
}
