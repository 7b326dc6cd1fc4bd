// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/cache"
	"vcpulab/tools/jsonfile"
)

// Took is how long a test took in its last run, and how it ended in the last ones.
type Took struct {
	Seconds float64 `json:"seconds"`
	Ended   bool    `json:"ended"` // by itself
	Runs    Runs    `json:"runs,omitempty"`
}

// Runs are how a test ended the last times, by the name of the kernel, the latest
// last: at the first try of each run.
type Runs map[string][]Outcome

// maxRuns bounds how many runs are kept of a test.
const maxRuns = 50

// differ tells whether a test did not always end in the same way on a kernel.
func (r Runs) differ() bool {
	for _, outcomes := range r {
		if len(slices.Compact(slices.Clone(outcomes))) > 1 {
			return true
		}
	}
	return false
}

// text says how often a test ended in which way, a line a kernel.
func (r Runs) text() string {
	var b strings.Builder
	for _, kernel := range slices.Sorted(maps.Keys(r)) {
		var results []Result
		for _, o := range r[kernel] {
			results = append(results, Result{Outcome: o})
		}
		fmt.Fprintf(&b, "  %s: of the last %d runs: %s\n", kernel, len(results), tally(results))
	}
	return b.String()
}

// History is how long tests took and how they ended, by their names: it decides which
// are started first, and gives a slow test more time.
type History map[string]Took

// historyFile is not an entry of the cache: it changes.
func historyFile(c *cache.Cache, id string) string { return c.Path("selftest-times", id+".json") }

// LoadHistory returns what was saved under id, which names what the times
// depend on, such as x86_64-tcg. A file that cannot be read is ignored.
func LoadHistory(c *cache.Cache, id string) History {
	h := History{}
	if jsonfile.Load(historyFile(c, id), &h) != nil {
		return History{}
	}
	maps.DeleteFunc(h, func(_ string, t Took) bool { return !(t.Seconds > 0) })
	return h
}

// SaveHistory saves under id how long tests took on a kernel and how they ended,
// and keeps what is known of others. A test that could not be started took no time.
func SaveHistory(c *cache.Cache, id, kernel string, results []Result) error {
	h := LoadHistory(c, id)
	for _, r := range results {
		if r.Seconds <= 0 {
			continue
		}
		runs := h[r.Name].Runs
		if runs == nil {
			runs = Runs{}
		}
		first := append(slices.Clip(r.Earlier), r)[0]
		runs[kernel] = append(runs[kernel], first.Outcome)
		runs[kernel] = runs[kernel][max(0, len(runs[kernel])-maxRuns):]
		h[r.Name] = Took{Seconds: r.Seconds, Ended: r.Outcome.finished(), Runs: runs}
	}
	name := historyFile(c, id)
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = jsonfile.Save(name, h)
	}
	return c.Full("remember how long the selftests took", err)
}
