// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/results"
)

// TestHTMLGrowth: the page says whether building a VM is a straight line.
func TestHTMLGrowth(t *testing.T) {
	page := string(render(t, "html", readFixture(t)))
	if want := "at the end over at the beginning: 2.73 of base, 1.06 of patched; 1 is a straight line."; !strings.Contains(page, want) {
		t.Errorf("expected %q, found none of it", want)
	}
}

// Small, so that a change of it can be read: a page's size is that of its raw
// samples.
func TestHTML(t *testing.T) {
	golden(t, "page.html", render(t, "html", upTo(t, readFixture(t), 8)))
}

// TestHTMLFirstScreen: the page begins with what came out and a dozen rows. The
// rest is folded, but for the plots of lookups.
func TestHTMLFirstScreen(t *testing.T) {
	r := withStalls(t, withPaths(t, readFixture(t)), "")
	page := string(render(t, "html", r))
	main := page[strings.Index(page, "<body>"):]
	first, rest, ok := strings.Cut(main, "<details>")
	if rows := strings.Count(first, `<tr><th scope="row">`); !ok || rows < 8 || rows > 12 {
		t.Errorf("expected at most 12 rows before what is folded, found %d", rows)
	}
	if !strings.Contains(first, `<p class="sentence">On Linux 7.3.4, kvm_get_vcpu() takes 12 instructions`) {
		t.Error("expected the page to begin with a sentence that says what came out")
	}
	for _, title := range []string{"All figures", "Creating vCPUs", "How it was measured", "Boots"} {
		if !regexp.MustCompile(`<details>\n<summary><h2 id="[^"]*">` + title).MatchString(rest) {
			t.Errorf("expected %q to be folded", title)
		}
	}
}

// element is one of a page, with what it stands in.
type element struct {
	xml.StartElement
	parents []string
}

func (e element) attr(name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// elements reads a page. It must be well-formed.
func elements(t *testing.T, page []byte) []element {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var out []element
	var open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			out = append(out, element{e.Copy(), append([]string(nil), open...)})
			open = append(open, e.Name.Local)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

func TestHTMLNeedsNothingElse(t *testing.T) {
	page := render(t, "html", withTimes(t, readFixture(t)))
	for _, e := range elements(t, page) {
		switch e.Name.Local {
		case "script", "link", "img", "iframe", "object", "embed", "base":
			t.Errorf("has a <%s>", e.Name.Local)
		}
		for _, a := range e.Attr {
			if strings.Contains(a.Value, "//") || strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "src" {
				t.Errorf("<%s %s=%q> leads outside", e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
	if match := regexp.MustCompile(`@import|url\(|@font-face`).Find(page); match != nil {
		t.Errorf("the style has %s", match)
	}
}

func TestHTMLIsAccessible(t *testing.T) {
	page := render(t, "html", withTimes(t, readFixture(t)))
	ids := make(map[string]int)
	inSVG := make(map[string]int)
	count := make(map[string]int)
	all := elements(t, page)
	for _, e := range all {
		count[e.Name.Local]++
		if id := e.attr("id"); id != "" {
			ids[id]++
		}
		if n := len(e.parents); n > 0 && e.parents[n-1] == "svg" {
			inSVG[e.Name.Local]++
		}
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d elements have the id %s", n, id)
		}
	}
	for _, e := range all {
		for _, id := range strings.Fields(e.attr("aria-labelledby")) {
			if ids[id] == 0 {
				t.Errorf("<%s> is labelled by %s, which is not there", e.Name.Local, id)
			}
		}
		if e.Name.Local == "th" && e.attr("scope") == "" {
			t.Errorf("a th heads nothing: %v", e.parents)
		}
	}
	if n := count["svg"]; n == 0 || inSVG["title"] != n || inSVG["desc"] != n || count["figcaption"] != n {
		t.Errorf("%d plots, %d titles, %d descriptions, %d captions", n, inSVG["title"], inSVG["desc"], count["figcaption"])
	}
	if count["h1"] != 1 || count["main"] != 1 {
		t.Errorf("expected one h1 and one main, found %d and %d", count["h1"], count["main"])
	}
}

// What comes from a file of results is text and nothing else.
func TestHTMLEscapes(t *testing.T) {
	r := readFixture(t)
	const evil = `<script>alert("&'")</script>`
	r.Host.CPU, r.Host.QEMU, r.Kernels[1].Patches = evil, evil, []string{evil}
	r.Kernels[0].Compiler, r.Boots[0].Command, r.Boots[0].BootID = evil, evil, evil
	r.Kernels[0].Name = evil
	for i := range r.Boots {
		if r.Boots[i].Kernel == "base" {
			r.Boots[i].Kernel = evil
		}
	}
	for i := range r.Figures {
		r.Figures[i].Column = strings.Replace(r.Figures[i].Column, "base", evil, 1)
	}
	for _, e := range elements(t, render(t, "html", r)) {
		if e.Name.Local == "script" {
			t.Fatalf("a script in %v", e.parents)
		}
	}
}

func TestHTMLNamesTheRawSamples(t *testing.T) {
	page := string(render(t, "html", readFixture(t)))
	for _, want := range []string{"results.json", "results.bench"} {
		if !strings.Contains(page, `<a href="`+want+`">`) {
			t.Errorf("does not link to %s", want)
		}
	}
}

// Letters must differ from what they stand on as WCAG's level AA asks for, in
// the light and in the dark.
func TestHTMLContrast(t *testing.T) {
	schemes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(pageStyle, 2)
	for i, scheme := range schemes {
		colours := make(map[string]float64)
		for _, m := range regexp.MustCompile(`--(\w+): #([0-9a-f]{6})`).FindAllStringSubmatch(scheme[1], -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		for _, text := range []string{"ink", "soft", "k0", "k1", "k2", "k3", "better", "worse"} {
			for _, ground := range []string{"paper", "sheet"} {
				lo, hi := min(colours[text], colours[ground]), max(colours[text], colours[ground])
				if ratio := (hi + 0.05) / (lo + 0.05); ratio < 4.5 {
					t.Errorf("scheme %d: %s on %s: contrast %.1f, expected 4.5", i, text, ground, ratio)
				}
			}
		}
	}
}

// luminance is WCAG's relative luminance of a colour.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

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
