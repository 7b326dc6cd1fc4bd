// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
)

// kind is a kind of results that both versions have, in a file of each.
type kind struct {
	name  string    // for --run, and of the flag for the files
	files *[]string // OLD, NEW
	file  string    // below the directory that run writes to
	run   func(ctx context.Context, l *lab, k kernelFlags, dir string) error
}

// kinds are those that are named, or made by --run.
func (c *versionsCmd) kinds() []kind {
	x86 := arch.X86_64().Name
	return []kind{
		{"objects", &c.Objects, "matrix.json", func(ctx context.Context, l *lab, k kernelFlags, dir string) error {
			return buildCmd{kernelFlags: k, Arch: x86, Objects: true, Out: dir}.Run(ctx, l)
		}},
		{"selftests", &c.Selftests, x86 + "/selftests.json", func(ctx context.Context, l *lab, k kernelFlags, dir string) error {
			return selftestCmd{kernelFlags: k, Arch: x86, Quick: true, Accel: "auto", Out: dir}.Run(ctx, l)
		}},
		{"figures", &c.Figures, "results.json", func(ctx context.Context, l *lab, k kernelFlags, dir string) error {
			return benchRunCmd{seriesFlags: k.seriesFlags, Quick: true, Accel: "auto", Seed: 1, Out: dir}.Run(ctx, l)
		}},
	}
}

// run builds, tests and measures both versions as asked for, and compares what came of
// it, as if the files had been named. A kernel that is built already is not built again.
func (c *versionsCmd) run(ctx context.Context, l *lab) error {
	if len(c.Runs) == 0 {
		return nil
	}
	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	newLab := *l
	for _, v := range []struct {
		which, name string
		lab         *lab
	}{{"old", c.Old, c.oldLab(l)}, {"new", c.New, &newLab}} {
		if _, err := v.lab.version(ctx, v.name, c.Set); err != nil {
			return err
		}
		if err := c.runVersion(ctx, v.lab, v.name, filepath.Join(out, v.which)); err != nil {
			return fmt.Errorf("the %s version: %w", v.which, err)
		}
	}
	return nil
}

// runVersion makes what was asked for of one version, which is opened. A test that fails
// or a goal that is missed is not an error: it is what is compared.
func (c *versionsCmd) runVersion(ctx context.Context, l *lab, name, dir string) error {
	quiet := *l
	quiet.stdout, quiet.JSON = io.Discard, false
	flags := kernelFlags{seriesFlags: seriesFlags{Series: name, Set: c.Set}, Config: configDefault}
	if slices.Contains(c.Runs, "sizes") {
		c.Sizes = true
		if err := (buildCmd{kernelFlags: flags, Arch: arch.X86_64().Name}).Run(ctx, &quiet); err != nil {
			return err
		}
	}
	for _, k := range c.kinds() {
		if !slices.Contains(c.Runs, k.name) {
			continue
		}
		own := filepath.Join(dir, k.name)
		file := filepath.Join(own, k.file)
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) { // an earlier run's
			return err
		}
		err := k.run(ctx, &quiet, flags, own)
		_, missing := os.Stat(file)
		compared := slices.Contains([]int{exit.CheckFailed, exit.BootFailed}, exit.Code(err))
		if err != nil && (missing != nil || ctx.Err() != nil || !compared) {
			return err
		}
		if err != nil {
			fmt.Fprintf(l.stderr, "%s: %v\n", own, err)
		}
		*k.files = append(*k.files, file)
	}
	return nil
}
