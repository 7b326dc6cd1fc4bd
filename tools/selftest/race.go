// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"vcpulab/tools/exit"
	"vcpulab/tools/vm"
)

// Races are the data races that a kernel may have.
type Races struct {
	// Apart are functions that make, publish or look up a vCPU: what is wild in
	// Race.Between does not stand for them.
	Apart []string `toml:"apart"`
	// Known are races of the kernel without the series, which KCSAN finds in
	// some runs and not in others.
	Known []Race `toml:"race"`
}

// Race is one that is known.
type Race struct {
	// Between are the functions of both sides as KCSAN names them, in any
	// order; * and ? are wild.
	Between []string `toml:"between"`
	// Why says what it is, and why the series has no part in it.
	Why string `toml:"why"`
}

// LoadRaces reads a TOML file: functions apart, and a table [[race]] for each.
// An error stands for exit.Usage.
func LoadRaces(name string) (*Races, error) {
	fail := func(err error) (*Races, error) {
		return nil, exit.With(exit.Usage, fmt.Errorf("read which data races are known: %w", err))
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return fail(err)
	}
	var races Races
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&races); err != nil {
		return fail(fmt.Errorf("%s: %w", name, err))
	}
	for i, r := range races.Known {
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
	return &races, nil
}

// literal tells whether a pattern stands for one function.
func literal(pattern string) bool { return !bytes.ContainsAny([]byte(pattern), `*?[\`) }

// raceTitle is how KCSAN begins a report. A side is a function and, if it is in
// one, its module; of a race with devices there is one side.
var raceTitle = regexp.MustCompile(`^(?:BUG: )?KCSAN: data-race in ([\w.]+)( \[\w+\])?(?: / ([\w.]+)( \[\w+\])?)?`)

// inKVM is a module of KVM's.
var inKVM = regexp.MustCompile(`^ \[kvm(?:_\w+)?\]$`)

// Overlook is what Options.Overlook is for kernels with KCSAN. It tells whether
// a splat is a race that is known, one that is none, or one of which KVM's
// modules have no side: the rest of the kernel has many of its own, and KVM's
// selftests are not about them.
func (r *Races) Overlook(s vm.Splat) bool {
	m := raceTitle.FindStringSubmatch(s.Title)
	if m == nil {
		return false
	}
	one, oneModule, other, otherModule := m[1], m[2], m[3], m[4]
	if !inKVM.MatchString(oneModule) && !inKVM.MatchString(otherModule) {
		return true
	}
	if ownRace(s) {
		return true
	}
	return slices.ContainsFunc(r.Known, func(known Race) bool {
		return r.fits(known.Between[0], one) && r.fits(known.Between[1], other) ||
			r.fits(known.Between[0], other) && r.fits(known.Between[1], one)
	})
}

// ownRace tells whether both sides are the same task. KCSAN stopped it in the
// middle of an access and it was preempted: its own preempt notifier, which
// loads the vCPU or puts it, may touch what it was about to, and races with
// nobody. Task 0 is another one on each processor.
func ownRace(s vm.Splat) bool {
	return len(s.By) == 2 && s.By[0] == s.By[1] && strings.HasPrefix(s.By[0], "task ") && s.By[0] != "task 0"
}

// fits tells whether a pattern is that of a function.
func (r *Races) fits(pattern, function string) bool {
	if literal(pattern) {
		return pattern == function
	}
	fits, err := path.Match(pattern, function)
	return err == nil && fits && !slices.Contains(r.Apart, function)
}
