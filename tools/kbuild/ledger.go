// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/jsonfile"
)

// fileLedger is in the output directory: it goes with the objects.
const fileLedger = ".vcpulab-ledger.json"

// ledger has the warnings about each target of a work area when it was last
// made: make prints none for targets that it does not make again. While make runs
// there is no file: targets may have been made that are not in it.
type ledger struct {
	name    string
	Targets map[string][]Warning `json:"targets"`
}

// openLedger reads an area's ledger, before the area is prepared. If the last run
// was not recorded, the area is cleared, and all is made and recorded again.
func openLedger(a *area) (*ledger, error) {
	l := &ledger{name: filepath.Join(a.out, fileLedger), Targets: make(map[string][]Warning)}
	err := jsonfile.Load(l.name, l)
	if err == nil || errors.Is(err, fs.ErrNotExist) && !a.state.Started {
		return l, nil
	}
	l.Targets = make(map[string][]Warning)
	return l, a.clear()
}

// record runs make, and records and returns the warnings that it printed by
// target, even if it fails.
func (l *ledger) record(m *makeRun, dir string, run func() error) (said map[string][]Warning, err error) {
	var start int64
	if info, err := os.Stat(m.log); err == nil {
		start = info.Size()
	}
	if err := os.Remove(l.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}

	runErr := run()
	log, err := os.Open(m.log)
	if err != nil {
		return nil, errors.Join(runErr, err)
	}
	defer log.Close()
	if _, err := log.Seek(start, io.SeekStart); err != nil {
		return nil, errors.Join(runErr, err)
	}
	if said, err = targetWarnings(log, dir); err != nil {
		if runErr != nil {
			return nil, runErr
		}
		return nil, fmt.Errorf("%s: %w", m.doing, err)
	}

	delete(l.Targets, "") // warnings before the first target are printed each time
	maps.Copy(l.Targets, said)
	return said, errors.Join(runErr, jsonfile.Save(l.name, l))
}

// warnings returns the warnings about all targets.
func (l *ledger) warnings() []Warning {
	return sorted(slices.Concat(slices.Collect(maps.Values(l.Targets))...))
}

// countTargets returns how many targets are in directories.
func countTargets(targets map[string][]Warning, directories []string) int {
	n := 0
	for target := range targets {
		if isBelow(target, directories) {
			n++
		}
	}
	return n
}

func isBelow(target string, directories []string) bool {
	return slices.ContainsFunc(directories, func(dir string) bool { return strings.HasPrefix(target, dir+"/") })
}
