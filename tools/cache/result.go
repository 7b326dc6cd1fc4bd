// SPDX-License-Identifier: GPL-2.0-only

package cache

import (
	"context"
	"fmt"
	"path/filepath"

	"vcpulab/tools/jsonfile"
)

// Result returns a value that an entry of c keeps in JSON, and which find finds out. See Populate.
func Result[T any](ctx context.Context, c *Cache, kind, key string, find func(ctx context.Context) (T, error)) (v T, hit bool, err error) {
	const file = "result.json"
	dir, hit, err := c.Populate(ctx, kind, key, func(ctx context.Context, tmp string) error {
		v, err := find(ctx)
		if err != nil {
			return err
		}
		return jsonfile.Save(filepath.Join(tmp, file), v)
	})
	if err == nil {
		err = jsonfile.Load(filepath.Join(dir, file), &v)
	}
	if err != nil && dir != "" {
		err = fmt.Errorf("load a result from the cache: %w; remove %s to find it out again", err, dir)
	}
	return v, hit, err
}
