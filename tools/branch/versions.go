// SPDX-License-Identifier: GPL-2.0-only

package branch

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// Version is a version of a series, and what it is applied to.
type Version struct {
	Series  *series.Series
	Base    tree.Tree
	Options series.Options
}

// Fate is what has become of a patch.
type Fate string

// The fates of patches.
const (
	Same    Fate = "same"
	Changed Fate = "changed"
	New     Fate = "new"
	Gone    Fate = "gone"
)

// Pair is a patch in both versions, or in one of them.
type Pair struct {
	Fate    Fate   `json:"fate"`
	Old     string `json:"old,omitempty"` // its name: walks/0003-KVM-Walk-vCPUs.patch
	New     string `json:"new,omitempty"`
	Subject string `json:"subject"` // the new one, if there is one
	// Diff is of the two patches with their messages, as git range-diff prints it.
	Diff string `json:"diff,omitempty"`
}

// RangeDiff tells two versions of a series apart: git pairs those patches that are most alike.
func RangeDiff(ctx context.Context, old, new Version) ([]Pair, error) {
	var patches [2][]*series.Patch
	w := &writer{}
	for i, v := range []Version{old, new} {
		var err error
		if patches[i], err = w.version(versionRefs[i], v); err != nil {
			return nil, fmt.Errorf("the %s version: %w", versionRefs[i], err)
		}
	}

	dir, err := os.MkdirTemp("", "vcpulab-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if _, err := git(ctx, dir, "init", "--quiet", "--bare", "--template="); err != nil {
		return nil, err
	}
	load := tree.OwnGit(dir)
	load.Stdin = &w.stream
	if _, _, err := load.Run(ctx, "fast-import", "--quiet"); err != nil {
		return nil, err
	}
	args := []string{"range-diff", "--no-color"}
	for _, ref := range versionRefs {
		args = append(args, startRefs+ref+".."+ref)
	}
	out, _, err := tree.OwnGit(dir).Run(ctx, args...)
	if err != nil {
		return nil, err
	}
	return parseRangeDiff(string(out), patches[0], patches[1])
}

// versionRefs are the branches of the two versions.
var versionRefs = [...]string{"old", "new"}

// version writes the branch of a version, on a commit with the files that it changes, and
// returns the patches that have a commit: some may be in the base already.
func (w *writer) version(ref string, v Version) (patches []*series.Patch, err error) {
	var steps []map[string]*series.File
	before := make(map[string]*series.File)
	root, err := os.OpenRoot(v.Base.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	err = v.Series.Steps(v.Base, v.Options, func(p *series.Patch, files map[string]*series.File) error {
		patches, steps = append(patches, p), append(steps, files)
		for name := range files {
			if _, err := root.Lstat(name); err != nil || before[name] != nil {
				continue // it comes with a patch
			}
			mode, data, err := tree.ReadFile(root, name)
			if err != nil {
				return err
			}
			before[name] = &series.File{Mode: mode, Data: data}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(patches) == 0 {
		return nil, exit.With(exit.Usage, fmt.Errorf("all of %s is in its base already", v.Series.Dir))
	}

	tip := w.commit("refs/heads/"+ref, &series.Patch{Author: series.Person{Name: "vcpulab", Email: "vcpulab@localhost"}}, "", nil, before)
	fmt.Fprintf(&w.stream, "reset %s%s\nfrom %s\n\n", startRefs, ref, tip)
	for i, p := range patches {
		tip = w.commit("refs/heads/"+ref, p, p.Subject+"\n\n"+p.Message, []string{tip}, steps[i])
	}
	return patches, nil
}

// rangeHeader is the line of a pair: "1:  abc = 2:  def Subject", "-:  --- > 3:  def Subject".
var rangeHeader = regexp.MustCompile(`^ *(-|\d+): +[-0-9a-f]+ ([=!<>]) +(-|\d+): +[-0-9a-f]+ `)

var fateOf = map[string]Fate{"=": Same, "!": Changed, ">": New, "<": Gone}

// parseRangeDiff reads what git prints of the patches of two versions.
func parseRangeDiff(text string, old, new []*series.Patch) (pairs []Pair, err error) {
	name := func(patches []*series.Patch, number string, p *Pair) string {
		if number == "-" || err != nil {
			return ""
		}
		n, _ := strconv.Atoi(number)
		if n < 1 || n > len(patches) {
			err = fmt.Errorf("git range-diff: expected patches 1 to %d, found %s", len(patches), number)
			return ""
		}
		p.Subject = patches[n-1].Subject
		return patches[n-1].Name
	}
	for line := range strings.Lines(text) {
		m := rangeHeader.FindStringSubmatch(line)
		if m == nil {
			if len(pairs) == 0 {
				return nil, fmt.Errorf("git range-diff: expected a pair of patches, found %q", line)
			}
			pairs[len(pairs)-1].Diff += strings.TrimPrefix(line, "    ")
			continue
		}
		p := Pair{Fate: fateOf[m[2]]}
		p.Old, p.New = name(old, m[1], &p), name(new, m[3], &p)
		pairs = append(pairs, p)
	}
	return pairs, err
}

// Summary counts the patches of each fate in words.
func Summary(pairs []Pair) string {
	counts := make(map[Fate]int)
	for _, p := range pairs {
		counts[p.Fate]++
	}
	var parts []string
	for _, f := range []Fate{Same, Changed, New, Gone} {
		if counts[f] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[f], f))
		}
	}
	return progress.Count(len(pairs), "patch") + ": " + strings.Join(parts, ", ")
}
