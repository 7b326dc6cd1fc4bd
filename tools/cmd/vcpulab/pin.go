// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"os"

	"vcpulab/tools/pin"
)

// pinCmd brings the blob ids of the pin file up to date with the unpacked
// kernel, and adds the files that the series touches.
type pinCmd struct{}

// Run rewrites the pin file.
func (pinCmd) Run(ctx context.Context, l *lab) error {
	p, err := l.pin()
	if err != nil {
		return err
	}
	// The blob ids that it has are those of the kernel before it.
	t, err := p.Fetch(ctx, pin.FetchOptions{Cache: l.cache, Log: l.log, Unverified: true})
	if err != nil {
		return err
	}
	s, err := l.series()
	if err != nil {
		return err
	}
	var touched []string
	for _, p := range s.Patches {
		for _, f := range p.Files {
			touched = append(touched, f.OldPath())
		}
	}
	name := l.path("kernel-src-pin", pinFile)
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	made, err := pin.Regenerate(old, t.Dir, touched...)
	if err != nil {
		return err
	}
	if string(made) == string(old) {
		l.printf("%s is up to date\n", name)
		return nil
	}
	if err := os.WriteFile(name, made, 0o644); err != nil {
		return fmt.Errorf("write the pin: %w", err)
	}
	l.printf("%s written\n", name)
	return nil
}
