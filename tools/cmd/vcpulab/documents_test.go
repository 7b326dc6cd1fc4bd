// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"vcpulab/tools/report"
	"vcpulab/tools/results"
)

// documents are the pages whose commands are run and whose links are followed.
var documents = []string{"README.md", "patches/README.md", "ebpf/README.md", "ci/README.md", "tools/README.md", workflow}

// workflow is what has a CI run the program for a repository with a series.
const workflow = "ci/series.yml"

// covered says what runs a command of the documents.
type covered struct {
	// run is set for those that TestDocumentCommands runs; it is a regular
	// expression for what they print.
	run string
	// prepare is run before, in the same directory.
	prepare string
	// kernel says that it needs the unpatched kernel, not the tree alone.
	kernel bool
	// ci is, for those that take minutes, a regular expression for the line of
	// .ci/run that runs them, and why how that comes to the same.
	ci, why string
}

type documentCommand struct {
	line string
	covered
}

// copyTouched makes ~/linux of the files that the patches touch.
const copyTouched = `mkdir -p ~/linux && touched=$(sed -n 's,^--- a/,,p' patches/*/*.patch | sort -u) && cd "$TREE" && cp --parents Makefile Kconfig Kbuild $(ls $touched 2>/dev/null) ~/linux`

// copyThread makes ~/v3.mbx of a set.
const copyThread = `cat patches/generic/*.patch > ~/v3.mbx`

// copySeries has a series be beside the clone.
const copySeries = `mkdir -p ../series && cp patches/generic/*.patch ../series`

// copyDesigns has results of bench --designs be there.
const copyDesigns = `mkdir -p out/designs && cp ci/verify/figures-rivals.json out/designs/results.json`

