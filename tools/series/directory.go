// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/pattern"
	"vcpulab/tools/progress"
)

// mailFiles returns the files of a series, in order.
func mailFiles(dir string) ([]string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, &FormatError{File: dir, Reason: "cannot be opened; name a directory of patches or an mbox", Err: err}
	}
	if !info.IsDir() {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, &FormatError{File: dir, Reason: "cannot be listed", Err: err}
	}
	var names []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && slices.Contains([]string{".patch", ".mbox", ".eml"}, ext) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, &FormatError{File: dir, Reason: "holds no *.patch, *.mbox or *.eml file" + below(dir), Err: ErrCorrupt}
	}
	slices.SortStableFunc(names, byNumber)
	return names, nil
}

// leadingNumber is what the names of patches are numbered with.
var leadingNumber = regexp.MustCompile(`^(?:v\d+-)?(\d{1,9})`)

// byNumber compares the names of two files: 9-a.patch is before 10-b.patch.
func byNumber(a, b string) int {
	m, n := leadingNumber.FindStringSubmatch(filepath.Base(a)), leadingNumber.FindStringSubmatch(filepath.Base(b))
	if m == nil || n == nil {
		return strings.Compare(a, b)
	}
	i, _ := strconv.Atoi(m[1]) // at most nine digits
	j, _ := strconv.Atoi(n[1])
	return cmp.Or(cmp.Compare(i, j), strings.Compare(a, b))
}

// below says which directories in dir hold patches, where dir itself holds none.
func below(dir string) string {
	patches, err := pattern.Files(dir, "*/*.patch")
	if err != nil || len(patches) == 0 {
		return ""
	}
	var found []string
	for _, name := range patches {
		found = append(found, filepath.Base(filepath.Dir(name)))
	}
	return "; name one of the directories in it that do: " + strings.Join(slices.Compact(found), ", ")
}

// loadPart reads the patches of a directory whose subjects make no series: a part of one, or
// several. Their files' names have to begin with numbers that follow each other, so that a
// missing one is noticed. ok is false for any other directory.
func loadPart(dir string) (s *Series, said string, ok bool) {
	mails, err := readMails(dir)
	if err != nil {
		return nil, "", false
	}
	s = &Series{Dir: dir, Version: 1}
	first, last, empty := 0, -1, ""
	for _, p := range mails {
		m := leadingNumber.FindStringSubmatch(p.Name)
		if m == nil {
			return nil, "", false
		}
		n, _ := strconv.Atoi(m[1]) // at most nine digits
		if len(s.Patches) == 0 && s.Cover == nil && p.Number == 0 && len(p.Files) == 0 {
			s.Cover = p
			continue
		}
		if last < 0 {
			first, last = n, n-1
		}
		if last++; n != last {
			return nil, "", false
		}
		if len(p.Files) == 0 { // a commit that only explains those after it
			empty += ", without " + p.Name + ", which changes nothing"
			continue
		}
		p.Number, p.Total = len(s.Patches)+1, 0
		s.Patches = append(s.Patches, p)
	}
	if len(s.Patches) == 0 {
		return nil, "", false
	}
	s.identify()
	said = fmt.Sprintf("%s: %s in the order of their files, %d to %d%s: by their subjects they are no whole series",
		dir, progress.Count(len(s.Patches), "patch"), first, last, empty)
	return s, said, true
}
