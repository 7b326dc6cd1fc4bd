// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/ctoken"
	"vcpulab/tools/program"
	"vcpulab/tools/series"
	"vcpulab/tools/tomlfile"
	"vcpulab/tools/tree"
)

var pairs = inTree(func(_ context.Context, _ *Submission, src *tree.Overlay, log io.Writer) ([]Finding, error) {
	files := make(map[string]*ctoken.File)
	names := src.Names([]string{"virt/kvm", "include/linux/kvm_host.h"}, ".c", ".h")
	for name, data := range src.Over {
		if ext := path.Ext(name); data != nil && (ext == ".c" || ext == ".h") {
			names = append(names, name)
		}
	}
	for _, name := range names {
		files[name] = ctoken.Scan(src.Read(name))
	}
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(files)) {
		known := make(map[string]bool)
		if _, changed := src.Over[name]; !changed {
			continue // it has no new comment
		}
		for _, c := range ctoken.Scan(src.Before(name)).Comments {
			known[c.Text] = true
		}
		for _, c := range files[name].Comments {
			if known[c.Text] {
				continue
			}
			for _, p := range pairsOf(c.Text) {
				fmt.Fprintf(log, "%s:%d: %s() in %s()\n", name, c.Line, p.primitive, p.function)
				if f := p.check(files); f != nil {
					f.File, f.Line, f.Function = name, c.Line, c.Func
					found = append(found, *f)
				}
			}
		}
	}
	return found, nil
})

// pair is what a comment says that a barrier pairs with.
type pair struct{ primitive, function string }

var (
	pairsWith = regexp.MustCompile(`(?i)\bpairs? with (.*)`)
	// One primitive may be in several functions: "smp_rmb() in f() and in g()".
	pairWhere = regexp.MustCompile(`^(?:the )?(?:(\w+)\(\)|address dependenc\w+|\w+) in (\w+)\(\)((?:,? and in \w+\(\))*)`)
	pairMore  = regexp.MustCompile(`\w+\(\)`)
)

func pairsOf(text string) []pair {
	var found []pair
	for _, m := range pairsWith.FindAllStringSubmatch(flat(text), -1) {
		w := pairWhere.FindStringSubmatch(m[1])
		if w == nil {
			continue
		}
		found = append(found, pair{w[1], w[2]})
		for _, more := range pairMore.FindAllString(w[3], -1) {
			found = append(found, pair{w[1], strings.TrimSuffix(more, "()")})
		}
	}
	return found
}

// check returns a finding if the function is not there, or has not got the
// primitive.
func (p pair) check(files map[string]*ctoken.File) *Finding {
	there := ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		body := files[name].Function(p.function)
		if len(body) == 0 {
			continue
		}
		there = name
		if p.primitive == "" || slices.ContainsFunc(body, func(t ctoken.Token) bool { return t.Text == p.primitive }) {
			return nil
		}
	}
	f := &Finding{Message: "the comment names an unknown function: " + p.function + "()", Do: "name the one that has the barrier now"}
	if there != "" {
		f.Message = fmt.Sprintf("the comment says that %s() has %s(), which it has not", p.function, p.primitive)
		f.Expected = p.primitive + "() in " + p.function + "() of " + there
	}
	return f
}

// extensions of the files in which retired interfaces are looked for.
var extensions = []string{".c", ".h", ".S", ".rst", ".txt"}

// retiredTable is retired.toml.
type retiredTable struct {
	// In are the directories and files that are searched, as path.Match has them.
	In         []string         `toml:"in"`
	Interfaces []interfaceEntry `toml:"interface"`
}

// interfaceEntry is an interface that the series retires.
type interfaceEntry struct {
	Pattern *regexp.Regexp `toml:"pattern"`
	// Subject is that of the patch after which it is gone.
	Subject string `toml:"subject"`
	Instead string `toml:"instead"`
	// Sets are what a tree has to have for the entry to be about it, sets and
	// rivals; none is every tree.
	Sets []string `toml:"sets"`
	// In is searched instead of the table's In, if it is given. Not are files
	// and directories of it that are left out, without wildcards: there the name
	// means something else.
	In  []string `toml:"in"`
	Not []string `toml:"not"`

	// quick matches wherever Pattern does, and is found faster: without \b in
	// front, package regexp looks for the text that it begins with.
	quick *regexp.Regexp
}