// documentCommands are the commands of all documents.
var documentCommands = []documentCommand{
	{"make bench-ebpf", covered{ci: `^\tbench-ebpf$`, why: "boots three kernels"}},
	{"make test", covered{ci: `^\ttest$`, why: "this test is part of it"}},
	{"make apply-patches", covered{run: `(?m)^/.*/patched/[0-9a-f]+/linux$`}},
	{"make apply-patches KERNEL_SRC=~/linux", covered{
		prepare: copyTouched,
		run:     `(?m)^/.*/patched/[0-9a-f]+/linux$`,
	}},
	{"bin/vcpulab apply --series ~/v3.mbx", covered{prepare: copyThread, run: `(?m)^ *4/4 +KVM: (?s:.*)^/.*/patched/[0-9a-f]+/linux$`}},
	{"bin/vcpulab verify --series ~/v3.mbx --only applies", covered{prepare: copyThread, run: `(?m)^4 patches, 1 check, 0 findings: good$`}},
	{"make bin/vcpulab", covered{ci: `^\ttest$`, why: "each goal of the Makefile begins with it"}},
	{"bin/vcpulab install verify build boot selftests", covered{ci: `^\ttest$`, why: "make test begins with these groups and more"}},
	{"bin/vcpulab verify --series ../series", covered{prepare: copySeries, run: `(?m)^4 patches, [0-9]+ checks, 0 findings: good$`}},
	{"bin/vcpulab build --objects --each --series ../series", covered{ci: `^\ttest$`, why: "the script build_objects.txtar compiles each patch of the series of its own"}},
	{"bin/vcpulab selftest --quick --series ../series", covered{ci: `^\t"test-kernel-quick ARCH=x86_64"$`, why: "it is the same with the project's own series"}},
	{"bin/vcpulab selftest --series ~/v3.mbx --only 'x86/*'", covered{ci: `^\t"test-kernel-quick ARCH=x86_64"$`, why: "it is the same with the project's own series"}},
	{"bin/vcpulab reply --series ~/v3.mbx", covered{ci: `^\ttest$`, why: "the script reply.txtar does it, with results of tests that it does not have to run"}},
	{"go install ./tools/cmd/vcpulab", covered{ci: `^\ttest$`, why: "the script root.txtar does it"}},
	{"bin/vcpulab apply --set generic --base ~/linux", covered{prepare: copyTouched, run: `(?m)^ *8/8 +generic/4 +(?s:.*)^/.*/patched/[0-9a-f]+/linux$`}},
	{"bin/vcpulab versions HEAD", covered{
		prepare: `git init -q && git add patches && git -c user.name=A -c user.email=a@example.org commit -q -m now`,
		run:     `(?m)^[1-9][0-9]* patches: [1-9][0-9]* same$`,
	}},
	{"bin/vcpulab versions --no-diff ~/v2.mbx ~/v3.mbx", covered{prepare: copyThread + ` && cp ~/v3.mbx ~/v2.mbx`, run: `(?m)^4 patches: 4 same$`}},
	{"bin/vcpulab checkout ~/work", covered{run: `(?m)^generic +4 commits$`}},
	{"bin/vcpulab checkin ~/work", covered{prepare: `test -d ~/work || bin/vcpulab checkout ~/work`, run: `(?m)^generic +4 patches, 0 changed, 0 gone$`}},
	{"bin/vcpulab bisect --set generic --run 'test ! -e $VCPULAB_TREE/tools/testing/selftests/kvm/vcpu_create_race_test.c'", covered{run: `(?m)^patch 8 makes it so: generic/0004-`}},
	{"bin/vcpulab onto ~/linux", covered{prepare: copyTouched, run: `(?m)^walks +applies$`}},
	{"bin/vcpulab onto --set generic --checkout ~/onto ~/linux", covered{prepare: copyTouched, run: `8 of 8 commits are on Linux 7\.3\.4, on the branch onto-7\.3\.4`}},
	{"bin/vcpulab onto --compile ~/linux", covered{ci: `^\ttest$`, why: "the script onto.txtar does it with a kernel of one file"}},
	{"make build", covered{ci: `^\t"test-kernel-quick ARCH=x86_64"$`, why: "make test-kernel-quick begins with the same builds"}},
	{"make test-kernel", covered{ci: `^\t"test-kernel-quick ARCH=x86_64"$`, why: "it takes an hour; CI runs the tests that use the lookups"}},
	{"make verify", covered{ci: `^\tverify$`, why: "it takes a minute, and make test begins with the same"}},
	{"make build-matrix", covered{ci: `^\tbuild-last$`, why: "that is the same for the last patch alone"}},
	{"make mutants", covered{ci: `^\tmutants-fast$`, why: "it compiles and boots a kernel for most of them; CI does so for the fast ones"}},
	{"make regenerate-patches", covered{run: `(?m)^generated patches: [1-9][0-9]*, not as generated: 0$`}},
	{"make doctor", covered{run: `(?m)^build +fetch and build kernels: yes$`}},
	{"bin/vcpulab apply --through creation/10", covered{run: `(?m) creation/10 +KVM: .*\n(?s:.*)^/.*/patched/[0-9a-f]+/linux$`}},
	{"bin/vcpulab apply --set walks", covered{run: `(?m)KVM: Walk vCPUs along a list .*\n(?s:.*)^/.*/patched/[0-9a-f]+/linux$`}},
	{"bin/vcpulab verify --set walks", covered{run: `(?m)^[1-9][0-9]* patches, 13 checks, 0 findings: good$`}},
	{`bin/vcpulab prepare --set walks --name "Your Name" --email you@example.org --out out/walks`, covered{run: `(?m)^  git send-email `}},
	{"bin/vcpulab generate", covered{run: `(?m)^generated patches: [1-9][0-9]*, not as generated: 0$`}},
	{"KERNEL_SRC=~/linux-7.2 bin/vcpulab generate --output 7.2.diff", covered{
		prepare: `mkdir ~/linux-7.2 && cd "$TREE" && cp -r --parents Makefile Kconfig Kbuild virt/kvm arch/x86/kvm include/linux/kvm_host.h ~/linux-7.2`,
		run:     `changes [1-9][0-9]+ of [1-9][0-9]+ places, in [1-9][0-9]* files`,
	}},
	{"bin/vcpulab soak --rounds 3 --plan", covered{run: `(?m)^seed [0-9]+, (debug|kcsan), [234] processors: `}},
	{"bin/vcpulab boot base", covered{run: `(?m)^base x86_64: Linux 7\.3\.4 with `, kernel: true}},
	{"bin/vcpulab nested -- uname -r", covered{ci: `^\ttest$`, why: "the script nested.txtar does it"}},
	{"bin/vcpulab shell patched", covered{ci: `^\ttest$`, why: "TestShellTerminal does it on the unpatched kernel"}},
	{"bin/vcpulab shell base -- dmesg", covered{run: `(?m)Linux version 7\.3\.4 `, kernel: true}},
	{"bin/vcpulab bench --rounds 3 --out /tmp/bench", covered{ci: `^\tbench-ebpf$`, why: "make bench-ebpf is the same with one round"}},
	{"bin/vcpulab bench --quick --variant fixed-array", covered{ci: `^\tbench-ebpf$`, why: "make bench-ebpf is the same with another kernel"}},
	{`sudo env "PATH=$PATH" bin/vcpulab bench --running`, covered{ci: `^\ttest$`, why: "TestRunningInGuest does it on the kernel of a guest, and no test may on the machine's own"}},
	{"bin/vcpulab report --format bench out/results.json", covered{run: `(?m)^BenchmarkGet/vcpus=1/ids=dense 1 [0-9.]+ insns/op$`}},
	{"bin/vcpulab report --quoted ci/verify/figures.json out/results.json", covered{ci: `^\tcompare-figures$`, why: "that reads what it wrote; TestScript/report runs it on results of its own, because it refuses those of other kernels"}},
	{"bin/vcpulab report --into README.md out/results.json", covered{run: `^$`}},
	{"bin/vcpulab report --svg patches/lookups.svg out/results.json", covered{run: `^$`}},
	{"bin/vcpulab bench func kvm_arch_vcpu_create --workload kvm_create_max_vcpus", covered{ci: `^\ttest$`, why: "TestFunctionInGuest measures functions of the unpatched kernel"}},
	{"bin/vcpulab bench --designs", covered{ci: `^\tbench-ebpf$`, why: "make bench-ebpf measures two kernels in the same way"}},
	{"bin/vcpulab report --quoted ci/verify/figures-rivals.json out/designs/results.json", covered{prepare: copyDesigns, run: `^$`}},
	{"bin/vcpulab report --into patches/README.md out/designs/results.json", covered{prepare: copyDesigns, run: `^$`}},
	{"bin/vcpulab report --into README.md out/designs/results.json", covered{prepare: copyDesigns, run: `^$`}},
	{"bin/vcpulab report --svg patches/designs.svg out/designs/results.json", covered{prepare: copyDesigns, run: `^$`}},
	{"bin/vcpulab bench compare before.json out/results.json", covered{run: `(?m)^[0-9]+ figures: [0-9]+ same\.$`}},
	{"go tool benchstat -col kernel out/results.bench", covered{
		prepare: `bin/vcpulab report --format bench out/results.json > out/results.bench`,
		run:     `Get/vcpus=1024/ids=dense`,
	}},
}

