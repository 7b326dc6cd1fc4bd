// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"vcpulab/tools/cache"
)

// Took is how long a test took the last time that it was run.
type Took struct {
	Seconds float64 `json:"seconds"`
	// Ended says that it came to its end by itself.
	Ended bool `json:"ended"`
}

// History is how long tests took, by their names. It decides which are started
// first, and gives a test that is slow more time.
type History map[string]Took

// historyKind is the folder of the cache in which histories are kept. They are
// no entries: they change.
const historyKind = "selftest-times"

func historyFile(c *cache.Cache, id string) string { return c.Path(historyKind, id+".json") }

// LoadHistory returns what was remembered under id, which says what the times
// depend on, such as x86_64-tcg. A file that cannot be read is as good as
// none.
func LoadHistory(c *cache.Cache, id string) History {
	h := History{}
	data, err := os.ReadFile(historyFile(c, id))
	if err != nil || json.Unmarshal(data, &h) != nil {
		return History{}
	}
	maps.DeleteFunc(h, func(_ string, t Took) bool { return !(t.Seconds > 0) })
	return h
}

// SaveHistory remembers under id how long tests took, next to what is
// remembered of others. A test that could not be started took no time.
func SaveHistory(c *cache.Cache, id string, results []Result) error {
	h := LoadHistory(c, id)
	for _, r := range results {
		if r.Seconds > 0 {
			h[r.Name] = Took{Seconds: r.Seconds, Ended: finished(&r)}
		}
	}
	name := historyFile(c, id)
	fail := func(err error) error { return c.Full("remember how long the selftests took", err) }
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fail(err)
	}
	data, err := json.MarshalIndent(h, "", "\t")
	if err != nil {
		return fmt.Errorf("remember how long the selftests took: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(data, '\n'))
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	return fail(err)
}
