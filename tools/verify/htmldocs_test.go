// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
)

// sphinx skips a test that needs it.
func sphinx(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("sphinx-build"); err != nil {
		t.Skip("NOT TESTED: there is no sphinx-build; install it with vcpulab install verify")
	}
}

// kept fails unless so many results of Sphinx are in the cache.
func kept(t *testing.T, s *Submission, want int) {
	t.Helper()
	keys, err := s.Cache.Keys(htmlDocsKind)
	if err != nil || len(keys) != want {
		t.Errorf("expected %d results to be kept, found %v, %v", want, keys, err)
	}
}

// TestOwnHTMLDocs makes a mistake in the project's own series: it is the only thing
// that Sphinx says of it. Sphinx is slow, and so is not asked of the series without a
// mistake, of which it would have said the same.
func TestOwnHTMLDocs(t *testing.T) {
	sphinx(t)
	const document = "Documentation/virt/kvm/locking.rst"
	s := own(t)
	// Its text does not keep to the columns. What comes after it is read as before.
	const first = "The acquisition orders for mutexes are as follows:\n"
	other := edited(t, s, document, first, "====  ====\nvcpu->mutex\n====  ====\n\n"+first)
	found := findings(t, htmlDocs, other)
	want(t, found, document+":", "Malformed table", "make htmldocs SPHINXDIRS='virt/kvm'")
	if len(found) != 1 {
		t.Errorf("expected nothing to be said of the rest of the series, found %d", len(found)-1)
	}

	// Code alone does not have them read again.
	code := edited(t, other, "virt/kvm/kvm_main.c", "\n", "\n\n")
	want(t, findings(t, htmlDocs, code), document+":")
	kept(t, s, 2) // with the mistake, and without the series
	if _, err := os.Stat(filepath.Join(s.Base.Dir, "Documentation/sphinx/__pycache__")); err == nil {
		t.Error("Python left compiled files in the pinned tree")
	}
}