// TestDocuments holds the documents to the program: commands that exist, each
// run by a test, verbs and make goals that exist, links to files that are there.
func TestDocuments(t *testing.T) {
	found := make(map[string]bool)
	for _, name := range documents {
		t.Run(name, func(t *testing.T) {
			text := readRoot(t, name)
			lines := commandLines(text)
			if name == workflow {
				lines = stepLines(text)
			}
			for _, line := range lines {
				found[line] = true
				if !slices.ContainsFunc(documentCommands, func(c documentCommand) bool { return c.line == line }) {
					t.Errorf("%q: nothing runs it: add it to documentCommands", line)
				}
			}
			checkNames(t, text)
			checkLinks(t, name, text)
		})
	}

	ci := readRoot(t, ".ci/run")
	for _, c := range documentCommands {
		switch {
		case !found[c.line]:
			t.Errorf("%q is in no document any more: take it out of documentCommands", c.line)
		case c.ci != "" && !regexp.MustCompile("(?m)"+c.ci).MatchString(ci):
			t.Errorf("%q should be run by .ci/run (%s): expected a line %s there, found none", c.line, c.why, c.ci)
		case c.ci == "" && c.run == "":
			t.Errorf("%q is run by nothing", c.line)
		}
	}
}

// checkNames finds verbs and make goals in a text that do not exist.
func checkNames(t *testing.T, text string) {
	t.Helper()
	verbs, goals := verbsOf(t), goalsOf(t)

	for _, m := range regexp.MustCompile(`\bvcpulab ([a-z]+)`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(verbs, m[1]) {
			t.Errorf("%q: unknown verb", m[0])
		}
	}

	for _, m := range regexp.MustCompile("(?m)(?:^    |`)make ([a-z-]+)").FindAllStringSubmatch(text, -1) {
		if !slices.Contains(goals, m[1]) {
			t.Errorf("%q: unknown goal of the Makefile", m[0])
		}
	}
}

// checkLinks finds links of a document, and entries of its tables that end in a
// slash, that lead to nothing. Both are relative to the document.
func checkLinks(t *testing.T, name, text string) {
	t.Helper()
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1)
	links = append(links, regexp.MustCompile("(?m)^\\| `([^`]+/)` \\|").FindAllStringSubmatch(text, -1)...)

	for _, m := range links {
		if u, err := url.Parse(m[1]); err == nil && (u.Scheme != "" || u.Path == "") {
			continue
		}
		if _, err := os.Stat(filepath.Join("../../..", filepath.Dir(name), m[1])); err != nil {
			t.Errorf("link to %s: %v", m[1], err)
		}
	}
}

