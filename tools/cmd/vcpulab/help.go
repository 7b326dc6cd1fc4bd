// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/txtar"
)

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
