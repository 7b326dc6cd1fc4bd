// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/program"
)

// Where KVM's selftests are, and what lists them.
const (
	selftestsDir      = "tools/testing/selftests/kvm"
	selftestsMakefile = selftestsDir + "/Makefile.kvm"
)

var selftests = Check{
	Name: "selftests",
	Explain: "Each selftest that the series adds is in Makefile.kvm, for its architecture, each that is listed is there, and .gitignore leaves out the program but not the source. " +
		"A test that is not listed is neither built nor run.",
	Needs: []string{"git"},
	Run: inTree(func(ctx context.Context, s *Submission, src *patched, log io.Writer) ([]Finding, error) {
		listed, was := listedTests(src.read(selftestsMakefile)), listedTests(src.before(selftestsMakefile))
		var found []Finding
		names := src.names([]string{selftestsDir}, ".c", ".sh")
		for _, name := range names {
			if src.over[name] == nil || src.before(name) != nil {
				continue
			}
			list, err := s.newTest(ctx, name, listed)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(log, "%s: %d findings\n", name, len(list))
			found = append(found, list...)
		}
		for test := range listed {
			if _, ok := was[test]; ok {
				continue
			}
			source := path.Join(selftestsDir, test)
			if !slices.Contains(names, source) && !slices.Contains(names, source+".c") {
				found = append(found, Finding{File: selftestsMakefile, Message: "listed test does not exist", Found: test, Expected: "a file " + source + ".c"})
			}
		}
		return found, nil
	}),
}

// newTest looks at a test that the series adds.
func (s *Submission) newTest(ctx context.Context, name string, listed map[string][]string) ([]Finding, error) {
	var found []Finding
	test := strings.TrimPrefix(strings.TrimSuffix(name, ".c"), selftestsDir+"/")
	if !strings.HasPrefix(test, "lib/") {
		in := listed[test]
		arch, _, _ := strings.Cut(test, "/")
		switch {
		case len(in) == 0:
			found = append(found, Finding{
				File: name, Message: "it is not in " + selftestsMakefile, Do: "add a line TEST_GEN_PROGS_... += " + test,
			})
		case arch != test && !slices.ContainsFunc(in, func(v string) bool { return strings.HasSuffix(v, "_"+arch) }):
			found = append(found, Finding{
				File: selftestsMakefile, Message: test + " is listed for another architecture than it is for", Expected: "TEST_GEN_PROGS_" + arch, Found: strings.Join(in, ", "),
			})
		}
	} else if in := listed[test+".c"]; len(in) == 0 {
		found = append(found, Finding{File: name, Message: "it is not in " + selftestsMakefile, Do: "add a line LIBKVM... += " + test + ".c"})
	}
	r, err := s.repository(ctx)
	if err != nil {
		return nil, err
	}
	for file, want := range map[string]bool{name: false, strings.TrimSuffix(name, ".c"): !strings.HasSuffix(name, ".sh")} {
		ignored, err := r.ignores(ctx, file)
		if err != nil {
			return nil, err
		}
		switch {
		case ignored && !want:
			found = append(found, Finding{File: name, Message: ".gitignore leaves it out: git add does not take it", Do: "except it there"})
		case !ignored && want && !strings.HasPrefix(test, "lib/"):
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
	text := strings.ReplaceAll(string(makefile), "\\\n", " ")
	for line := range strings.Lines(text) {
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
