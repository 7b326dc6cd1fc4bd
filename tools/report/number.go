// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/results"
)

const thousand = 1000 // from where on decimals are noise

// number formats v with thousands separators: with so many decimals below a
// thousand, with none above it, and from ten millions on as millions with two.
func number(v float64, decimals int) string {
	switch a := math.Abs(v); {
	case a >= 10_000_000:
		return grouped(v/1e6, 2) + " M"
	case a >= thousand:
		return grouped(v, 0)
	}
	return grouped(v, decimals)
}

func grouped(v float64, decimals int) string {
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Trim(text, "-0.") == "" {
		text = strings.TrimPrefix(text, "-")
	}
	whole, _, _ := strings.Cut(text, ".")
	for at := len(whole) - 3; at > 0 && whole[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// signed is number with a sign that is always there.
func signed(v float64, decimals int) string {
	if v < 0 {
		return number(v, decimals)
	}
	return "+" + number(v, decimals)
}

// decimalsOf is how many decimals a figure is worth showing: none if it is whole or large. The
// rest of instructions is what the end of each pass adds, shared among the lookups of a pass.
func decimalsOf(f results.Figure) int {
	unit := f.Key.Operation().Unit
	switch {
	case unit.Places > 0:
		return unit.Places
	case unit.Cost && f.Method.Exact(), math.Abs(f.Value) >= thousand, math.Abs(f.Value-math.Round(f.Value)) < 0.005:
		return 0
	}
	return 1
}

// firstOf are the first of many texts, and how many more there are.
func firstOf(most int, texts []string) []string {
	if more := len(texts) - most; more > 0 {
		return append(slices.Clone(texts[:most]), fmt.Sprintf("and %d more", more))
	}
	return texts
}

// enumerate lists numbers: 1, 8 and 64.
func enumerate(numbers []int) string {
	return list(strings.Fields(strings.Trim(fmt.Sprint(numbers), "[]")))
}

// sizeList lists numbers of vCPUs; many are shortened to the first and the last.
func sizeList(sizes []int) string {
	if n := len(sizes); n > 2 {
		return fmt.Sprintf("%d-%d", sizes[0], sizes[n-1])
	}
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(sizes), "[]"), " ", ", ")
}

// each is what a function makes of each value.
func each[T, U any](in []T, of func(T) U) []U {
	out := make([]U, 0, len(in))
	for _, v := range in {
		out = append(out, of(v))
	}
	return out
}

// list joins words: a, b and c.
func list(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// ordered are values by key. Keys keep the order in which they came.
type ordered[V any] struct {
	keys []string
	of   map[string][]V
}

func (o *ordered[V]) add(key string, v V) {
	if o.of == nil {
		o.of = make(map[string][]V)
	}
	if o.of[key] == nil {
		o.keys = append(o.keys, key)
	}
	o.of[key] = append(o.of[key], v)
}
