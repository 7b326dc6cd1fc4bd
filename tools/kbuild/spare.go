// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/header"
)

// spare keeps make from compiling objects again that include a header which has
// changed, but mention nothing of what has: it makes them newer than the header.
func (a *area) spare(directories []string) error {
	if !a.wasDone {
		return nil // it is unknown whether the objects are those of the tree before
	}
	changes, err := a.changedHeaders()
	if len(changes) == 0 || err != nil {
		return err
	}
	objects, err := a.objects(directories)
	if err != nil {
		return err
	}
	affected, err := header.Affected(objects, changes, func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(a.src, filepath.FromSlash(name)))
	})
	if err != nil {
		return err
	}

	var spared []string
	times := make(map[string]time.Time)
	for _, o := range objects {
		if !slices.ContainsFunc(o.Sources, func(source string) bool { _, changed := changes[source]; return changed }) {
			continue
		}
		newer, err := a.newerThan(o, changes, times)
		if err != nil {
			return err
		}
		if affected[o.Name] == "" && !newer {
			spared = append(spared, o.Name)
			continue
		}
		a.state.Spared = slices.DeleteFunc(a.state.Spared, func(name string) bool { return name == o.Name })
	}
	a.state.Spared = slices.Concat(a.state.Spared, spared)
	slices.Sort(a.state.Spared)
	a.state.Spared = slices.Compact(a.state.Spared)
	if err := a.save(); err != nil {
		return err
	}
	return a.setTimes(spared, time.Now())
}

// newerThan tells whether anything that an object was compiled from is newer than it,
// headers apart that have changed, or the object does not exist. times has those of files
// that are known.
func (a *area) newerThan(o header.Object, changes map[string]header.Change, times map[string]time.Time) (bool, error) {
	modified := func(name string) (time.Time, error) {
		if t, known := times[name]; known {
			return t, nil
		}
		info, err := os.Stat(filepath.Join(a.src, filepath.FromSlash(name)))
		if err != nil {
			return time.Time{}, err
		}
		times[name] = info.ModTime()
		return info.ModTime(), nil
	}
	made, err := modified(path.Join("out", o.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	for _, source := range o.Sources {
		if _, changed := changes[source]; changed {
			continue
		}
		t, err := modified(source)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		if err != nil || t.After(made) {
			return true, nil
		}
	}
	return false, nil
}

// unspare has make compile what it was kept from compiling.
func (a *area) unspare() error {
	spared := a.state.Spared
	if err := a.setTimes(spared, time.Unix(0, 0)); err != nil {
		return err
	}
	a.state.Spared = nil
	return a.save()
}

func (a *area) setTimes(objects []string, to time.Time) error {
	for _, name := range objects {
		err := os.Chtimes(filepath.Join(a.out, filepath.FromSlash(name)), to, to)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// changedHeaders returns the headers that the last switch has replaced.
func (a *area) changedHeaders() (map[string]header.Change, error) {
	changes := make(map[string]header.Change)
	for name, before := range a.replaced {
		if !header.Is(name) {
			continue
		}
		after, err := os.ReadFile(filepath.Join(a.src, filepath.FromSlash(name)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		changes[name] = header.Change{Before: before, After: after}
	}
	return changes, nil
}

// objects returns the objects below directories of out, with the files that they were
// compiled from, relative to src, as kbuild has recorded them.
func (a *area) objects(directories []string) ([]header.Object, error) {
	var list []header.Object
	for _, dir := range directories {
		err := filepath.WalkDir(filepath.Join(a.out, filepath.FromSlash(dir)), func(name string, e fs.DirEntry, err error) error {
			base := filepath.Base(name)
			if errors.Is(err, fs.ErrNotExist) || err == nil && (!strings.HasPrefix(base, ".") || !strings.HasSuffix(base, ".o.cmd")) {
				return nil
			}
			if err != nil {
				return err
			}
			record, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			sources := recordedSources(string(record))
			if len(sources) == 0 {
				return nil // linked of others
			}
			below, err := filepath.Rel(a.out, filepath.Dir(name))
			object := path.Join(filepath.ToSlash(below), strings.TrimSuffix(base[1:], ".cmd"))
			list = append(list, header.Object{Name: object, Sources: sources})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read what objects were compiled from: %w", err)
		}
	}
	return list, nil
}

// recordedSources returns the files that an object was compiled from as its .cmd file
// has them, relative to the directory above kbuild's output. Those of the compiler are
// left out. The file is made by scripts/basic/fixdep:
//
//	source_virt/kvm/eventfd.o := ../virt/kvm/eventfd.c
//
//	deps_virt/kvm/eventfd.o := \
//	    $(wildcard include/config/HAVE_KVM_IRQCHIP) \
//	  ../include/linux/kvm_host.h \
func recordedSources(record string) []string {
	var list []string
	inDeps := false
	for line := range strings.Lines(record) {
		line = strings.TrimSpace(line)
		name := ""
		switch {
		case strings.HasPrefix(line, "source_"):
			_, name, _ = strings.Cut(line, " := ")
		case strings.HasPrefix(line, "deps_"):
			inDeps = true
		case line == "":
			inDeps = false
		case inDeps:
			name = strings.TrimSpace(strings.TrimSuffix(line, "\\"))
		}
		if name != "" && !strings.HasPrefix(name, "$") && !strings.HasPrefix(name, "/") {
			list = append(list, path.Join("out", name))
		}
	}
	return list
}
