// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vcpulab/tools/cache"
)

// A Finding is something that a check finds wrong.
type Finding struct {
	// Where is the patch, file, test or column that it is about.
	Where string `json:"where,omitempty"`
	// Text is what is wrong; a mutant's expression is matched with both.
	Text string `json:"text"`
}

// String returns "where: text".
func (f Finding) String() string {
	if f.Where == "" {
		return f.Text
	}
	return f.Where + ": " + f.Text
}

// pair is the series as it is and with a mutant.
type pair struct{ series, mutant *Subject }

// looked is what a check has found in a subject.
type looked struct {
	Findings []Finding `json:"findings"`
	// Details is what there is to read for people, such as a test's output.
	Details string `json:"details,omitempty"`
	// Seconds is what it took with all that had to be built, Took is what a
	// test itself took.
	Seconds float64 `json:"seconds"`
	Took    float64 `json:"took,omitempty"`

	cached bool
}

// check looks at subjects.
type check interface {
	// look looks at s, which is one of p.
	look(ctx context.Context, s *Subject, p pair) (*looked, error)
	// parts are what a result depends on besides the subject and the name of
	// the check; nil says that results are not kept.
	parts(s *Subject, p pair) ([]string, error)
}

// kindResult is the kind of what is kept of checks that take long.
const (
	kindResult = "mutant"
	fileResult = "result.json"
)

// run has a check look at a subject, or returns what it found when it did so
// before.
func (r *Runner) run(ctx context.Context, k Killer, c check, s *Subject, p pair) (*looked, error) {
	start := time.Now()
	look := func(ctx context.Context) (*looked, error) {
		l, err := c.look(ctx, s, p)
		if err != nil {
			return nil, err
		}
		l.Seconds = time.Since(start).Seconds()
		return l, nil
	}
	parts, err := c.parts(s, p)
	if err != nil {
		return nil, err
	}
	if parts == nil {
		return look(ctx)
	}
	key := cache.Key(append([]string{kindResult, "1", s.ID, k.String()}, parts...)...)
	if r.first(key) && r.Again {
		if err := r.Cache.Remove(ctx, kindResult, key); err != nil {
			return nil, err
		}
	}
	dir, hit, err := r.Cache.Populate(ctx, kindResult, key, func(ctx context.Context, tmp string) error {
		l, err := look(ctx)
		if err != nil {
			return err
		}
		data, err := json.Marshal(l)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(tmp, fileResult), data, 0o644)
	})
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(dir, fileResult))
	if err != nil {
		return nil, fmt.Errorf("load what a check found before: %w", err)
	}
	l := &looked{cached: hit}
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("load what a check found before: %s: %w", dir, err)
	}
	return l, nil
}

// first tells whether a result is asked for for the first time in this run.
func (r *Runner) first(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.seen[key]
	r.seen[key] = true
	return first
}

// sources returns the text of the programs that a check is made of: where they
// change, what was found before says nothing of what is found now. Tests are
// left out. Folders that are not there have no text.
func sources(root string, folders ...string) (string, error) {
	var text strings.Builder
	for _, folder := range folders {
		err := fs.WalkDir(os.DirFS(root), folder, func(name string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && name == folder:
				return nil
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return fs.SkipDir
			case d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			data, err := os.ReadFile(filepath.Join(root, name))
			fmt.Fprintf(&text, "%s %d\n%s", name, len(data), data)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return text.String(), nil
}
