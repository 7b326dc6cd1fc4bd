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

// What --run makes of each version.
const (
	runSizes     = "sizes"
	runObjects   = "objects"
	runSelftests = "selftests"
	runFigures   = "figures"
)

// run builds, tests and measures both versions as asked for, and compares what came of
// it, as if the files had been named. A kernel that is built already is not built again.
func (c *versionsCmd) run(ctx context.Context, l *lab) error {
	if len(c.Runs) == 0 {
		return nil
	}
	for what, named := range map[string][]string{runObjects: c.Objects, runSelftests: c.Selftests, runFigures: c.Figures} {
		if slices.Contains(c.Runs, what) && len(named) > 0 {
			return exit.With(exit.Usage, fmt.Errorf("--run %s makes the results that --%[1]s names: leave out one or the other", what))
		}
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
	flags := seriesFlags{Series: name, Set: c.Set}
	kernel := kernelFlags{seriesFlags: flags, Config: configDefault}
	x86 := arch.X86_64().Name

	if slices.Contains(c.Runs, runSizes) {
		c.Sizes = true
		if err := (buildCmd{kernelFlags: kernel, Arch: x86}).Run(ctx, &quiet); err != nil {
			return err
		}
	}
	for _, v := range []struct {
		what, file string
		files      *[]string
		run        func(dir string) error
	}{
		{runObjects, "matrix.json", &c.Objects, func(dir string) error {
			return buildCmd{kernelFlags: kernel, Arch: x86, Objects: true, Out: dir}.Run(ctx, &quiet)
		}},
		{runSelftests, x86 + "/selftests.json", &c.Selftests, func(dir string) error {
			return selftestCmd{kernelFlags: kernel, Arch: x86, Quick: true, Accel: "auto", Out: dir}.Run(ctx, &quiet)
		}},
		{runFigures, "results.json", &c.Figures, func(dir string) error {
			return benchRunCmd{seriesFlags: flags, Quick: true, Accel: "auto", Seed: 1, Out: dir}.Run(ctx, &quiet)
		}},
	} {
		if !slices.Contains(c.Runs, v.what) {
			continue
		}
		own := filepath.Join(dir, v.what)
		file := filepath.Join(own, v.file)
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) { // an earlier run's
			return err
		}
		err := v.run(own)
		_, missing := os.Stat(file)
		compared := slices.Contains([]int{exit.CheckFailed, exit.BootFailed}, exit.Code(err))
		if err != nil && (missing != nil || ctx.Err() != nil || !compared) {
			return err
		}
		if err != nil {
			fmt.Fprintf(l.stderr, "%s: %v\n", own, err)
		}
		*v.files = append(*v.files, file)
	}
	return nil
}