func (e *interfaceEntry) leavesOut(name string) bool {
	return slices.ContainsFunc(e.Not, func(not string) bool { return name == not || strings.HasPrefix(name, not+"/") })
}

var retired = inTree(func(_ context.Context, s *Submission, src *tree.Overlay, log io.Writer) ([]Finding, error) {
	table, err := loadRetired(s.table(retiredFile))
	if err != nil {
		return nil, err
	}
	table.Interfaces = slices.DeleteFunc(table.Interfaces, func(e interfaceEntry) bool { return !s.has(e.Sets) })
	var found []Finding
	contents := make(map[string][]byte)
	for _, e := range table.Interfaces {
		in := e.In
		if len(in) == 0 {
			in = table.In
		}
		for _, name := range src.Names(in, extensions...) {
			if e.leavesOut(name) {
				continue
			}
			if _, known := contents[name]; !known {
				contents[name] = src.Read(name)
			}
			data := contents[name]
			if !e.quick.Match(data) {
				continue
			}
			for _, at := range e.Pattern.FindAllIndex(data, -1) {
				above := data[:at[0]]
				line, _, _ := bytes.Cut(data[bytes.LastIndexByte(above, '\n')+1:], []byte("\n"))
				found = append(found, Finding{
					File: name, Line: 1 + bytes.Count(above, []byte("\n")), Message: fmt.Sprintf("this should be gone since %q", e.Subject),
					Expected: e.Instead, Found: strings.TrimSpace(string(line)),
				})
			}
		}
	}
	for _, e := range table.Interfaces {
		removed := slices.ContainsFunc(s.Series.Patches, e.removedBy)
		fmt.Fprintf(log, "%s: removed by a patch: %t\n", e.Pattern, removed)
		if !removed {
			found = append(found, Finding{
				File: retiredFile, Message: fmt.Sprintf("no patch removes anything that %q matches", e.Pattern), Do: "mend the pattern, or take it out of the table",
			})
		}
		if !slices.ContainsFunc(s.Series.Patches, func(p *series.Patch) bool { return p.Subject == e.Subject }) {
			found = append(found, Finding{
				File: retiredFile, Message: fmt.Sprintf("no patch has the subject %q", e.Subject), Do: "name the patch that retires it",
			})
		}
	}
	return found, nil
})

func (e *interfaceEntry) removedBy(p *series.Patch) bool {
	for _, f := range p.Files {
		removed, _ := f.Lines()
		if e.Pattern.MatchString(strings.Join(removed, "\n")) {
			return true
		}
	}
	return false
}

// loadRetired reads the table. Errors have the exit code for wrong use.
func loadRetired(name string) (*retiredTable, error) {
	t := new(retiredTable)
	if err := tomlfile.Load(name, t); err != nil {
		return nil, err
	}
	for i := range t.Interfaces {
		e := &t.Interfaces[i]
		if e.Pattern == nil || e.Pattern.String() == "" || e.Instead == "" || e.Subject == "" {
			return nil, tomlfile.Invalid(name, fmt.Errorf("interface %d: it has to say pattern, subject and instead", i+1))
		}
		var err error
		if e.quick, err = regexp.Compile(strings.TrimPrefix(e.Pattern.String(), `\b`)); err != nil {
			return nil, tomlfile.Invalid(name, err)
		}
	}
	return t, nil
}

// Where KVM's selftests are, and what lists them.
const (
	selftestsDir         = "tools/testing/selftests/kvm"
	selftestsMakefile    = selftestsDir + "/Makefile.kvm"
	oldSelftestsMakefile = selftestsDir + "/Makefile" // up to Linux 6.13
)

