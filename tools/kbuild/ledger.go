// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// fileLedger is in the output folder: it goes with the objects.
const fileLedger = ".vcpulab-ledger.json"

// ledger has what was said of each target of a work area when it was last
// made: make says nothing of those that it does not make again.
type ledger struct {
	name string
	// Open is set while make runs. If it is set when the ledger is opened,
	// targets may have been made of which it has nothing.
	Open    bool                 `json:"open"`
	Targets map[string][]Warning `json:"targets"`
}

// openLedger reads an area's ledger. Where the last run was not recorded, the
// objects in the folders are removed, to be made and recorded again.
func openLedger(a *area, folders []string) (*ledger, error) {
	l := &ledger{name: filepath.Join(a.out, fileLedger), Targets: make(map[string][]Warning)}
	data, err := os.ReadFile(l.name)
	if err == nil {
		if json.Unmarshal(data, l) != nil {
			l.Open = true
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what was said of a work area's objects: %w", err)
	} else if a.state.Started {
		l.Open = true
	}
	if !l.Open {
		return l, nil
	}
	for _, dir := range folders {
		if err := os.RemoveAll(filepath.Join(a.out, dir)); err != nil {
			return nil, fmt.Errorf("mend the work area %s: %w", a.dir, err)
		}
		for target := range l.Targets {
			if strings.HasPrefix(target, dir+"/") {
				delete(l.Targets, target)
			}
		}
	}
	l.Open = false
	return l, l.save()
}

func (l *ledger) save() error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.name+".new", data, 0o644); err != nil {
		return fmt.Errorf("save what was said of a work area's objects: %w", err)
	}
	if err := os.Rename(l.name+".new", l.name); err != nil {
		return fmt.Errorf("save what was said of a work area's objects: %w", err)
	}
	return nil
}

// record runs make, and notes and returns what it said, by target, also when it
// fails.
func (l *ledger) record(m *makeRun, dir string, run func() error) (said map[string][]Warning, err error) {
	from := int64(0)
	if info, err := os.Stat(m.log); err == nil {
		from = info.Size()
	}
	l.Open = true
	if err := l.save(); err != nil {
		return nil, err
	}
	runErr := run()
	f, err := os.Open(m.log)
	if err != nil {
		return nil, errors.Join(runErr, err)
	}
	defer f.Close()
	if _, err := f.Seek(from, 0); err != nil {
		return nil, errors.Join(runErr, err)
	}
	if said, err = targetWarnings(f, dir); err != nil {
		if runErr != nil {
			return nil, runErr
		}
		return nil, fmt.Errorf("%s: %w", m.doing, err)
	}
	delete(l.Targets, "") // what is said before the first target is said each time
	maps.Copy(l.Targets, said)
	l.Open = false
	if err := l.save(); err != nil {
		return nil, errors.Join(runErr, err)
	}
	return said, runErr
}

// warnings returns all that was said.
func (l *ledger) warnings() []Warning {
	all := []Warning{}
	for _, list := range l.Targets {
		all = append(all, list...)
	}
	return sorted(all)
}

// count returns how many targets are in folders.
func count(targets map[string][]Warning, folders []string) int {
	n := 0
	for target := range targets {
		for _, dir := range folders {
			if strings.HasPrefix(target, dir+"/") {
				n++
			}
		}
	}
	return n
}
