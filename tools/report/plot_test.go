// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAxes(t *testing.T) {
	for name, test := range map[string]struct {
		axis     axis
		min, max float64
		ticks    []float64
	}{
		"linear":       {linear("", 101), 0, 125, []float64{0, 25, 50, 75, 100, 125}},
		"exact":        {linear("", 100), 0, 100, []float64{0, 20, 40, 60, 80, 100}},
		"small":        {linear("", 0.3), 0, 0.30000000000000004, []float64{0, 0.1, 0.2, 0.30000000000000004}},
		"nothing":      {linear("", 0), 0, 1, []float64{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}},
		"no number":    {linear("", math.NaN()), 0, 1, []float64{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}},
		"decades":      {decades("", 40, 168016), 10, 1e6, []float64{10, 100, 1e3, 1e4, 1e5, 1e6}},
		"one decade":   {decades("", 10, 10), 10, 100, []float64{10, 100}},
		"below one":    {decades("", 0, 5), 1, 10, []float64{1, 10}},
		"sizes":        {sizesAxis("", 1024), 1, 1024, []float64{1, 4, 16, 64, 256, 1024}},
		"odd sizes":    {sizesAxis("", 65), 1, 65, []float64{1, 4, 16, 64}},
		"one size":     {sizesAxis("", 1), 1, 2, []float64{1}},
		"counts":       {countAxis("", 1024), 0, 1024, []float64{0, 256, 512, 768, 1024}},
		"odd counts":   {countAxis("", 65), 0, 65, []float64{0, 20, 40, 60}},
		"a single one": {countAxis("", 1), 0, 1, []float64{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.axis.min != test.min || test.axis.max != test.max {
				t.Errorf("expected %v to %v, found %v to %v", test.min, test.max, test.axis.min, test.axis.max)
			}
			if diff := cmp.Diff(test.ticks, test.axis.Ticks); diff != "" {
				t.Errorf("ticks (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAxisPlaces(t *testing.T) {
	a := axis{log: true, min: 1, max: 1024, From: 0, To: 100}
	for value, want := range map[float64]float64{1: 0, 32: 50, 1024: 100, 0: 0, 4096: 100} {
		if got := a.Place(value); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: expected %v, found %v", value, want, got)
		}
	}
	// Upside down, as the vertical one is.
	a = axis{min: 0, max: 200, From: 100, To: 0}
	for value, want := range map[float64]float64{0: 100, 50: 75, 200: 0, 500: 0} {
		if got := a.Place(value); got != want {
			t.Errorf("%v: expected %v, found %v", value, want, got)
		}
	}
}

func TestTickLabel(t *testing.T) {
	for want, v := range map[string]float64{
		"0": 0, "0.4": 0.4, "50": 50, "1024": 1024, "9999": 9999, "10k": 1e4, "300k": 3e5, "2.5M": 2.5e6, "1G": 1e9,
	} {
		if got := tickLabel(v); got != want {
			t.Errorf("%v: expected %q, found %q", v, want, got)
		}
	}
}

func TestPlot(t *testing.T) {
	p := plot{
		ID: "p", Title: "a < b", Text: `x & "y"`,
		X: sizesAxis("vCPUs", 64), Y: linear("instructions", 100),
		Series: []series{
			{Name: "base", Kernel: 0, Line: true, Marks: true, Points: []point{{1, 51}, {64, 75}}},
			{Name: "<new>", Kernel: 1, Line: true, Marks: true, Points: []point{{1, 18}, {64, 18}}},
			{Name: "dashed", Kernel: 2, Dashed: true, Line: true, Marks: true, Points: []point{{1, 9}}},
			{Kernel: 3, Points: []point{{2, 3}, {4, 500}}},
		},
	}
	svg, err := p.SVG()
	if err != nil {
		t.Fatal(err)
	}
	got := string(svg)
	d := xml.NewDecoder(strings.NewReader(got))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, got)
		}
	}
	golden(t, "plot.svg", []byte(got))
}

// The legend stands inside the drawing, however many lines there are.
func TestLegendFits(t *testing.T) {
	for n := range 9 {
		p := plot{Y: axis{Label: "instructions (log)"}}
		for range n {
			p.Series = append(p.Series, series{Name: "patched, sparse"})
		}
		named := 0
		for _, row := range p.legendRows() {
			width := 0.0
			for _, s := range row {
				named++
				width += s.legendWidth()
			}
			if width > plotWidth-roomRight {
				t.Errorf("%d lines: a row of %v", n, width)
			}
		}
		if named != n {
			t.Errorf("%d lines: %d are named", n, named)
		}
	}
}
