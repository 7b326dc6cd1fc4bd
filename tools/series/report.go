// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"vcpulab/tools/progress"
	"vcpulab/tools/tree"
)

// Report says what applying a series did.
type Report struct {
	// Through is the last patch that was applied, Total how many patches the series has.
	SeriesID string `json:"series_id"`
	Through  int    `json:"through"`
	Total    int    `json:"total"`
	// These are of the tree that the series was applied to.
	BaseDir     string `json:"base_dir"`
	BaseID      string `json:"base_id"`
	BaseVersion string `json:"base_version"`
	// TreeDir and TreeID are those of the patched tree; "" if none was made.
	TreeDir string `json:"tree_dir,omitempty"`
	TreeID  string `json:"tree_id,omitempty"`
	// Cached: the patched tree was there already.
	Cached bool `json:"cached"`
	// Patches are the patches, in order.
	Patches []PatchReport `json:"patches"`
	// Shifts are the hunks that were applied elsewhere than the patch says.
	Shifts []Shift `json:"shifts,omitempty"`
	// Differences say how far the base is from the tree that the series was made for.
	Differences Differences `json:"differences"`
}

// PatchReport says what one patch did.
type PatchReport struct {
	Number     int          `json:"number"`
	Name       string       `json:"name"`
	Subject    string       `json:"subject"`
	Author     Person       `json:"author"`
	Status     Status       `json:"status"`
	Files      []FileReport `json:"files"`
	Insertions int          `json:"insertions"` // lines
	Deletions  int          `json:"deletions"`  // lines
}

// Status is what became of a patch.
type Status string

// What may become of a patch. One that cannot be applied is an error.
const (
	Applied Status = "applied"
	// Already: all of the patch is in the tree, so it was left out.
	Already Status = "already in this tree"
)

