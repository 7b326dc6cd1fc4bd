// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"vcpulab/tools/progress"
)

// advise adds to the error for a patch what can be seen of it elsewhere in the tree.
func (a *applier) advise(s *Series, e *ApplyError) {
	if e.Number < 1 || e.Number > len(s.Patches) || e.Hint != "" || e.Hunk == 0 && errors.Is(e, ErrApplied) {
		return
	}
	p := s.Patches[e.Number-1]
	if i := slices.IndexFunc(p.Files, func(f *FileDiff) bool { return f.path() == e.File || f.OldPath() == e.File }); i >= 0 && a.relocate {
		if moved := a.moved(p.Files[i]); len(moved) > 0 {
			e.Hint = fmt.Sprintf("there is %s: if the file was moved there, change its name in the patch", strings.Join(moved, ", "))
			return
		}
	}
	switch there, all := a.there(p); {
	case there > 0:
		e.Hint = fmt.Sprintf("in this tree already: %d of %s of the patch; has the tree another form of it?", there, progress.Count(all, "hunk"))
	case s.foreign(a.image.root):
		e.Hint = "none of the files that the series changes is in this tree: is it for another project, or for another version?"
	}
}

// there counts the hunks of a patch, and those whose result alone is in the tree.
func (a *applier) there(p *Patch) (there, all int) {
	for _, f := range p.Files {
		all += len(f.git.TextFragments)
		if src, err := a.image.get(f.path()); err == nil && src != nil {
			_, n := newTextFile(f, src.Data).count()
			there += n
		}
	}
	return there, all
}

// count returns how many hunks fit somewhere in the file, and of how many others the result does.
func (t *textFile) count() (fit, there int) {
	for _, h := range t.hunks {
		if len(t.places(h)) > 0 {
			fit++
		} else if len(t.places(reversed(h))) > 0 {
			there++
		}
	}
	return fit, there
}

// moved returns other files, of the same kind and part of the tree, in which what a patch
// expects of a file can be found: those of its name if it is missing or they have a hunk or
// its result, otherwise those in which all hunks fit. Many say nothing: it returns none.
func (a *applier) moved(f *FileDiff) []string {
	const (
		enough = 64 << 20 // bytes read; this is for a message only
		many   = 3
	)
	name := f.OldPath()
	parts := strings.Split(path.Dir(name), "/")
	if name == "" || len(f.git.TextFragments) == 0 || parts[0] == "." {
		return nil
	}
	_, err := a.image.root.Lstat(name)
	missing := errors.Is(err, fs.ErrNotExist)
	var same, other []string
	read := 0
	err = fs.WalkDir(a.image.root.FS(), path.Join(parts[:min(2, len(parts))]...), func(at string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || at == name || path.Ext(at) != path.Ext(name) {
			return nil // what cannot be read has nothing to say
		}
		data, err := a.image.root.ReadFile(at)
		if read += len(data); err != nil || read > enough {
			return err
		}
		t := newTextFile(f, data)
		switch fit, there := t.count(); {
		case path.Base(at) == path.Base(name) && (missing || fit+there > 0):
			same = append(same, at)
		case fit+there == len(t.hunks):
			other = append(other, at)
		}
		return nil
	})
	if len(same) == 0 {
		same = other
	}
	if err != nil || len(same) > many {
		return nil
	}
	return same
}

// foreign tells whether the series changes files, and the tree has none of them.
func (s *Series) foreign(root *os.Root) bool {
	changes := false
	for _, p := range s.Patches {
		for _, f := range p.Files {
			if f.OldPath() == "" {
				continue
			}
			changes = true
			if _, err := root.Lstat(f.OldPath()); err == nil {
				return false
			}
		}
	}
	return changes
}
