// SPDX-License-Identifier: GPL-2.0-only

package junit

import (
	"encoding/xml"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected files")

// TestKTAP: no name and no reason makes a line that is not there, or changes what
// another one means.
func TestKTAP(t *testing.T) {
	got := Suite{Cases: []Case{
		{Name: "a\nnot ok 7 b # SKIP", Failure: &Message{Line: "x\nok 2 y"}},
		{Name: "c", Skipped: &Message{Line: "z # TODO\nBail out!"}},
	}}.ktap()
	want := "KTAP version 1\n1..2\n# x ok 2 y\nnot ok 1 a not ok 7 b SKIP\nok 2 c # SKIP z TODO Bail out!\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSave has a case of each sort, and text that XML cannot hold as it is.
func TestSave(t *testing.T) {
	suite := Suite{Name: "verify", Cases: []Case{
		{Name: "format", Class: "0001-a.patch", Took: 1.5, Output: "looked at 39 mails\n"},
		{Name: "checkpatch", Class: "0001-a.patch", Failure: &Message{Line: `a <b> & "c"`, Sort: "LONG_LINE", Text: "]]> \x01\xff\n\tend\n"}},
		{Name: "generated", Error: &Message{Line: "no spatch", Sort: "lacks"}, Took: 0.25},
		{Name: "rules", Skipped: &Message{Line: "not asked for"}},
	}}
	dir := t.TempDir()
	for _, v := range []string{"first", "second"} { // the second replaces the first
		if err := Save(dir, "a", v, suite); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
		t.Errorf("expected three files, found %v, %v", entries, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "a.json")); err != nil || string(data) != "\"second\"\n" {
		t.Errorf("expected the second value, found %q, %v", data, err)
	}
	if err := Save(filepath.Join(dir, "no"), "a", nil, suite); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expected an error without a directory, found %v", err)
	}

	data, err := os.ReadFile(filepath.Join(dir, "a.xml"))
	if err != nil {
		t.Fatal(err)
	}
	ktap, err := os.ReadFile(filepath.Join(dir, "a.ktap"))
	wantKTAP := "KTAP version 1\n1..4\nok 1 0001-a.patch: format\n# a <b> & \"c\"\nnot ok 2 0001-a.patch: checkpatch\n" +
		"# no spatch\nnot ok 3 generated\nok 4 rules # SKIP not asked for\n"
	if diff := cmp.Diff(wantKTAP, string(ktap)); diff != "" || err != nil {
		t.Errorf("KTAP: %v (-want +got):\n%s", err, diff)
	}
	const golden = "testdata/suite.xml"
	if *update {
		if err := os.WriteFile(golden, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(data)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var back document
	if err := xml.Unmarshal(data, &back); err != nil {
		t.Fatalf("what was written cannot be read: %v", err)
	}
	if s := back.Suites[0]; s.Tests != 4 || s.Failures != 1 || s.Errors != 1 || s.Skipped != 1 || s.Took != 1.75 {
		t.Errorf("expected 4 cases, one of each sort, in 1.750 s, found %+v", s)
	}
	if c := back.Suites[0].Cases[2]; c.Class != "verify" {
		t.Errorf("expected the suite's name for a class, found %q", c.Class)
	}
}