// FileReport says what a patch did to one file.
type FileReport struct {
	Path       string `json:"path"`
	OldPath    string `json:"old_path,omitempty"` // of a rename or copy
	Action     Action `json:"action"`
	Mode       string `json:"mode,omitempty"` // git's, octal; "" if deleted
	Binary     bool   `json:"binary,omitempty"`
	Insertions int    `json:"insertions"`
	Deletions  int    `json:"deletions"`
	// Before and After are git's blob ids; "" if there is no file.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Action is what a patch does to a file.
type Action string

// What a patch may do to a file.
const (
	Modify Action = "modify"
	Create Action = "create"
	Delete Action = "delete"
	Rename Action = "rename"
	Copy   Action = "copy"
	Chmod  Action = "chmod" // the mode alone
)

// Shift is a hunk that was applied at another line than its header says.
type Shift struct {
	Patch  string `json:"patch"`
	File   string `json:"file"`
	Hunk   int    `json:"hunk"`   // from 1
	From   int    `json:"from"`   // 1-based line that the header says
	To     int    `json:"to"`     // 1-based line where the lines stand
	Offset int    `json:"offset"` // To - From
	// ByHeading: the lines stand in several places, and the function of the "@@" line told which.
	ByHeading bool `json:"by_heading,omitempty"`
	// Named is the function of the "@@" line if its lines stand in another one, In.
	Named string `json:"named,omitempty"`
	In    string `json:"in,omitempty"`
}

// Differences compares the files of the base with those that index lines name. A file that
// the series creates counts if the base has it.
type Differences struct {
	Same      []string     `json:"same"`
	Different []Difference `json:"different"`
	Missing   []Difference `json:"missing"`
	// Unknown are files whose patches have no index line.
	Unknown []string `json:"unknown,omitempty"`
}

// Difference is one file that is not as the series expects it.
type Difference struct {
	Path     string `json:"path"`
	Expected string `json:"expected"`        // blob id, abbreviated as in the patch
	Found    string `json:"found,omitempty"` // blob id; "" if missing
}

// report starts the report of a patch.
func (p *Patch) report(status Status) PatchReport {
	return PatchReport{Number: p.Number, Name: p.Name, Subject: p.Subject, Author: p.Author, Status: status}
}

// newReport starts the report of applying patches to base.
func (s *Series) newReport(base tree.Tree, through int) *Report {
	return &Report{
		SeriesID: s.ID, Through: through, Total: len(s.Patches), Patches: []PatchReport{},
		BaseDir: base.Dir, BaseID: base.ID, BaseVersion: base.Version,
	}
}

// NoneApplied returns the report of applying no patch to base.
func (s *Series) NoneApplied(base tree.Tree) *Report {
	r := s.newReport(base, 0)
	r.Cached, r.TreeDir, r.TreeID = true, base.Dir, base.ID
	return r
}

// None reports whether no file differs or is missing.
func (d *Differences) None() bool { return len(d.Different) == 0 && len(d.Missing) == 0 }

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, p := range r.Patches {
		fmt.Fprintf(&b, "%4d/%d  ", p.Number, r.Total)
		if in := place(p.Name); in != "" {
			fmt.Fprintf(&b, "%-11s ", in)
		}
		b.WriteString(p.Subject)
		if p.Status != Applied {
			fmt.Fprintf(&b, "  [%s]\n", p.Status)
			continue
		}
		fmt.Fprintf(&b, "  (%s, +%d -%d)\n", progress.Count(len(p.Files), "file"), p.Insertions, p.Deletions)
	}
	d := &r.Differences
	if !d.None() {
		fmt.Fprintf(&b, "\nThis tree is not the one that the series was made for. Of %s that it touches:\n",
			progress.Count(len(d.Same)+len(d.Different)+len(d.Missing)+len(d.Unknown), "file"))
		fmt.Fprintf(&b, "  %d the same, %d different, %d missing\n", len(d.Same), len(d.Different), len(d.Missing))
		for _, f := range d.Different {
			fmt.Fprintf(&b, "  different: %s (expected %s, found %s)\n", f.Path, f.Expected, f.Found)
		}
		for _, f := range d.Missing {
			fmt.Fprintf(&b, "  missing:   %s (expected %s)\n", f.Path, f.Expected)
		}
	}
	if len(r.Shifts) > 0 && d.None() {
		fmt.Fprintf(&b, "\n%s stand at other lines, below what other sets add or remove.\n", progress.Count(len(r.Shifts), "hunk"))
	} else if len(r.Shifts) > 0 {
		fmt.Fprintf(&b, "\n%s applied at another line than the patch says:\n", progress.Count(len(r.Shifts), "hunk"))
		for _, s := range r.Shifts {
			fmt.Fprintf(&b, "  %s: %s: hunk %d: line %d -> %d (%+d)", s.Patch, s.File, s.Hunk, s.From, s.To, s.Offset)
			if s.ByHeading {
				b.WriteString(", told from other places by its function")
			}
			if s.Named != "" {
				fmt.Fprintf(&b, "\n    CHECK THIS: the patch names %s, the lines are in %s", s.Named, s.In)
			}
			b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(w, progress.Printable(b.String()))
	return err
}

// differences compares files of the base with the index line of the first patch that touches each.
func differences(patches []*Patch, img *image) (Differences, error) {
	d := Differences{Same: []string{}, Different: []Difference{}, Missing: []Difference{}}
	seen := map[string]bool{"": true}
	for _, p := range patches {
		for _, f := range p.Files {
			if err := d.add(f.OldPath(), f.git.OldOIDPrefix, img, seen); err != nil {
				return d, err
			}
		}
		// What the patch makes is expected to be missing, unless it removes or renames that.
		for _, f := range p.Files {
			if err := d.add(f.NewPath(), noFile, img, seen); err != nil {
				return d, err
			}
		}
	}
	slices.Sort(d.Same)
	slices.Sort(d.Unknown)
	return d, nil
}

// noFile stands for the blob id of a file that does not exist.
const noFile = "no file"

func (d *Differences) add(name, expected string, img *image, seen map[string]bool) error {
	if seen[name] {
		return nil
	}
	seen[name] = true
	n := img.base[name]
	if n == nil {
		// Not read where the patch was left out.
		var err error
		if n, err = img.load(name); err != nil {
			return err
		}
	}
	switch {
	case n == nil && expected == noFile:
	case expected == "":
		d.Unknown = append(d.Unknown, name)
	case n == nil:
		d.Missing = append(d.Missing, Difference{Path: name, Expected: expected})
	case n.is(expected):
		d.Same = append(d.Same, name)
	default:
		d.Different = append(d.Different, Difference{Path: name, Expected: expected, Found: describeID(n, expected)})
	}
	return nil
}
