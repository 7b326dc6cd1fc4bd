// SPDX-License-Identifier: GPL-2.0-only

package tree

import (
	"context"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// inParallel calls do for 0 to n-1, in chunks: a goroutine for each of 96,000
// files would cost more than some of them. Each chunk has folders of its own.
// It ends at the first error.
func inParallel(ctx context.Context, n int, do func(i int, dirs *folders) error) error {
	g, ctx := errgroup.WithContext(ctx)
	const chunk = 512
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for from := 0; from < n; from += chunk {
		g.Go(func() error {
			var dirs folders
			defer dirs.close()
			for i := from; i < min(from+chunk, n); i++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := do(i, &dirs); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// folders keeps the folders of the last file open, one for each root. os.Root
// goes down a path step by step, and the next file is mostly in the same
// folder.
type folders struct {
	last []openFolder
}

type openFolder struct {
	root *os.Root // that it is in
	name string
	dir  *os.Root
}

// enter returns the folder of that name in root, until enter is called for
// another one or close.
func (f *folders) enter(root *os.Root, name string) (*os.Root, error) {
	for i := range f.last {
		o := &f.last[i]
		if o.root != root {
			continue
		}
		if o.name == name {
			return o.dir, nil
		}
		dir, err := root.OpenRoot(name)
		if err != nil {
			return nil, err
		}
		o.dir.Close()
		o.name, o.dir = name, dir
		return dir, nil
	}
	dir, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	f.last = append(f.last, openFolder{root, name, dir})
	return dir, nil
}

func (f *folders) close() {
	for _, o := range f.last {
		o.dir.Close()
	}
}
