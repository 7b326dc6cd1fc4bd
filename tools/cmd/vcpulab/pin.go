// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"vcpulab/tools/pin"
	"vcpulab/tools/series"
)

// pinCmd brings the blob ids of the pin file up to date with the unpacked
// kernel, and adds the files that the series and the comparators touch.
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
	patches := s.Patches
	all, err := l.variants(nil, true)
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.Patches == "" {
			continue
		}
		own, err := series.Load(filepath.Join(s.Dir, v.Patches))
		if err != nil {
			return err
		}
		patches = append(patches, own.Patches...)
	}
	var touched []string
	made := make(map[string]bool) // by an earlier patch, or by this one
	for _, p := range patches {
		for _, f := range p.Files {
			if name := f.OldPath(); name != "" && !made[name] {
				touched = append(touched, name)
			}
		}
		for _, f := range p.Files {
			made[f.NewPath()] = true
		}
	}
	name := l.path("kernel-src-pin", pinFile)
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	renewed, err := pin.Regenerate(old, t.Dir, touched...)
	if err != nil {
		return err
	}
	if string(renewed) == string(old) {
		l.printf("%s is up to date\n", name)
		return nil
	}
	if err := os.WriteFile(name, renewed, 0o644); err != nil {
		return fmt.Errorf("write the pin: %w", err)
	}
	l.printf("%s written\n", name)
	return nil
}
