// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExplain(t *testing.T) {
	const reuse = "checkpatch: MACRO_ARG_REUSE: an iterator\n"
	finding := CheckpatchFinding{Level: "CHECK", Type: "MACRO_ARG_REUSE"}
	explained := finding
	explained.Reason = "an iterator"
	other := CheckpatchFinding{Level: "ERROR", Type: "SPACING"}
	stale := CheckpatchFinding{Level: "CHECK", Type: "MACRO_ARG_REUSE",
		Message: "the mail explains a finding that checkpatch does not have"}
	tests := map[string]struct {
		mail                      string
		findings, open, explained []CheckpatchFinding
	}{
		"none":              {"m\n---\ndiff --git a/f b/f\n", []CheckpatchFinding{finding}, []CheckpatchFinding{finding}, nil},
		"explained":         {"m\n---\n" + reuse + "diff --git a/f b/f\n", []CheckpatchFinding{finding, other}, []CheckpatchFinding{other}, []CheckpatchFinding{explained}},
		"two of one type":   {"m\n---\n" + reuse, []CheckpatchFinding{finding, finding}, nil, []CheckpatchFinding{explained, explained}},
		"stale":             {"m\n---\n" + reuse, []CheckpatchFinding{other}, []CheckpatchFinding{other, stale}, nil},
		"in the message":    {reuse + "\n---\n", []CheckpatchFinding{finding}, []CheckpatchFinding{finding}, nil},
		"in the patch":      {"m\n---\ndiff --git a/f b/f\n" + reuse, []CheckpatchFinding{finding}, []CheckpatchFinding{finding}, nil},
		"without a reason":  {"m\n---\ncheckpatch: MACRO_ARG_REUSE: \n", []CheckpatchFinding{finding}, []CheckpatchFinding{finding}, nil},
		"of all the others": {"m\n---\ncheckpatch: ALL: no\n", nil, []CheckpatchFinding{{Level: "CHECK", Type: "ALL", Message: stale.Message}}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := CheckpatchResult{Findings: test.findings}
			r.explain(test.mail)
			if len(r.Findings) == 0 {
				r.Findings = nil
			}
			if diff := cmp.Diff(test.open, r.Findings); diff != "" {
				t.Errorf("open (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.explained, r.Explained); diff != "" {
				t.Errorf("explained (-want +got):\n%s", diff)
			}
		})
	}
}
