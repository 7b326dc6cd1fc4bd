// SPDX-License-Identifier: GPL-2.0-only

package junit

import (
	"bytes"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected files")

// suites have a case of each sort, and text that XML cannot hold as it is.
func suites() []Suite {
	return []Suite{
		{Name: "verify", Cases: []Case{
			{Name: "format", Class: "0001-a.patch", Took: 1.5, Output: "looked at 39 mails\n"},
			{Name: "checkpatch", Class: "0001-a.patch", Failure: &Message{Line: `a <b> & "c"`, Sort: "LONG_LINE", Text: "]]> \x01\xff\n\tend\n"}},
			{Name: "generated", Error: &Message{Line: "no spatch", Sort: "lacks"}, Took: 0.25},
			{Name: "rules", Skipped: &Message{Line: "not asked for"}},
		}},
		{Name: "nothing"},
	}
}

func TestWrite(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, suites()...); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/suites.xml"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var back document
	if err := xml.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatalf("what was written cannot be read: %v", err)
	}
	if s := back.Suites[0]; s.Tests != 4 || s.Failures != 1 || s.Errors != 1 || s.Skipped != 1 || s.Took != 1.75 {
		t.Errorf("expected 4 cases, one of each sort, in 1.750 s, found %+v", s)
	}
	if c := back.Suites[0].Cases[2]; c.Class != "verify" {
		t.Errorf("expected the suite's name for a class, found %q", c.Class)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.xml")
	for range 2 { // the second replaces the first
		if err := WriteFile(name, suites()...); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("expected one file, found %v, %v", entries, err)
	}
	if err := WriteFile(filepath.Join(dir, "no", "a.xml")); err == nil {
		t.Error("expected an error without a directory, found none")
	}
}
