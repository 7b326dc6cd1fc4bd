// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

type cacheCmd struct {
	Size  cacheSizeCmd  `cmd:"" default:"1" help:"Say what takes how much (the default)."`
	Prune cachePruneCmd `cmd:"" help:"Remove what was not used for long."`
	Clear cacheClearCmd `cmd:"" help:"Remove all of a kind, or everything."`
}

const gigabyte = 1e9

type cacheUse struct {
	Kind    string `json:"kind"`
	Entries int    `json:"entries"`
	Bytes   int64  `json:"bytes"`
}

func (l *lab) entries(ctx context.Context, kinds ...string) (all []cache.Entry, err error) {
	step := l.log.Step("look at the cache")
	defer func() { step.End(err, "%s", progress.Count(len(all), "entry")) }()
	return l.cache.Entries(ctx, func(dir string) []string {
		// A patched tree has links to the files of its base.
		t, err := tree.Load(filepath.Join(dir, "linux"))
		if err != nil || t.Base == "" {
			return nil
		}
		var own []string
		for _, name := range t.Changed {
			own = append(own, filepath.Join(t.Dir, filepath.FromSlash(name)))
		}
		return own
	}, kinds...)
}

// showUse prints what entries take, by kind, and a line with the sum.
func (l *lab) showUse(verb string, all []cache.Entry) error {
	uses, sum := map[string]*cacheUse{}, cacheUse{Kind: verb}
	for _, e := range all {
		u := cmp.Or(uses[e.Kind], &cacheUse{Kind: e.Kind})
		uses[e.Kind] = u
		for _, u := range []*cacheUse{u, &sum} {
			u.Entries++
			u.Bytes += e.Bytes
		}
	}
	kinds := slices.SortedFunc(maps.Values(uses), func(a, b *cacheUse) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Kind, b.Kind))
	})
	return l.show(struct {
		Dir   string      `json:"dir"`
		Kinds []*cacheUse `json:"kinds"`
		cacheUse
	}{l.cache.Dir(), kinds, sum}, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, u := range append(kinds, &sum) {
			fmt.Fprintf(t, "%s\t%s\t%.1f GB\n", u.Kind, progress.Count(u.Entries, "entry"), float64(u.Bytes)/gigabyte)
		}
		return t.Flush()
	})
}

type cacheSizeCmd struct{}

// Run prints what each kind takes.
func (cacheSizeCmd) Run(ctx context.Context, l *lab) error {
	all, err := l.entries(ctx)
	if err != nil {
		return err
	}
	return l.showUse("all of "+l.cache.Dir(), all)
}

type cachePruneCmd struct {
	Days int     `help:"Remove what was not used for so many days." default:"30" placeholder:"N"`
	Most float64 `help:"And then what was not used for the longest time, until the rest takes no more than so many GB." default:"-1" placeholder:"GB"`
}

// Run prints what was removed.
func (c cachePruneCmd) Run(ctx context.Context, l *lab) error {
	if c.Days < 0 {
		return exit.With(exit.Usage, fmt.Errorf("cache prune: --days: expected 0 or more, found %d", c.Days))
	}
	all, err := l.entries(ctx)
	if err != nil {
		return err
	}
	return l.prune(ctx, all, time.Now().AddDate(0, 0, -c.Days), int64(c.Most*gigabyte))
}

func (l *lab) prune(ctx context.Context, all []cache.Entry, since time.Time, most int64) error {
	removed, err := l.cache.Prune(ctx, all, since, most)
	if err != nil {
		return err
	}
	return l.showUse("removed", removed)
}

type cacheClearCmd struct {
	Kinds []string `arg:"" optional:"" help:"What to remove, as vcpulab cache lists it (default: everything)."`
}

// Run prints what was removed.
func (c cacheClearCmd) Run(ctx context.Context, l *lab) error {
	for _, kind := range c.Kinds {
		keys, err := l.cache.Keys(kind)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return exit.With(exit.Usage, fmt.Errorf("cache clear: there is nothing of kind %q; vcpulab cache lists what there is", kind))
		}
	}
	all, err := l.entries(ctx, c.Kinds...)
	if err != nil {
		return err
	}
	return l.prune(ctx, all, time.Now(), 0)
}