// TestMakeGoals holds the Makefile to the program: each goal's commands are
// ones that it takes.
func TestMakeGoals(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("no make")
	}
	for _, goal := range goalsOf(t) {
		t.Run(goal, func(t *testing.T) {
			cmd := exec.Command("make", "-n", goal)
			cmd.Dir = "../../.."
			cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=")
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("make -n %s: %v", goal, err)
			}
			for line := range strings.Lines(string(out)) {
				if words := splitWords(t, line); len(words) > 1 && words[0] == "bin/vcpulab" {
					// Files that other goals make need not be there.
					if err := parses(t, words[1:]); err != nil && !strings.Contains(err.Error(), "no such file") {
						t.Errorf("%s: %v", strings.TrimSpace(line), err)
					}
				}
			}
		})
	}
}

// commandLines returns the commands of a Markdown text: the lines of indented
// blocks, without their comments. Fenced blocks are what commands print.
func commandLines(text string) []string {
	var lines []string
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		command, ok := strings.CutPrefix(line, "    ")
		if fenced || !ok {
			continue
		}
		command, _, _ = strings.Cut(command, "  #")
		lines = append(lines, strings.TrimSpace(command))
	}
	return lines
}

// stepLines returns the commands of a workflow's steps.
func stepLines(text string) (lines []string) {
	for _, m := range regexp.MustCompile(`(?m)^ *- run: (.+)$`).FindAllStringSubmatch(text, -1) {
		lines = append(lines, m[1])
	}
	return lines
}

// splitWords splits a command line as a shell does.
func splitWords(t *testing.T, line string) []string {
	t.Helper()
	if line = strings.TrimSpace(line); strings.ContainsAny(line, "\n;|&<>$`") {
		return nil
	}
	out, err := exec.Command("sh", "-c", `for w in `+line+`; do printf '%s\0' "$w"; done`).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// parses says whether the program takes a command line, without running it.
func parses(t *testing.T, args []string) error {
	t.Helper()
	var c cli
	parser, err := newParser(context.Background(), &c, io.Discard, io.Discard, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return err
}

// verbsOf returns all verbs, hidden ones, too.
func verbsOf(t *testing.T) []string {
	t.Helper()
	parser, err := newParser(context.Background(), new(cli), io.Discard, io.Discard, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	var verbs []string
	for _, node := range parser.Model.Children {
		if node.Type == kong.CommandNode {
			verbs = append(verbs, node.Name)
		}
	}
	return verbs
}

// goalsOf returns the goals of the Makefile that people type.
func goalsOf(t *testing.T) []string {
	t.Helper()
	makefile := strings.ReplaceAll(readRoot(t, "Makefile"), "\\\n", " ")
	m := regexp.MustCompile(`(?m)^\.PHONY:(.*)$`).FindStringSubmatch(makefile)
	if m == nil {
		t.Fatal("Makefile: expected a line .PHONY:, found none")
	}
	return slices.DeleteFunc(strings.Fields(m[1]), func(goal string) bool { return strings.Contains(goal, "$") })
}

// readRoot returns a file of the repository.
func readRoot(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestQuoted: tables, sentences and pictures of documents and cover letters are of the
// measurements that are kept for checks of the patches.
func TestQuoted(t *testing.T) {
	for _, c := range []struct {
		name  string
		of    string // the file in ci/verify
		write func(io.Writer, *results.Results) error
		again string
	}{
		{"README.md", "figures.json", report.Digest, "--into README.md"},
		{"README.md", "figures.json", report.TimedDigest, "--into README.md"},
		{"patches/lookups.svg", "figures.json", report.Picture, "--svg patches/lookups.svg"},
		{"README.md", "figures-rivals.json", report.DesignsSentence, "--into README.md"},
		{"patches/README.md", "figures-rivals.json", report.DesignsMarkdown, "--into patches/README.md"},
		{"patches/designs.svg", "figures-rivals.json", report.Picture, "--svg patches/designs.svg"},
		{"patches/index/0000-cover-letter.patch", "figures-rivals.json", report.DesignsMail, "--format mail"},
	} {
		file := "ci/verify/" + c.of
		kept, err := results.Read("../../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := c.write(&b, kept); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(readRoot(t, c.name), b.String()) {
			t.Errorf("%s: expected the figures of %s: bin/vcpulab report %s %s", c.name, file, c.again, file)
		}
	}
}
