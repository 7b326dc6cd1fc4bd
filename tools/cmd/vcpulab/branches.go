// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"vcpulab/tools/branch"
	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

type checkoutCmd struct {
	Dir    string `arg:"" help:"Directory to make, a git repository with a branch for each set, a commit a patch."`
	Series string `help:"Your own series instead of the project's patches: a directory of patches, an mbox, or commits, TREE@A..B." placeholder:"SERIES"`
}

// Run prints the branches.
func (c checkoutCmd) Run(ctx context.Context, l *lab) error {
	w, err := l.open(ctx, seriesFlags{Series: c.Series})
	if err != nil {
		return err
	}
	made, err := branch.Make(ctx, c.Dir, w.base, w.sets, w.options)
	if err != nil {
		return err
	}
	return l.show(made, func(out io.Writer) error {
		for _, b := range made {
			fmt.Fprintf(out, "%-20s %s\n", b.Name, progress.Count(b.Commits, "commit"))
		}
		_, err := fmt.Fprintf(out, `
%s has the directories that the patches change; git sparse-checkout disable gets all others.
%s
`, c.Dir, c.back(l.Base))
		return err
	})
}

// back says how patches are made of the branches.
func (c checkoutCmd) back(base string) string {
	flags := ""
	if base != "" {
		flags += " --base " + base
	}
	if info, err := os.Stat(inHome(c.Series)); c.Series != "" && (err != nil || !info.IsDir()) {
		return "Make patches of what the branch becomes with\n  git -C " + c.Dir + " format-patch base..series"
	} else if c.Series != "" {
		flags += " --series " + c.Series
	}
	return "Leave branches that need one that you change as they are. Bring all of them back with\n  vcpulab checkin" + flags + " " + c.Dir
}

type checkinCmd struct {
	Dir    string `arg:"" help:"Directory that vcpulab checkout has made. It is only read." type:"existingdir"`
	Series string `help:"Directory of patches that it was made of, and that is replaced (default: the project's patches)." placeholder:"DIR" type:"existingdir"`
}

const collectedText = `{{range .}}{{printf "%-20s" .Name}} {{count .Patches "patch"}}, {{len .Changed}} changed, {{len .Gone}} gone
{{range .Changed}}  {{.}}
{{end}}{{range .Gone}}  gone: {{.}}
{{end}}{{end}}`

// Run prints what has become of the patches.
func (c checkinCmd) Run(ctx context.Context, l *lab) error {
	w, err := l.open(ctx, seriesFlags{Series: c.Series})
	if err != nil {
		return err
	}
	list, err := branch.Collect(ctx, c.Dir, w.base, w.sets, w.options)
	if err != nil {
		return err
	}
	if err := l.print(list, collectedText); err != nil {
		return err
	}

	if c.Series != "" || !slices.ContainsFunc(list, branch.Collected.IsChanged) ||
		!slices.ContainsFunc(list, func(b branch.Collected) bool { return b.Generate }) {
		return nil
	}
	if err := (generateCmd{Write: true}).Run(ctx, l, w.sets); err != nil {
		return exit.With(exit.Code(err), fmt.Errorf("the patches are back, but not all that are generated are as they should be: %w", err))
	}
	// What was generated may change more than before.
	return branch.Refresh(ctx, w.base, w.sets, w.options)
}
