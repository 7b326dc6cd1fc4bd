// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
)

var update = flag.Bool("update", false, "update the golden files")

func needSpatch(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("spatch"); err != nil {
		t.Skip("NOT TESTED: there is no spatch; install it with vcpulab install generate")
	}
}

func openCache(t testing.TB) *cache.Cache {
	t.Helper()
	c, err := cache.Open(filepath.Join(t.TempDir(), "cache"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rule(t testing.TB, file string) *Rule {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// vcpuRule is the project's own rule, beside the patch that it generates.
func vcpuRule(t testing.TB) *Rule { return rule(t, "../../patches/walks/kvm_for_each_vcpu.cocci") }

// TestForEachVCPU runs the project's own rule on functions of the kernel, and
// some that it could have. What has no file .want stays as it is.
func TestForEachVCPU(t *testing.T) {
	needSpatch(t)
	r := vcpuRule(t)
	sources, err := filepath.Glob("testdata/vcpu/*.[ch]")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, source := range sources {
		t.Run(filepath.Base(source), func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			dir, tmp := t.TempDir(), t.TempDir()
			write(t, dir, map[string]string{"virt/kvm/a.c": string(src), "../rule.cocci": string(r.Text)})
			w := work{rule: r, files: map[string][]byte{"virt/kvm/a.c": src}}
			if err := w.spatch(t.Context(), nil, filepath.Join(filepath.Dir(dir), "rule.cocci"), dir, tmp); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(dir, "virt/kvm/a.c"))
			if err != nil {
				t.Fatal(err)
			}
			if len(w.result.Said) > 0 {
				t.Errorf("spatch said %q", w.result.Said)
			}
			golden := source + ".want"
			if *update {
				os.Remove(golden)
				if string(got) != string(src) {
					if err := os.WriteFile(golden, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			want, err := os.ReadFile(golden)
			if errors.Is(err, os.ErrNotExist) {
				want, err = src, nil
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// tiny is a kernel of a few lines.
var tiny = map[string]string{
	"virt/kvm/kvm_main.c": "void first(struct kvm *kvm)\n{\n\tuse(kvm->vcpus[0]);\n}\n",
	"arch/x86/kvm/x86.c":  "void second(struct kvm *kvm)\n{\n\tuse(kvm->vcpus[1]);\n\tuse(kvm->vcpus[2]);\n}\n",
	"arch/x86/kvm/none.c": "void third(void)\n{\n}\n",
	"arch/x86/mm/other.c": "void fourth(struct kvm *kvm)\n{\n\tuse(kvm->vcpus[0]);\n}\n",
	"arch/x86/kvm/doc":    "kvm->vcpus[0]",
	".gitattributes":      "*.[ch] diff=cpp\n",
}

// TestRun holds the change to git: its own patch of the same change, and git
// am of the patch with that change.
func TestRun(t *testing.T) {
	needSpatch(t)
	r, c := rule(t, "testdata/rename.cocci"), openCache(t)
	dir := t.TempDir()
	write(t, dir, tiny)
	src := &tree.Overlay{Dir: dir, Over: map[string][]byte{
		"arch/arm64/kvm/arm.c": []byte("void fifth(struct kvm *kvm)\n{\n\tuse(kvm->vcpus[5]);\n}\n"),
		"virt/kvm/kvm_main.c":  []byte("void first(struct kvm *kvm)\n{\n\tuse(kvm->vcpus[10]);\n}\n"),
	}}
	res, err := r.Run(t.Context(), src, RunOptions{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"arch/arm64/kvm/arm.c", "arch/x86/kvm/x86.c", "virt/kvm/kvm_main.c"}, res.Files); diff != "" {
		t.Error(diff)
	}
	if res.Places != 4 || res.Converted() != 4 || len(res.Left) != 0 || res.In != 3 {
		t.Errorf("expected 4 places in 3 files and none left, found %+v", res)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "arch/x86/kvm/x86.c")); err != nil || string(data) != tiny["arch/x86/kvm/x86.c"] {
		t.Errorf("the source was written to: %q, %v", data, err)
	}
	left, err := filepath.Glob(filepath.Join(c.Path(kind, "*"), "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("expected one file in the cache's entry, found %v, %v", left, err)
	}

	golden(t, "testdata/rename.want", res.Change)
	again, err := r.Run(t.Context(), src, RunOptions{Cache: c, Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(res, again); diff != "" {
		t.Errorf("the second run: %s", diff)
	}
	one, err := r.Run(t.Context(), src, RunOptions{Cache: openCache(t), Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(res, one); diff != "" {
		t.Errorf("one file at a time: %s", diff)
	}

	p := &series.Patch{Name: "0001-x.patch", Mail: []byte("From: A <a@example.org>\nDate: Sun, 22 Nov 2026 12:03:00 +0000\nSubject: [PATCH] KVM: x\n\nWhy.\n---\n x | 1 +\n\ndiff\n")}
	mail, err := replaceChange(p, res.Change)
	if err != nil {
		t.Fatal(err)
	}
	repo := t.TempDir()
	write(t, repo, tiny)
	for name, data := range src.Over {
		write(t, repo, map[string]string{name: string(data)})
	}
	git := program.Program{Name: "git", Dir: repo, Env: []string{
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
	}}
	run := func(args ...string) string {
		t.Helper()
		out, _, err := git.Run(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	run("init", "-q")
	run("add", "-A")
	run("commit", "-q", "-m", "base")
	write(t, repo, map[string]string{"../mail": string(mail)})
	run("am", "-q", filepath.Join(filepath.Dir(repo), "mail"))
	if got := run("show", "HEAD:arch/x86/kvm/x86.c"); !strings.Contains(got, "use(kvm_get_vcpu(kvm, 2));") {
		t.Errorf("git am made %s", got)
	}
	want := run("format-patch", "-1", "--stdout", "--no-signature", "--abbrev=12")
	_, want, _ = strings.Cut(want, "\n---\n")
	if diff := cmp.Diff(want, string(res.Change)); diff != "" {
		t.Errorf("git's patch and the change (+): %s", diff)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s and what was made (+):\n%s", name, diff)
	}
}

// TestRunLeft is for what spatch passes over.
func TestRunLeft(t *testing.T) {
	needSpatch(t)
	r := rule(t, "testdata/rename.cocci")
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"virt/kvm/a.c": "void first(struct kvm *kvm)\n{\n\tuse(kvm->vcpus[0]);\n}\n\nvoid second(struct kvm *kvm) {{{\n\tuse(kvm->vcpus[0]) +;\n}\n",
	})
	res, err := r.Run(t.Context(), &tree.Overlay{Dir: dir}, RunOptions{Cache: openCache(t)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Place{{"virt/kvm/a.c", 7, "use(kvm->vcpus[0]) +;"}}, res.Left); diff != "" {
		t.Error(diff)
	}
	if res.Places != 2 || res.Converted() != 1 {
		t.Errorf("expected one of two places, found %+v", res)
	}
}

func TestRunFails(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, tiny)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		text string // after the rule's head
		path string
		code int
		want string
	}{
		"no spatch":    {path: "", code: exit.MachineLacks, want: "vcpulab install generate"},
		"syntax error": {text: "- +", path: os.Getenv("PATH"), code: exit.CheckFailed, want: "parse error"},
		"exception":    {text: "@script:ocaml@ @@ raise Stack_overflow", path: os.Getenv("PATH"), code: exit.CheckFailed, want: "spatch"},
		"cancelled":    {ctx: ended, path: os.Getenv("PATH"), code: exit.Interrupted, want: "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.path != "" {
				needSpatch(t)
			}
			t.Setenv("PATH", c.path)
			if c.ctx == nil {
				c.ctx = t.Context()
			}
			r := rule(t, "testdata/rename.cocci")
			if c.text != "" {
				r.Text = append(r.Text, []byte("\n"+c.text+"\n")...)
			}
			cc := openCache(t)
			_, err := r.Run(c.ctx, &tree.Overlay{Dir: dir}, RunOptions{Cache: cc})
			if err == nil || !strings.Contains(err.Error(), c.want) || exit.Code(err) != c.code {
				t.Errorf("expected exit code %d and %q, found %d and %v", c.code, c.want, exit.Code(err), err)
			}
			if keys, _ := cc.Keys(kind); len(keys) != 0 {
				t.Errorf("expected nothing in the cache, found %v", keys)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	base := "Subject: x\n\nWhy.\n---\n@@ -1,2 +1,2 @@ int f(void)\n-a\n+b\n"
	for name, c := range map[string]struct {
		generated string
		want      *Difference
	}{
		"same":       {base, nil},
		"a line":     {strings.Replace(base, "+b", "+c", 1), &Difference{Line: 7, Committed: "+b", Generated: "+c"}},
		"shorter":    {strings.TrimSuffix(base, "+b\n"), &Difference{Line: 7, Committed: "+b", Generated: end}},
		"longer":     {base + "+c\n", &Difference{Line: 8, Committed: end, Generated: "+c"}},
		"no newline": {strings.TrimSuffix(base, "\n"), &Difference{Line: 7, Committed: "+b", Generated: "+b (without an end of line)"}},
		"heading": {strings.Replace(base, "int f(void)", "f(void)", 1),
			&Difference{Line: 5, Committed: "@@ -1,2 +1,2 @@ int f(void)", Generated: "@@ -1,2 +1,2 @@ f(void)", HeadingsOnly: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, compare([]byte(base), []byte(c.generated))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReplaceChange(t *testing.T) {
	p := &series.Patch{Name: "x", Mail: []byte("Subject: x\n\nWhy.\n---\nold\n---\n")}
	got, err := replaceChange(p, []byte("new\n"))
	if want := "Subject: x\n\nWhy.\n---\nnew\n"; err != nil || string(got) != want {
		t.Errorf("expected %q, found %q, %v", want, got, err)
	}
	if _, err := replaceChange(p, nil); err == nil || !strings.Contains(err.Error(), "changes nothing") {
		t.Errorf("expected an error for no change, found %v", err)
	}
	p.Mail = []byte("Subject: x\n\nWhy.\n")
	if _, err := replaceChange(p, []byte("new\n")); err == nil {
		t.Error("a patch without a line ---: expected an error, found none")
	}
}
