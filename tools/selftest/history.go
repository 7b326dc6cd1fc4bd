// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"vcpulab/tools/cache"
)

// Took is how long a test took in its last run.
type Took struct {
	Seconds float64 `json:"seconds"`
	// Ended tells whether it ended by itself.
	Ended bool `json:"ended"`
}

// History is how long tests took, by their names. It decides which are started
// first, and gives a slow test more time.
type History map[string]Took

// historyFile is not an entry of the cache: it changes.
func historyFile(c *cache.Cache, id string) string { return c.Path("selftest-times", id+".json") }

// LoadHistory returns what was saved under id, which names what the times
// depend on, such as x86_64-tcg. A file that cannot be read is ignored.
func LoadHistory(c *cache.Cache, id string) History {
	h := History{}
	data, err := os.ReadFile(historyFile(c, id))
	if err != nil || json.Unmarshal(data, &h) != nil {
		return History{}
	}
	maps.DeleteFunc(h, func(_ string, t Took) bool { return !(t.Seconds > 0) })
	return h
}

// SaveHistory saves under id how long tests took, and keeps what is known of
// others. A test that could not be started took no time.
func SaveHistory(c *cache.Cache, id string, results []Result) error {
	h := LoadHistory(c, id)
	for _, r := range results {
		if r.Seconds > 0 {
			h[r.Name] = Took{Seconds: r.Seconds, Ended: r.Outcome.finished()}
		}
	}
	name := historyFile(c, id)
	data, err := json.MarshalIndent(h, "", "\t")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o755)
	}
	if err == nil {
		err = renameio.WriteFile(name, append(data, '\n'), 0o644)
	}
	return c.Full("remember how long the selftests took", err)
}
