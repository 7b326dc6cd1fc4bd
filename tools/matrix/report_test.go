// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/kbuild"
)

func TestWrite(t *testing.T) {
	columns := []kbuild.ObjectSpec{{Name: "s390x"}, {Name: "loongarch64", WithoutSparse: "it stumbles"}}
	r, err := Run(t.Context(), &fakeCompiler{}, columns, series("a", "a b", "!", "a b"), 1)
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("CC a.o\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.Cells[1].Log = log // others name logs that are not there
	dir := t.TempDir()
	for range 2 { // the second replaces the first
		if err := r.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "logs/s390x/patch-1.log")); err != nil || string(got) != "CC a.o\n" {
		t.Errorf("expected the log, found %q, %v", got, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "matrix.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil || len(back.Cells) != 8 || back.Dir != dir {
		t.Errorf("expected 8 cells in %s, found %d in %s, %v", dir, len(back.Cells), back.Dir, err)
	}
	xml, err := os.ReadFile(filepath.Join(dir, "matrix.xml"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(string(xml), dir, "DIR")
	const golden = "testdata/matrix.xml"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil || !strings.HasSuffix(text.String(), ": not good\nlogs: "+dir+"\n") {
		t.Errorf("expected verdict and logs at the end, found %v\n%s", err, text.String())
	}
	if err := r.Write(log); err == nil {
		t.Error("expected an error where there is a file, found none")
	}
}
