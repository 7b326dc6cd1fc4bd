// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const (
	// fileUnbuilt has the tests that could not be built, and why.
	fileUnbuilt = ".unbuilt.json"
	// mostUnbuilt is how many tests a compiler may be unable to build. If it
	// is more, it is no matter of single tests.
	mostUnbuilt = 3
)

// most builds tests, all of which m has as targets, and returns those that were
// built. A few that this compiler cannot build, as gcc 12 cannot what needs
// atomic bytes on riscv64, are written down in dir.
func (s *selftestBuild) most(ctx context.Context, m *makeRun, names []string, dir string) ([]string, error) {
	all := *m
	all.rest = true
	_, err := all.run(ctx)
	if err == nil {
		return names, nil
	}
	if _, failed := errors.AsType[*Error](err); !failed {
		return nil, err
	}
	var built, unbuilt []string
	for i, n := range names {
		_, statErr := os.Stat(m.targets[i])
		switch {
		case statErr == nil:
			built = append(built, n)
		case errors.Is(statErr, fs.ErrNotExist):
			unbuilt = append(unbuilt, n)
		default:
			return nil, fmt.Errorf("%s: %w", s.doing, statErr)
		}
	}
	if len(unbuilt) == 0 || len(unbuilt) > mostUnbuilt || len(built) == 0 {
		return nil, err
	}
	why := make(map[string]string)
	for _, n := range unbuilt {
		one := *m
		one.targets = []string{m.targets[slices.Index(names, n)]}
		if _, err := one.run(ctx); err == nil {
			built = append(built, n)
		} else if failed, ok := errors.AsType[*Error](err); ok {
			why[n] = failed.Fault.String()
		} else {
			return nil, err
		}
	}
	data, err := json.Marshal(why)
	if err != nil {
		return nil, err
	}
	return built, os.WriteFile(filepath.Join(dir, fileUnbuilt), data, 0o644)
}

// loadUnbuilt reads what most has written, if it has.
func loadUnbuilt(dir string) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileUnbuilt))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var why map[string]string
	if err := json.Unmarshal(data, &why); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, fileUnbuilt), err)
	}
	return why, nil
}