var selftests = inTree(func(ctx context.Context, s *Submission, src *tree.Overlay, log io.Writer) ([]Finding, error) {
	makefile := selftestsMakefile
	if src.Read(makefile) == nil {
		makefile = oldSelftestsMakefile
	}
	listed, was := listedTests(src.Read(makefile)), listedTests(src.Before(makefile))
	var found []Finding
	names := src.Names([]string{selftestsDir}, ".c", ".sh")
	for _, name := range names {
		if src.Over[name] == nil || src.Before(name) != nil {
			continue
		}
		list, err := s.newTest(ctx, name, makefile, listed)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(log, "%s: %d findings\n", name, len(list))
		found = append(found, list...)
	}
	for _, test := range slices.Sorted(maps.Keys(listed)) {
		if _, ok := was[test]; ok {
			continue
		}
		source := path.Join(selftestsDir, test)
		if !slices.Contains(names, source) && !slices.Contains(names, source+".c") {
			found = append(found, Finding{File: makefile, Message: "listed test does not exist", Found: test, Expected: "a file " + source + ".c"})
		}
	}
	return found, nil
})

// newTest looks at a test that the series adds.
func (s *Submission) newTest(ctx context.Context, name, makefile string, listed map[string][]string) ([]Finding, error) {
	var found []Finding
	test := strings.TrimPrefix(strings.TrimSuffix(name, ".c"), selftestsDir+"/")
	variable, as := "TEST_GEN_PROGS_...", test
	ofLibrary := strings.HasPrefix(test, "lib/")
	if ofLibrary {
		variable, as = "LIBKVM...", test+".c"
	}
	in := listed[as]
	arch, _, ofArch := strings.Cut(test, "/")
	switch {
	case len(in) == 0:
		found = append(found, Finding{File: name, Message: "it is not in " + makefile, Do: "add a line " + variable + " += " + as})
	case ofArch && !ofLibrary && !slices.ContainsFunc(in, func(v string) bool { return strings.HasSuffix(v, "_"+arch) }):
		found = append(found, Finding{
			File: makefile, Message: test + " is listed for another architecture than it is for", Expected: "TEST_GEN_PROGS_" + arch, Found: strings.Join(in, ", "),
		})
	}
	r, err := s.repository(ctx)
	if err != nil {
		return nil, err
	}
	// A script is its own program.
	for _, file := range slices.Compact([]string{name, strings.TrimSuffix(name, ".c")}) {
		want := file != name
		ignored, err := r.ignores(ctx, file)
		if err != nil {
			return nil, err
		}
		switch {
		case ignored && !want:
			found = append(found, Finding{File: name, Message: ".gitignore leaves it out: git add does not take it", Do: "except it there"})
		case !ignored && want && !ofLibrary:
			found = append(found, Finding{File: file, Message: "git lists the program that is built as a new file", Do: "add it to " + selftestsDir + "/.gitignore"})
		}
	}
	return found, nil
}

// ignores says whether .gitignore leaves a file out.
func (r *repository) ignores(ctx context.Context, name string) (bool, error) {
	out, _, err := r.git.Run(ctx, "check-ignore", "--no-index", name)
	if e, ok := errors.AsType[*program.StatusError](err); ok && e.Status == 1 {
		err = nil
	}
	return len(out) > 0, err
}

// listLine adds to a list in the Makefile.
var listLine = regexp.MustCompile(`^((?:TEST_(?:GEN_)?PROGS|LIBKVM)\w*)\s*[+:?]?=\s*(.*)$`)

// listedTests returns in which variables each test or file is listed.
func listedTests(makefile []byte) map[string][]string {
	in := make(map[string][]string)
	for line := range strings.Lines(strings.ReplaceAll(string(makefile), "\\\n", " ")) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		if m := listLine.FindStringSubmatch(line); m != nil {
			for _, word := range strings.Fields(m[2]) {
				if !strings.Contains(word, "$") {
					in[word] = append(in[word], m[1])
				}
			}
		}
	}
	return in
}
