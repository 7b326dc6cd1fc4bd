// SPDX-License-Identifier: GPL-2.0-only

package branch

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/series"
)

// TestParseRangeDiff reads what git 2.39 has printed.
func TestParseRangeDiff(t *testing.T) {
	old := []*series.Patch{{Name: "a/0001-One.patch", Subject: "One"}, {Name: "a/0002-Two.patch", Subject: "Two"}}
	new := []*series.Patch{{Name: "0001-Uno.patch", Subject: "Uno"}, {Name: "0002-Three.patch", Subject: "Three"}}
	for name, tt := range map[string]struct {
		text  string
		pairs []Pair
		err   string
	}{
		"all fates": {
			text: " 1:  a3f1c22 !  1:  99b0d1e Uno\n    @@ Metadata\n    -    One\n    +    Uno\n 2:  0123abc <  -:  ------- Two\n -:  ------- >  2:  fedc321 Three\n",
			pairs: []Pair{
				{Fate: Changed, Old: "a/0001-One.patch", New: "0001-Uno.patch", Subject: "Uno", Diff: "@@ Metadata\n-    One\n+    Uno\n"},
				{Fate: Gone, Old: "a/0002-Two.patch", Subject: "Two"},
				{Fate: New, New: "0002-Three.patch", Subject: "Three"},
			},
		},
		"same":           {text: "1:  a3f1c22 = 2:  99b0d1e Three\n", pairs: []Pair{{Fate: Same, Old: "a/0001-One.patch", New: "0002-Three.patch", Subject: "Three"}}},
		"no pair first":  {text: "fatal: no\n", err: `expected a pair of patches, found "fatal: no\n"`},
		"another number": {text: "3:  a3f1c22 = 2:  99b0d1e Three\n", err: "expected patches 1 to 2, found 3"},
	} {
		t.Run(name, func(t *testing.T) {
			pairs, err := parseRangeDiff(tt.text, old, new)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("expected an error with %q, found %v", tt.err, err)
				}
				return
			}
			if diff := cmp.Diff(tt.pairs, pairs); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// FuzzParseRangeDiff: no line is lost, and a patch is in a version or there is an error.
func FuzzParseRangeDiff(f *testing.F) {
	f.Add(" 1:  a3f1c22 !  1:  99b0d1e Uno\n    @@ Metadata\n    -    One\n 2:  0123abc <  -:  ------- Two\n -:  ------- >  2:  fedc321 Three\n")
	f.Add("3:  a3f1c22 = 2:  99b0d1e Three\n")
	patches := []*series.Patch{{Name: "1.patch", Subject: "One"}, {Name: "2.patch", Subject: "Two"}}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.TrimSuffix(text, "\n") + "\n"
		pairs, err := parseRangeDiff(text, patches, patches)
		if err != nil {
			return
		}
		var lines int
		for _, p := range pairs {
			lines += 1 + len(slices.Collect(strings.Lines(p.Diff)))
			if p.Old == "" && p.New == "" || p.Subject == "" || Summary([]Pair{p}) != "1 patch: 1 "+string(p.Fate) {
				t.Errorf("a pair of nothing: %+v", p)
			}
		}
		if want := len(slices.Collect(strings.Lines(text))); lines != want {
			t.Errorf("expected %d lines, found %d in %+v", want, lines, pairs)
		}
	})
}
