// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOpenDirectory opens directories as people have them: with a part of a series, or
// with patches of several.
func TestOpenDirectory(t *testing.T) {
	patch := func(subject string) string { return mailText(subject, smallDiff) }
	tests := map[string]struct {
		files map[string]string
		want  []string // subjects, by their numbers
		said  string   // what is said, or the error
	}{
		"a whole series": {
			map[string]string{"0001-a.patch": patch("[PATCH 1/2] One"), "0002-b.patch": patch("[PATCH 2/2] Two")},
			[]string{"One", "Two"}, "",
		},
		"no numbers in subjects": {
			map[string]string{"0003-a.patch": patch("[PATCH] Three"), "0007-b.patch": patch("[PATCH] Seven")},
			[]string{"Three", "Seven"}, "",
		},
		"the end of a series": {
			map[string]string{"0009-a.patch": patch("[PATCH 09/10] Nine"), "0010-b.patch": patch("[PATCH 10/10] Ten")},
			[]string{"Nine", "Ten"}, ": 2 patches in the order of their files, 9 to 10: by their subjects they are no whole series",
		},
		"the start of a series": {
			map[string]string{"0001-a.patch": patch("[PATCH 1/3] One"), "0002-b.patch": patch("[PATCH 2/3] Two"), "0000-c.patch": mailText("[PATCH 0/3] Three", "")},
			[]string{"One", "Two"}, "2 patches in the order of their files, 1 to 2",
		},
		"of several series": {
			map[string]string{"10-b.patch": patch("[PATCH v2 1/7] Two"), "9-a.patch": patch("[PATCH 3/4] One"), "11-c.patch": patch("[PATCH] Three")},
			[]string{"One", "Two", "Three"}, "3 patches in the order of their files, 9 to 11",
		},
		"one is missing between": {
			map[string]string{"0002-a.patch": patch("[PATCH 2/5] Two"), "0004-b.patch": patch("[PATCH 4/5] Four")},
			nil, "0002-a.patch:1: is number 2, but number 1 is missing",
		},
		"files without numbers": {
			map[string]string{"a.patch": patch("[PATCH 2/5] Two"), "b.patch": patch("[PATCH 3/5] Three")},
			nil, "a.patch:1: is number 2, but number 1 is missing",
		},
		"the same number twice": {
			map[string]string{"2-a.patch": patch("[PATCH 2/5] Two"), "2-b.patch": patch("[PATCH 3/5] Three")},
			nil, "2-a.patch:1: is number 2, but number 1 is missing",
		},
		"a mail without a patch": {
			map[string]string{"2-a.patch": patch("[PATCH 2/5] Two"), "3-b.patch": mailText("[PATCH 3/5] Three", ""), "4-c.patch": patch("[PATCH 4/5] Four")},
			[]string{"Two", "Four"}, "2 patches in the order of their files, 2 to 4, without 3-b.patch, which changes nothing: by their subjects",
		},
		"no patch at all": {
			map[string]string{"1-a.patch": mailText("[PATCH 1/2] One", ""), "2-b.patch": mailText("[PATCH 2/2] Two", "")},
			nil, "carries no patch",
		},
		"a cover letter alone": {
			map[string]string{"0000-c.patch": mailText("[PATCH 0/3] Three", "")},
			nil, "there is no patch",
		},
		"directories": {
			map[string]string{"one/a.patch": patch("[PATCH] One"), "two/b.patch": patch("[PATCH] Two"), "text/README": "x"},
			nil, "holds no *.patch, *.mbox or *.eml file; name one of the directories in it that do: one, two",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range test.files {
				file = filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}

			sets, said, err := openDirectory(dir)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			if s, err := sets.Load(""); err != nil {
				said = err.Error()
			} else {
				for i, p := range s.Patches {
					if got = append(got, p.Subject); p.Number != i+1 {
						t.Errorf("%q is number %d", p.Subject, p.Number)
					}
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("taken (-want +got):\n%s", diff)
			}
			if !strings.Contains(said, test.said) || test.said == "" && said != "" {
				t.Errorf("said: %s\nwant: %s", said, test.said)
			}
		})
	}
}
