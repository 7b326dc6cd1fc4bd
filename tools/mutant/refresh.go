// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// Refresh rewrites mutants whose lines have moved: it finds them by their
// context, all of which must exist, in one place only. It returns those that it
// rewrote. The error stands for exit.PatchFailed if some cannot be found so.
func (r *Runner) Refresh(ctx context.Context, mutants []*Mutant) (written []*Mutant, err error) {
	if _, err := r.original(ctx); err != nil {
		return nil, err
	}
	err = r.try(mutants, func(m *Mutant, on tree.Tree) error {
		report, err := m.change.Try(on, series.Options{Relocate: true})
		if err != nil {
			return err
		}
		if report.Patches[0].Status == series.Already {
			return &series.ApplyError{Patch: m.Name, Reason: "the series has the fault itself", Err: series.ErrApplied}
		}
		if len(report.Shifts) == 0 {
			return nil
		}
		written = append(written, m)
		return renameio.WriteFile(m.File, slices.Concat(m.head, move(m.diff, report.Shifts)), 0o644)
	})
	return written, err
}

// move returns a diff with the numbers of the lines at which its hunks are found.
func move(diff []byte, shifts []series.Shift) []byte {
	var b bytes.Buffer
	file, hunk := "", 0
	for line := range strings.Lines(string(diff)) {
		if name, ok := strings.CutPrefix(line, "+++ b/"); ok {
			file, hunk = strings.TrimSpace(name), 0
		}
		var was, wasN, is, isN int
		if n, _ := fmt.Sscanf(line, "@@ -%d,%d +%d,%d @@", &was, &wasN, &is, &isN); n == 4 {
			hunk++
			for _, s := range shifts {
				if s.File == file && s.Hunk == hunk {
					_, heading, _ := strings.Cut(line, " @@")
					line = fmt.Sprintf("@@ -%d,%d +%d,%d @@%s", was+s.Offset, wasN, is+s.Offset, isN, heading)
				}
			}
		}
		b.WriteString(line)
	}
	return b.Bytes()
}
