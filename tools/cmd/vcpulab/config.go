// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"time"

	"vcpulab/tools/selftest"
)

// configDefault is the configuration that is measured; the others have a
// fragment of their own in ci/config. configDebug and configKCSAN are those of
// kernels that look for faults of their own, configHZ100 of kernels with a slow
// tick.
const (
	configDefault = "default"
	configDebug   = "debug"
	configKCSAN   = "kcsan"
	configHZ100   = "hz100"
)

// kernelFlags choose the kernels to work on.
type kernelFlags struct {
	sourceFlags
	Config string `help:"default; debug: with KASAN, lockdep, kmemleak and fault injection; or kcsan: with KCSAN. The last two are some ten times as slow." enum:"default,debug,kcsan" default:"default"`
}

// searching tells whether the kernels look for faults of their own.
func (f kernelFlags) searching() bool {
	return f.Config == configDebug || f.Config == configKCSAN
}

// The guests of kernels that look for faults of their own.
const (
	searchMemMiB = 4096
	searchLimit  = 40 * time.Minute
)

// racesFile says which data races of the kernel without the series are known.
const racesFile = "races.toml"

// guestOptions sets how selftests are run on kernels of a configuration.
func (l *lab) guestOptions(config string, o *selftest.Options) error {
	if (kernelFlags{Config: config}).searching() {
		o.Parallel, o.MemMiB, o.Limit = 1, searchMemMiB, searchLimit
	}
	switch config {
	case configDebug:
		o.Leaks = true
	case configKCSAN:
		known, err := selftest.LoadRaces(l.path("ci", racesFile))
		if err != nil {
			return err
		}
		o.Overlook = known.Overlook
	}
	return nil
}
