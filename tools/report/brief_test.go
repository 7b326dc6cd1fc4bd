// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"vcpulab/tools/results"
)

// TestBrief: what bench ends with fits on a terminal, whatever was measured.
func TestBrief(t *testing.T) {
	bad := readFixture(t)
	bad.Interrupted = true
	for i := range bad.Figures {
		bad.Figures[i].High++
	}
	for name, r := range map[string]*results.Results{
		"all":         withStalls(t, withPaths(t, readFixture(t)), "patched"),
		"two methods": withPaths(t, withTimes(t, readFixture(t))),
		"quick":       upTo(t, readFixture(t), 65),
		"variants":    withVariants(t, readFixture(t)),
		"running":     running(t),
		"bad":         bad,
		"nothing":     {},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Brief(&b, r, Files{"out/results.json", "out/results.bench", "out/report.html"}, false); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
			if len(lines) > 30 || !strings.HasSuffix(strings.Join(strings.Fields(b.String()), " "), "for benchstat: out/results.bench") {
				t.Errorf("expected at most 30 lines with all files, found %d:\n%s", len(lines), b.String())
			}
			for _, line := range lines {
				if len([]rune(line)) > 102 || strings.TrimRight(line, " ") != line {
					t.Errorf("does not fit: %q", line)
				}
			}
		})
	}
}

// TestBriefSays: the sentence, and which goals are missed, are made from the
// figures.
func TestBriefSays(t *testing.T) {
	for name, tt := range map[string]struct {
		r    *results.Results
		want []string
	}{
		"all": {withPaths(t, readFixture(t)), []string{
			"On Linux 7.3.4, kvm_get_vcpu() takes 12 instructions with the series instead of 69 to 119;",
			"kvm_get_vcpu_by_id() with IDs that aren't indices 21 to 22 instead of 125 to 93,388;",
			"creating the vCPUs of a VM of 1024 45.93 M instead of 144.86 M.",
			"15 of 17 goals are met; missed: Memory of what holds a VM's vCPUs, sparse IDs; kvm_for_each_vcpu() with 1 vCPU (it is the beginning and the end of a walk).",
			"kvm_for_each_vcpu(), per vCPU 1 202 10 20x fewer <= 6 missed",
			"Start of a VM, until each has run 512 ",
		}},
		"two methods": {withTimes(t, readFixture(t)), []string{"; kvm_get_vcpu() takes 4.1 ns with the series instead of 23.0 to 39.7."}},
		"as before": {cheaper(t, upTo(t, readFixture(t), 1), -57), []string{
			"kvm_get_vcpu() takes 69 instructions with the series, as without;", "goals are met; missed: kvm_get_vcpu();"}},
		"running": {running(t), []string{"On Linux 7.3.4, kvm_get_vcpu() takes 69 to 93 ns; "}},
		"stalled": {withStalls(t, readFixture(t), "patched"), []string{"missed: Grace periods waited for while a VM grows, all KVM_CREATE_VCPU; "}},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(strings.Fields(string(render(t, "brief", tt.r))), " ")
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("expected %q, found:\n%s", want, render(t, "brief", tt.r))
				}
			}
		})
	}
}

// TestOnly: what there is one of is not said as if there were several.
func TestOnly(t *testing.T) {
	type answer struct {
		Most, Compared        int
		Names, Others, Speaks []string
	}
	for want, found := range map[string]string{
		"The only goal is met.":            goalCount{Met: 1, All: 1}.Sentence(),
		"All 2 goals are met.":             goalCount{Met: 2, All: 2}.Sentence(),
		"0 of 1 goal is met; missed: get.": goalCount{All: 1, Missed: []string{"get"}}.Sentence(),
		"":                                 goalCount{}.Sentence(),
		"The figures favour kept, which is first, alone or with others, in the only column in which designs differ (base in 0).": sentence(
			"answer", answer{1, 1, []string{"kept"}, []string{"base in 0"}, nil}),
	} {
		if found != want {
			t.Errorf("expected %q, found %q", want, found)
		}
	}
}

// TestDigest: a README's table has 15 rows at most, as it stands in Markdown.
func TestDigest(t *testing.T) {
	var b bytes.Buffer
	if err := Digest(&b, withPaths(t, readFixture(t))); err != nil {
		t.Fatal(err)
	}
	golden(t, "readme.md", b.Bytes())
	if n := strings.Count(b.String(), "\n|") - 2; n < 8 || n > 15 {
		t.Errorf("expected at most 15 rows, found %d", n)
	}
	if err := Digest(&b, &results.Results{}); err == nil {
		t.Error("expected an error without two kernels")
	}
}

// TestPicture: the picture needs nothing else, and is the same each time.
func TestPicture(t *testing.T) {
	var b bytes.Buffer
	if err := Picture(&b, withVariants(t, readFixture(t))); err != nil {
		t.Fatal(err)
	}
	golden(t, "picture.svg", b.Bytes())
	d := xml.NewDecoder(&b)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if a.Name.Local == "href" || a.Name.Local == "src" {
					t.Errorf("<%s %s> leads outside", e.Name.Local, a.Name.Local)
				}
			}
		}
	}
	for name, r := range map[string]*results.Results{"one kernel": {Kernels: readFixture(t).Kernels[:1]}, "no figures": {Kernels: readFixture(t).Kernels}} {
		if err := Picture(&b, r); err == nil {
			t.Errorf("%s: expected an error", name)
		}
	}
}
