// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/cache"
	"vcpulab/tools/pin"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

// The small kernel and the two patches with a cover letter that the scripts of
// the command work on.
const lab = "../cmd/vcpulab/testdata/lab/"

const (
	labCover = "0000-cover-letter.patch"
	labFirst = "0001-KVM-Do-what-can-fail-before-publishing-a-vCPU.patch"
	labLast  = "0002-KVM-Try-the-index-first-when-looking-up-a-vCPU-by-ID.patch"
)

// small returns the lab's series with old replaced by new in one mail; old ""
// leaves it as it is.
func small(t *testing.T, mail, old, new string) *Submission {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(lab+"patches")); err != nil {
		t.Fatal(err)
	}
	if old != "" {
		name := filepath.Join(dir, mail)
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), old) {
			t.Fatalf("%s has no %q", mail, old)
		}
		if err := os.WriteFile(name, []byte(strings.Replace(string(data), old, new, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return smallIn(t, dir)
}

func smallIn(t *testing.T, dir string) *Submission {
	t.Helper()
	s, err := series.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	subject := &Submission{Series: s, Base: tree.Tree{Dir: lab + "linux", ID: "lab"}, Author: series.Placeholder(), Cache: c}
	t.Cleanup(subject.forget)
	return subject
}

// TestMails makes each check that looks at the mails fail, and no other one
// that looks at the same.
func TestMails(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	for name, c := range map[string]struct {
		mail, old, new string
		check          look
		want           []string
	}{
		"mails, good":              {"", "", "", mails, nil},
		"mails, not signed":        {labFirst, "Signed-off-by: vcpulab <series@vcpulab.invalid>\n", "", mails, []string{labFirst, "Signed-off-by: there is none"}},
		"mails, noise":             {labLast, "\treturn kvm->vcpus[i];\n", "\treturn kvm->vcpus[i];\n-- \n2.39.5\nSent from my phone\n", mails, []string{labLast, "tail: after the patch"}},
		"mails, not in the letter": {labCover, "KVM: Try the index first when looking up a vCPU by ID\n", "\n", mails, []string{labCover, "does not name patch 2"}},
		"applies, good":            {"", "", "", applies, nil},
		"applies, other lines":     {labFirst, " \t\treturn -EINVAL;\n", " \t\treturn -EBUSY;\n", applies, []string{labFirst, "virt/kvm/kvm_main.c:12", "hunk 1", "expected:"}},
		"applies, index line":      {labFirst, "8cb0af8..e2f0226", "8cb0af8..e2f0227", applies, []string{labFirst, "index line", "e2f0227"}},
		"git-am, good":             {"", "", "", gitAm, nil},
		"git-am, author":           {labFirst, "A vCPU that turns", "From: A <a@example.org>\n\nA vCPU that turns", gitAm, nil},
		"git-am, does not take it": {labFirst, " \t\treturn -EINVAL;\n", " \t\treturn -EBUSY;\n", gitAm, []string{labFirst, "git am does not take it", "patch does not apply"}},
		"diffstat, good":           {"", "", "", diffstat, nil},
		"diffstat, notes":          {labFirst, "---\n virt", "---\ncheckpatch: LONG_LINE: it says so\n\n virt", diffstat, nil},
		"diffstat, count":          {labFirst, "kvm_main.c | 7 ++-----", "kvm_main.c | 8 +++-----", diffstat, []string{labFirst, "expected:  virt/kvm/kvm_main.c | 7 ++-----", "found:     virt/kvm/kvm_main.c | 8 +++-----"}},
		"diffstat, totals":         {labLast, "3 insertions(+)", "2 insertions(+)", diffstat, []string{labLast, "expected:  1 file changed, 3 insertions(+)"}},
		"diffstat, none":           {labLast, " include/linux/kvm_host.h | 3 +++\n 1 file changed, 3 insertions(+)\n", "", diffstat, []string{labLast, "is not that of the diff"}},
		"cover, good":              {"", "", "", cover, nil},
		"cover, stale diffstat":    {labCover, "kvm_host.h | 3 +++", "kvm_host.h | 4 ++++", cover, []string{labCover + ": line 12", "1 line differ", "expected:  include/linux/kvm_host.h | 3 +++"}},
		"cover, stale totals":      {labCover, "5 insertions(+)", "6 insertions(+)", cover, []string{labCover + ": line 14", "expected:  2 files changed, 5 insertions(+), 5 deletions(-)"}},
		"cover, order of shortlog": {labCover, "  KVM: Do what can fail before publishing a vCPU\n  KVM: Try the index first when looking up a vCPU by ID\n", "  KVM: Try the index first when looking up a vCPU by ID\n  KVM: Do what can fail before publishing a vCPU\n", cover, []string{labCover + ": line 9", "2 lines differ"}},
		"cover, number of patches": {labCover, "vcpulab (2):", "vcpulab (3):", cover, []string{labCover + ": line 8", "expected: vcpulab (2):"}},
		"cover, no shortlog":       {labCover, "vcpulab (2):", "It has:", cover, []string{"there is no shortlog"}},
		"message, good":            {"", "", "", message, nil},
		"message, this patch":      {labLast, "Most VMs", "With this patch most VMs", message, []string{labLast + ": line 6", `says "this patch"`}},
		"message, number":          {labLast, "Most VMs", "As in patch 1, most VMs", message, []string{`says "patch 1"`}},
		"message, the next":        {labLast, "Most VMs", "The next patch uses it. Most VMs", message, []string{`says "next patch"`}},
		"message, broken":          {labLast, "Most VMs", "This does not build yet. Most VMs", message, []string{`says "does not build yet"`, "bisecting ends there"}},
		"message, pronoun":         {labLast, "Most VMs", "We know that most VMs", message, []string{`says "We"`}},
		"message, unfinished":      {labLast, "KVM: Try", "fixup! KVM: Try", message, []string{labLast, "it is not done"}},
		"message, placeholder":     {labLast, "Most VMs", "There is room for every XX. Most VMs", message, []string{labLast + ": line 6", `says "XX"`, "it is not done"}},
		"message, quoted":          {labLast, "Most VMs", "It said:\n\n  We are in this patch\n\nMost VMs", message, nil},
		"message, invented review": {labLast, "Signed-off-by", "Reviewed-by: A <a@example.org>\nSigned-off-by", message, []string{labLast + ": line 8", "only others can give", "Reviewed-by: A"}},
		"message, invented link":   {labLast, "Signed-off-by", "Link: https://example.org/1\nSigned-off-by", message, []string{"only others can give"}},
		"message, unknown trailer": {labLast, "Signed-off-by", "Blessed-by: A <a@example.org>\nSigned-off-by", message, []string{"does not know this trailer"}},
		"message, order":           {labLast, "Signed-off-by: vcpulab <series@vcpulab.invalid>\n", "Signed-off-by: vcpulab <series@vcpulab.invalid>\nFixes: 123456789012 (\"a\")\n", message, []string{"in the wrong place", "fixes, then cc"}},
		"message, wide letter":     {labCover, "Two small steps.", strings.Repeat("Two small steps. ", 5), message, []string{labCover + ": line 6", "85 columns, more than 75"}},
		"message, wide shortlog":   {labCover, " 2 files changed", " " + strings.Repeat("- ", 50) + "\n 2 files changed", message, nil},
		"generated, no rules":      {"", "", "", generated, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := small(t, c.mail, c.old, c.new)
			if name == "git-am, author" { // whom the mail says is whom git takes
				if got := s.Series.Patches[0].Author.Name; got != "A" {
					t.Fatalf("expected A, found %s", got)
				}
			}
			want(t, findings(t, c.check, s), c.want...)
		})
	}
}

// TestGitAmOfSome gives git am no patch that is in the base already.
func TestGitAmOfSome(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	for _, already := range []int{1, 2} {
		s := small(t, "", "", "")
		files, _, err := s.Series.Overlay(s.Base, series.Options{Through: already})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(s.Base.Dir)); err != nil {
			t.Fatal(err)
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s.Base, s.Relocate = tree.Tree{Dir: dir, ID: "some"}, true
		want(t, findings(t, gitAm, s))
		if got := len(s.repo.commits); got != 2-already {
			t.Errorf("%d patches are there already: git am has made %d commits", already, got)
		}
	}
}

// TestGitAmAgainst looks whether the check sees that git makes something else
// than was tested: here what was tested is falsified.
func TestGitAmAgainst(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	for name, c := range map[string]struct {
		falsify func(r *series.Report, p *series.Patch)
		want    []string
	}{
		"another blob": {func(r *series.Report, _ *series.Patch) { r.Patches[0].Files[0].After = strings.Repeat("1", 40) }, []string{labFirst, "virt/kvm/kvm_main.c", "makes another file", "expected: 100644 1111", "found:    100644 e2f0226"}},
		"another mode": {func(r *series.Report, _ *series.Patch) { r.Patches[0].Files[0].Mode = "100755" }, []string{"makes another file"}},
		"a file more":  {func(r *series.Report, _ *series.Patch) { r.Patches[0].Files = nil }, []string{"expected: as before"}},
		"a file less": {func(r *series.Report, _ *series.Patch) {
			r.Patches[0].Files = append(r.Patches[0].Files, series.FileReport{Path: "a", After: "1"})
		}, []string{labFirst + ": a:", "makes another file", "found:    as before"}},
		"another subject": {func(_ *series.Report, p *series.Patch) { p.Subject = "KVM: Other" }, []string{"another subject", "expected: KVM: Other"}},
		"another author":  {func(_ *series.Report, p *series.Patch) { p.Author.Name = "B" }, []string{"another author", "found:    vcpulab <"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := small(t, "", "", "")
			if a := s.apply(); a.err != nil {
				t.Fatal(a.err)
			}
			c.falsify(s.after.report, s.Series.Patches[0])
			want(t, findings(t, gitAm, s), c.want...)
		})
	}
}

func TestPinned(t *testing.T) {
	s := small(t, "", "", "")
	var err error
	for name, c := range map[string]struct {
		blobs string
		want  []string
	}{
		"good":    {"\"virt/kvm/kvm_main.c\" = \"8cb0af8be3e72d0f2a3d7a0c5e8b1a1a3e3f1f10\"\n\"include/linux/kvm_host.h\" = \"b929a3f8be3e72d0f2a3d7a0c5e8b1a1a3e3f1f1\"\n", nil},
		"unknown": {"\"virt/kvm/kvm_main.c\" = \"8cb0af8be3e72d0f2a3d7a0c5e8b1a1a3e3f1f10\"\n", []string{labLast, "include/linux/kvm_host.h", "no blob id", "vcpulab pin"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.toml")
			text := "version = \"7.3.4\"\n\n[[source]]\nkind = \"upstream\"\nurl = \"https://example.org/linux-7.3.4.tar.xz\"\nsums = \"https://example.org/sums\"\nsize = 1000\n\n[blobs.all]\n" + c.blobs
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if s.Pin, err = pin.Load(file); err != nil {
				t.Fatal(err)
			}
			want(t, findings(t, pinned, s), c.want...)
		})
	}
}

func TestGenerated(t *testing.T) {
	if _, err := exec.LookPath("spatch"); err != nil {
		t.Skip("no spatch: install it with vcpulab install generate")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(lab+"patches")); err != nil {
		t.Fatal(err)
	}
	rule := "// Generates: KVM: Try the index first when looking up a vCPU by ID\n// Paths: virt/kvm include\n// Places: ->online_vcpus\\+\\+;\n\n@@\nexpression kvm;\n@@\n- kvm->online_vcpus++;\n+ kvm->online_vcpus += 1;\n"
	if err := os.WriteFile(filepath.Join(dir, "rule.cocci"), []byte(rule), 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, findings(t, generated, smallIn(t, dir)), labLast, "it is not what rule.cocci generates", "expected:  virt/kvm/kvm_main.c | 2 +-", "vcpulab generate --write")
}

// TestDiffstatOfOthers takes diffstats as several programs write them.
func TestDiffstatOfOthers(t *testing.T) {
	const diff = "diff --git a/dir/f b/dir/f\nindex 0123456..1234567 100644\n--- a/dir/f\n+++ b/dir/f\n@@ -1,2 +1,3 @@\n a\n-b\n+c\n+d\n" +
		"diff --git a/g b/g\nindex 0123456..1234567 100644\n--- a/g\n+++ b/g\n@@ -1,2 +1,1 @@\n a\n-b\n"
	for name, c := range map[string]struct {
		stat string
		want []string
	}{
		"narrow":         {" dir/f | 3 +\n g | 1 -\n 2 files changed, 2 insertions(+), 2 deletions(-)\n", nil},
		"wide, shorter":  {" .../f                       |    3 ++-\n g                            |    1 -\n 2 files changed, 2 insertions(+), 2 deletions(-)\n", nil},
		"none":           {"", nil},
		"notes alone":    {"v2: a | 3\nless of it\n", nil},
		"after notes":    {"Notes:\n a | 7\n\n dir/f | 3 ++-\n g     | 1 -\n 2 files changed, 2 insertions(+), 2 deletions(-)\n create mode 100644 h\n", nil},
		"another number": {" dir/f | 4 ++--\n g | 1 -\n 2 files changed, 2 insertions(+), 2 deletions(-)\n", []string{"1.patch", "not that of the diff", " dir/f | 3", " dir/f | 4 ++--"}},
		"a file less":    {" dir/f | 3 ++-\n 1 file changed, 2 insertions(+), 1 deletion(-)\n", []string{"1.patch", " g | 1", " 1 file changed"}},
		"other totals":   {" dir/f | 3 ++-\n g | 1 -\n 2 files changed, 2 insertions(+)\n", []string{"1.patch", "2 deletions(-)", " 2 files changed, 2 insertions(+)"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "1.patch")
			mail := "From: A <a@vcpulab.invalid>\nDate: Mon, 2 Mar 2026 10:00:00 +0100\nSubject: [PATCH] KVM: One\n\nWhy.\n---\n" + c.stat + "\n" + diff
			if err := os.WriteFile(file, []byte(mail), 0o644); err != nil {
				t.Fatal(err)
			}
			s := sources(t, nil)
			var err error
			if s.Series, err = series.Load(file); err != nil {
				t.Fatal(err)
			}
			want(t, findings(t, diffstat, s), c.want...)
		})
	}
}
