// SPDX-License-Identifier: GPL-2.0-only

package main

import "context"

// fetchCmd fetches the pinned kernel.
type fetchCmd struct{}

// Run prints where the unpacked tree is.
func (fetchCmd) Run(ctx context.Context, l *lab) error {
	t, err := l.base(ctx, sourceFlags{})
	if err != nil {
		return err
	}
	if l.JSON {
		return l.printJSON(t)
	}
	l.printf("%s\n", t.Dir)
	return nil
}

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
	if err := l.show(report, report.WriteText); err != nil || l.JSON {
		return err
	}
	l.printf("%s\n", t.Dir)
	return nil
}
