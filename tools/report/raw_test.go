// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/results"
)

// rawLine is the samples of a figure on the page.
var rawLine = regexp.MustCompile(`<p id="f(\d+)">/figures/(\d+) (\S+) <code>(.*)</code>(?: (/\S+))?</p>`)

// TestHTMLLeadsToSamples follows each number of the tables to its samples, and
// compares them with those of the JSON.
func TestHTMLLeadsToSamples(t *testing.T) {
	for name, r := range map[string]*results.Results{
		"one method":  readFixture(t),
		"two methods": withTimes(t, readFixture(t)),
		"variants":    withVariants(t, upTo(t, readFixture(t), 64)),
	} {
		t.Run(name, func(t *testing.T) {
			page := render(t, "html", r)
			written, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var whole struct {
				Figures []struct {
					Column string
					Boots  []int     `json:"boots"`
					Values []float64 `json:"values"`
				}
				Boots []map[string]any
			}
			if err := json.Unmarshal(written, &whole); err != nil {
				t.Fatal(err)
			}
			lines := make(map[string]bool)
			for _, m := range rawLine.FindAllStringSubmatch(string(page), -1) {
				n, err := strconv.Atoi(m[1])
				if err != nil || m[1] != m[2] || n >= len(whole.Figures) {
					t.Fatalf("expected the pointer of a figure, found %s", m[0])
				}
				lines["f"+m[1]] = true
				want := whole.Figures[n]
				got := want
				got.Boots, got.Values = nil, nil
				if err := json.Unmarshal([]byte(m[4]), &got); err != nil {
					t.Fatalf("%s: %v", m[0], err)
				}
				if diff := cmp.Diff(want, got); diff != "" || want.Column != html.UnescapeString(m[3]) {
					t.Errorf("figure %d is not what the JSON says (-JSON +page): %s", n, diff)
				}
				array, at, _ := strings.Cut(strings.TrimPrefix(m[5], "/"), "/")
				for _, b := range want.Boots {
					samples, _ := whole.Boots[b][array].([]any)
					if i, err := strconv.Atoi(at); at != "" && (err != nil || i >= len(samples)) || whole.Boots[b][array] == nil {
						t.Errorf("figure %d: boot %d has nothing at %q", n, b, m[5])
					}
				}
			}
			if len(lines) == 0 {
				t.Fatal("no samples on the page")
			}
			linked := make(map[string]bool)
			for _, e := range elements(t, page) {
				id, ok := strings.CutPrefix(e.attr("href"), "#")
				if !ok || e.Name.Local != "a" {
					continue
				}
				if linked[id] = true; !lines[id] {
					t.Errorf("#%s leads to no samples", id)
				}
			}
			if bare := bareNumbers(page); len(bare) > 0 {
				t.Errorf("numbers that lead nowhere: %q", bare)
			}
			if len(linked) == 0 || len(linked) > len(lines) {
				t.Errorf("%d figures are linked to, %d have samples", len(linked), len(lines))
			}
		})
	}
}

// bareNumbers are the cells of figures on a page that have numbers without links.
func bareNumbers(page []byte) []string {
	var out []string
	for _, table := range regexp.MustCompile(`(?s)<table class="(?:answers|variants|figures)">.*?</table>`).FindAll(page, -1) {
		sized := bytes.Contains(table, []byte(`<table class="figures">`)) && regexp.MustCompile(`<th scope="col" class="n">(vCPUs|there)</th>`).Match(table)
		for _, row := range regexp.MustCompile(`<tr>.*</tr>`).FindAll(table, -1) {
			cells := regexp.MustCompile(`<td class="n(?: again)?"[^>]*>(.*?)</td>`).FindAllSubmatch(row, -1)
			if sized && len(cells) > 0 {
				cells = cells[1:] // the number of vCPUs
			}
			for _, c := range cells {
				left := regexp.MustCompile(`<a href="#f\d+">[^<]*</a>`).ReplaceAll(c[1], nil)
				if regexp.MustCompile(`\d`).Match(left) {
					out = append(out, string(row))
				}
			}
		}
	}
	return out
}

// The test above would see a number without a link.
func TestBareNumbers(t *testing.T) {
	const page = `<table class="answers"><tr><td class="n"><a href="#f1">1</a> – %s</td></tr></table>`
	for cell, want := range map[string]int{`2`: 1, `<a href="#f2">2</a>`: 0} {
		if got := bareNumbers(fmt.Appendf(nil, page, cell)); len(got) != want {
			t.Errorf("%s: expected %d, found %q", cell, want, got)
		}
	}
}