// TestHTMLDocsOfOldTrees runs Sphinx itself in a tree without a program of its own for
// that, with the configuration that is there.
func TestHTMLDocsOfOldTrees(t *testing.T) {
	sphinx(t)
	s := sources(t, map[string]string{
		"Documentation/virt/kvm/a.rst":     "A\n=\n\n== ==\nbroken table\n== ==\n",
		"Documentation/virt/kvm/index.rst": "B\n=\n\n.. toctree::\n\n   a\n",
	})
	if err := os.MkdirAll(filepath.Join(s.Base.Dir, "Documentation"), 0o755); err != nil {
		t.Fatal(err)
	}
	const conf = "import os\nassert os.environ['srctree'] and os.environ['SPHINX_CONF'].endswith('/virt/kvm/conf.py')\n"
	if err := os.WriteFile(filepath.Join(s.Base.Dir, "Documentation/conf.py"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, findings(t, htmlDocs, s), "Documentation/virt/kvm/a.rst:", "Malformed table", "make htmldocs SPHINXDIRS='virt/kvm'")
}

// TestHTMLDocsAsked has the tree's program warn of documents that say "wrong". The
// tree without the series is asked about only if there is a warning with it.
func TestHTMLDocsAsked(t *testing.T) {
	sphinx(t)
	const document, index = "Documentation/virt/kvm/a.rst", "Documentation/virt/kvm/index.rst"
	s := sources(t, map[string]string{document: "a\n", index: "b\n"})
	const program = "import os, sys\nname = os.getcwd() + '/" + document + "'\n" +
		"if os.path.exists(name) and 'wrong' in open(name).read(): print(name + ':1: WARNING: wrong', file=sys.stderr)\n"
	for name, text := range map[string]string{sphinxWrapper: program, index: "c\n"} {
		name = filepath.Join(s.Base.Dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want(t, findings(t, htmlDocs, s))
	kept(t, s, 1)
	want(t, findings(t, htmlDocs, edited(t, s, document, "a", "wrong")), document+":1", "wrong")
	kept(t, s, 3)
}

// TestHTMLDocsFails has the tree's program say nothing, and end in other ways than
// it should.
func TestHTMLDocsFails(t *testing.T) {
	s := sources(t, map[string]string{"Documentation/virt/kvm/a.rst": "a\n", "Documentation/virt/kvm/index.rst": "b\n"})
	var err error
	if s.Cache, err = cache.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	src, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	dirs := []string{"virt/kvm"}
	if _, err := s.runSphinx(t.Context(), src, dirs); err == nil || !strings.Contains(err.Error(), "htmldocs") {
		t.Errorf("no program: expected an error, found %v", err)
	}
	wrapper := filepath.Join(s.Base.Dir, sphinxWrapper)
	if err := os.MkdirAll(filepath.Dir(wrapper), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{
		"import sys; sys.exit('no theme')\n": false,
		"raise OSError\n":                    false,
		"import os, sys\nassert os.environ['srctree'] == os.getcwd() and open('Documentation/virt/kvm/a.rst').read() == 'a\\n'\n": true,
	} {
		if err := os.WriteFile(wrapper, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := s.runSphinx(t.Context(), src, dirs); (err == nil) != good {
			t.Errorf("%q: expected good to be %t, found %v", text, good, err)
		}
	}
}

func TestSphinxWarnings(t *testing.T) {
	const said = `WARNING: dot(1) not found, for better output quality install graphviz
/t/linux/Documentation/virt/kvm/a.rst:7: WARNING: Malformed table.
Text in column margin in table line 3.

=== ===
/t/linux/Documentation/virt/kvm/b.rst: WARNING: document isn't included in any toctree
/t/linux/Documentation/virt/kvm/a.rst:9: ERROR: Unknown interpreted text role "c:fun".
Using alabaster theme
`
	expected := []Finding{
		{File: "Documentation/virt/kvm/a.rst", Line: 7, Message: "Malformed table."},
		{File: "Documentation/virt/kvm/b.rst", Message: "document isn't included in any toctree"},
		{File: "Documentation/virt/kvm/a.rst", Line: 9, Message: `Unknown interpreted text role "c:fun".`},
	}
	got := sphinxWarnings(said, "/t/linux")
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Lines move, and one more of the same is new.
	moved := got[0]
	moved.Line = 70
	if fresh := newFindings([]Finding{moved, got[1], got[1]}, got); len(fresh) != 1 || fresh[0] != got[1] {
		t.Errorf("expected %v, found %v", got[1], fresh)
	}
}

func TestDocumentDirs(t *testing.T) {
	s := sources(t, map[string]string{
		"Documentation/virt/kvm/devices/a.rst": "",
		"Documentation/virt/kvm/b.rst":         "",
		"Documentation/virt/kvm/data.txt":      "",
		"Documentation/mm/slab/c.rst":          "",
		"Documentation/mm/damon/d.rst":         "",
	})
	s.after.files["Documentation/process/gone.rst"] = nil
	for _, dir := range []string{"virt", "virt/kvm", "virt/kvm/devices", "mm", "mm/damon", "process"} {
		dir = filepath.Join(s.Base.Dir, documentsDir, dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "index.rst"), []byte("old\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	src, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	// mm, for its slab, has mm/damon in it.
	if diff := cmp.Diff([]string{"mm", "virt/kvm"}, documentDirs(src)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLink makes a tree of links to another, and of the files of a series.
func TestLink(t *testing.T) {
	s := sources(t, map[string]string{"a/changed.c": "new\n", "new/b/c.c": "new\n"})
	s.after.files["a/removed.c"] = nil
	for _, name := range []string{"Makefile", "a/changed.c", "a/removed.c", "a/same.c", "a/below/d.c", "other/e.c"} {
		name = filepath.Join(s.Base.Dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("old\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	src, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(t.TempDir(), "linux")
	if err := link(src, dst); err != nil {
		t.Fatal(err)
	}
	for name, expected := range map[string]string{
		"Makefile": "old\n", "a/changed.c": "new\n", "a/same.c": "old\n", "a/below/d.c": "old\n", "other/e.c": "old\n", "new/b/c.c": "new\n",
	} {
		if got, err := os.ReadFile(filepath.Join(dst, name)); string(got) != expected {
			t.Errorf("%s: expected %q, found %q, %v", name, expected, got, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dst, "a/removed.c")); !os.IsNotExist(err) {
		t.Errorf("a file that the series removes: expected none, found %v", err)
	}
	if old, err := os.ReadFile(filepath.Join(s.Base.Dir, "a/changed.c")); string(old) != "old\n" {
		t.Errorf("the base was written to: %q, %v", old, err)
	}
}
