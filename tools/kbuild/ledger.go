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
)

// fileLedger is in the output directory: it goes with the objects.
const fileLedger = ".vcpulab-ledger.json"

// ledger has the warnings about each target of a work area when it was last
// made: make prints none for targets that it does not make again.
type ledger struct {
	name string
	// Open is set while make runs. If it is set when the ledger is opened,
	// targets may have been made that are not in it.
	Open    bool                 `json:"open"`
	Targets map[string][]Warning `json:"targets"`
}

// openLedger reads an area's ledger. If the last run was not recorded, the
// objects in the directories are removed, to be made and recorded again.
func openLedger(a *area, directories []string) (*ledger, error) {
	l := &ledger{name: filepath.Join(a.out, fileLedger), Targets: make(map[string][]Warning)}
	var unreadable *fs.PathError
	err := readJSON(l.name, l)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case errors.As(err, &unreadable) && !missing:
		return nil, fmt.Errorf("read the warnings about a work area's objects: %w", err)
	case err != nil && (!missing || a.state.Started):
		l.Open = true
	}
	if !l.Open {
		return l, nil
	}

	for _, dir := range directories {
		if err := os.RemoveAll(filepath.Join(a.out, dir)); err != nil {
			return nil, fmt.Errorf("repair the work area %s: %w", a.dir, err)
		}
	}
	maps.DeleteFunc(l.Targets, func(target string, _ []Warning) bool { return isBelow(target, directories) })
	l.Open = false
	return l, l.save()
}

func (l *ledger) save() error {
	if err := writeJSON(l.name, l); err != nil {
		return fmt.Errorf("save the warnings about a work area's objects: %w", err)
	}
	return nil
}

// record runs make, and records and returns the warnings that it printed by
// target, even if it fails.
func (l *ledger) record(m *makeRun, dir string, run func() error) (said map[string][]Warning, err error) {
	var start int64
	if info, err := os.Stat(m.log); err == nil {
		start = info.Size()
	}
	l.Open = true
	if err := l.save(); err != nil {
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
	l.Open = false
	if err := l.save(); err != nil {
		return nil, errors.Join(runErr, err)
	}
	return said, runErr
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
