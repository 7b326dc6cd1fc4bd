// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMoves(t *testing.T) {
	lines := numbered("line", 30)
	first := strings.Replace(lines, "line 10\n", "LINE 10\n", 1)
	second := strings.Replace(first, "line 11\n", "LINE 11\n", 1)
	other := numbered("other", 3)

	dir := t.TempDir()
	for name, states := range map[string][]files{
		"a": {{"f.c": lines}, {"f.c": first}},
		"b": {{"f.c": first}, {"f.c": second}},
		"c": {{"g.c": other}, {"g.c": other + "more\n"}},
	} {
		if err := os.Rename(mailSeries(t, states...), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	list := set("a") + set("b", "needs = ['a']") + set("c")
	if err := os.WriteFile(filepath.Join(dir, SetsFile), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	sets, err := LoadSets(dir)
	if err != nil {
		t.Fatal(err)
	}

	for name, test := range map[string]struct {
		base files
		want []string
	}{
		"the tree that they are for": {files{"f.c": lines, "g.c": other}, []string{"applies", "applies", "applies"}},
		"lines further down":         {files{"f.c": "new\n" + lines, "g.c": other}, []string{"applies, 1 hunk moved", "applies, 1 hunk moved", "applies"}},
		"a line that differs":        {files{"f.c": strings.Replace(lines, "line 9\n", "ours\n", 1), "g.c": other}, []string{"stops at 1 of 1: f.c", "needs a", "applies"}},
		"the first is there already": {files{"f.c": first, "g.c": other}, []string{"applies, 1 there already", "applies", "applies"}},
		"a file that is missing":     {files{"f.c": lines}, []string{"applies", "applies", "stops at 1 of 1: g.c"}},
	} {
		t.Run(name, func(t *testing.T) {
			moves, err := sets.Moves(userTree(t, test.base))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range moves {
				got = append(got, m.String())
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
