// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"vcpulab/tools/exit"
	"vcpulab/tools/vm"
)

// Race is a data race of the kernel without the series, which KCSAN finds in
// some runs and not in others.
type Race struct {
	// Between are the functions of both sides as KCSAN names them, in any
	// order; * and ? are wild.
	Between []string `toml:"between"`
	// Why says what it is, and why the series has no part in it.
	Why string `toml:"why"`
}

// LoadRaces reads a list of races: a TOML file with a table [[race]] for each.
// An error stands for exit.Usage.
func LoadRaces(name string) ([]Race, error) {
	fail := func(err error) ([]Race, error) {
		return nil, exit.With(exit.Usage, fmt.Errorf("read which data races are known: %w", err))
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return fail(err)
	}
	var file struct {
		Race []Race `toml:"race"`
	}
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return fail(fmt.Errorf("%s: %w", name, err))
	}
	for i, r := range file.Race {
		if len(r.Between) != 2 || r.Why == "" {
			return fail(fmt.Errorf("%s: race %d: expected two functions and a reason, found %q and %q", name, i+1, r.Between, r.Why))
		}
		for _, pattern := range r.Between {
			if _, err := path.Match(pattern, ""); err != nil {
				return fail(fmt.Errorf("%s: race %d: %s: %w", name, i+1, pattern, err))
			}
		}
		if !slices.ContainsFunc(r.Between, literal) {
			return fail(fmt.Errorf("%s: race %d: expected the whole name of a function at least on one side, found %q", name, i+1, r.Between))
		}
	}
	return file.Race, nil
}

// literal tells whether a pattern stands for one function.
func literal(pattern string) bool { return !bytes.ContainsAny([]byte(pattern), `*?[\`) }

// raceTitle is how KCSAN begins a report. A side is a function and, if it is in
// one, its module; of a race with devices there is one side.
var raceTitle = regexp.MustCompile(`^(?:BUG: )?KCSAN: data-race in ([\w.]+)( \[\w+\])?(?: / ([\w.]+)( \[\w+\])?)?`)

// inKVM is a module of KVM's.
var inKVM = regexp.MustCompile(`^ \[kvm(?:_\w+)?\]$`)

// OverlookRaces returns what Options.Overlook is for kernels with KCSAN: the
// races that are known, and those of which KVM's modules have no side. The rest
// of the kernel has many of its own, and KVM's selftests are not about them.
func OverlookRaces(known []Race) func(vm.Splat) bool {
	return func(s vm.Splat) bool {
		m := raceTitle.FindStringSubmatch(s.Title)
		if m == nil {
			return false
		}
		one, oneModule, other, otherModule := m[1], m[2], m[3], m[4]
		if !inKVM.MatchString(oneModule) && !inKVM.MatchString(otherModule) {
			return true
		}
		return slices.ContainsFunc(known, func(r Race) bool {
			return r.fits(one, other) || r.fits(other, one)
		})
	}
}

// fits tells whether the patterns are those of the two functions, in order.
func (r Race) fits(one, other string) bool {
	first, err := path.Match(r.Between[0], one)
	second, err2 := path.Match(r.Between[1], other)
	return err == nil && err2 == nil && first && second
}
