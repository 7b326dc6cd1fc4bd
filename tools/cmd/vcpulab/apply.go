// SPDX-License-Identifier: GPL-2.0-only

package main

import "context"

// applyCmd applies the series.
type applyCmd struct {
	sourceFlags
}

// Run prints what each patch did and, last, where the patched tree is.
func (c applyCmd) Run(ctx context.Context, l *lab) error {
	base, err := l.base(ctx, c.sourceFlags)
	if err != nil {
		return err
	}
	t, report, err := l.patched(ctx, base, c.sourceFlags)
	if err != nil {
		return err
	}
	if l.JSON {
		return l.printJSON(report)
	}
	if err := report.WriteText(l.stdout); err != nil {
		return err
	}
	l.printf("%s\n", t.Dir)
	return nil
}
