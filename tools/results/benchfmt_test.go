// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

func TestWriteBench(t *testing.T) {
	var b bytes.Buffer
	if err := readFixture(t).WriteBench(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "results.bench", b.Bytes())
}

// The format's own reader reads every value back.
func TestWriteBenchReadsBack(t *testing.T) {
	r := readFixture(t)
	var b bytes.Buffer
	if err := r.WriteBench(&b); err != nil {
		t.Fatal(err)
	}
	rd := benchfmt.NewReader(&b, "results.bench")
	values := make(map[string]int)
	want := make(map[string]int)
	for _, f := range r.Figures {
		want[string(f.Method)+" "+f.Column] += len(f.Values)
	}
	for rd.Scan() {
		switch rec := rd.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Errorf("%v", rec)
		case *benchfmt.Result:
			values[rec.GetConfig("method")+" "+rec.GetConfig("kernel")]++
		}
	}
	if err := rd.Err(); err != nil {
		t.Fatal(err)
	}
	for column, n := range want {
		if values[column] != n {
			t.Errorf("%s: expected %d values, found %d", column, n, values[column])
		}
	}
	exact := map[string]bool{"insns/op": true, "B": true, "B/vm": true, "grace-periods": true}
	for _, f := range r.Figures {
		if got := rd.Units().GetAssumption(f.Unit()) == benchmath.AssumeExact; got != exact[f.Unit()] {
			t.Errorf("%s: expected exact to be %v, found %v", f.Unit(), exact[f.Unit()], got)
		}
	}
}

// benchstat itself compares the columns, in one table a unit.
func TestBenchstat(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results.bench")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := readFixture(t).WriteBench(f); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "tool", "benchstat", "-col", "kernel", name)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.Bytes())
	}
	for _, complaint := range []string{"exact distribution expected", "benchmarks vary in"} {
		if strings.Contains(string(out), complaint) {
			t.Errorf("benchstat complains: %s", complaint)
		}
	}
	golden(t, "results.benchstat", out)
}

func TestWriteBenchDiffering(t *testing.T) {
	r := small(ICount)
	r.Kernels[1].Release = "7.3.4-patched"
	r.Kernels[1].HZ = 1000
	r.Host.CPU = "two\n lines"
	var b bytes.Buffer
	if err := r.WriteBench(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"release: base=7.3.4, patched=7.3.4-patched\n",
		"hz: base=250, patched=1000\n",
		"series: patched=abc\n",
		"cpu: two lines\n",
	} {
		if strings.Count(b.String(), want) != 1 {
			t.Errorf("expected %q once, found:\n%.400s", want, b.String())
		}
	}
}

func TestBenchName(t *testing.T) {
	for name, want := range map[string]string{
		"get/vcpus=8/ids=dense":           "Get/vcpus=8/ids=dense",
		"by_id/vcpus=8/ids=dense/missing": "By_id/vcpus=8/ids=dense/what=missing",
		"sizeof/struct=kvm":               "Sizeof/struct=kvm",
	} {
		if got := benchName(name); got != want {
			t.Errorf("%s: expected %s, found %s", name, want, got)
		}
	}
}
