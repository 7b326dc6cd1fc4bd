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
