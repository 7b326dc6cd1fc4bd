// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"fmt"

	"github.com/alecthomas/kong"
)

// The examples that --help of a verb ends with, of verbs that explain nothing
// else there.

// Help shows examples.
func (installCmd) Help() string {
	return `Examples:
  vcpulab install build boot        what make bench-ebpf needs
  vcpulab install build arm64       a cross compiler, too`
}

// Help shows examples.
func (doctorCmd) Help() string {
	return `Examples:
  vcpulab doctor
  vcpulab --json doctor`
}

// Help shows examples.
func (fetchCmd) Help() string {
	return `Examples:
  vcpulab fetch
  vcpulab --pin 7.2.13 fetch        another pin, see vcpulab pin list`
}

// Help shows examples.
func (applyCmd) Help() string {
	return `Examples:
  vcpulab apply
  vcpulab apply --through 12        stop after patch 12
  vcpulab apply --kernel-src ~/linux`
}

// Help shows examples.
func (verifyCmd) Help() string {
	return `Examples:
  vcpulab verify
  vcpulab verify --list             the checks, and why they are made
  vcpulab verify --only checkpatch`
}

// Help shows examples.
func (buildCmd) Help() string {
	return `Examples:
  vcpulab build
  vcpulab build --arch arm64
  vcpulab build --objects --arch all --each`
}

// Help shows examples.
func (bootCmd) Help() string {
	return `Examples:
  vcpulab boot                      the patched kernel
  vcpulab boot base --arch arm64`
}

// Help shows examples.
func (selftestCmd) Help() string {
	return `Examples:
  vcpulab selftest --quick
  vcpulab selftest --only 'xapic*'
  vcpulab selftest --config debug --arch x86_64`
}

// Help shows examples.
func (mutantsCmd) Help() string {
	return `Examples:
  vcpulab mutants --list
  vcpulab mutants --fast`
}

// Help shows examples.
func (reportCmd) Help() string {
	return `Examples:
  vcpulab report out/results.json
  vcpulab report out/results.json --format markdown`
}

// Help shows examples.
func (testCmd) Help() string {
	return `Examples:
  vcpulab test
  vcpulab test ./tools/pin --run TestFetch`
}

// Help shows examples.
func (pinListCmd) Help() string {
	return `Examples:
  vcpulab pin list`
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
