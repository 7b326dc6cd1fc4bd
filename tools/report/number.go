// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"vcpulab/tools/results"
)

// thousand is from where on decimals are noise, millions from where on a number
// is shown in millions.
const (
	thousand = 1000
	millions = 10_000_000
)

// number formats v with thousands separators: with so many decimals below a
// thousand, with none above it, and from ten millions on as millions with two.
func number(v float64, decimals int) string {
	switch a := math.Abs(v); {
	case a >= millions:
		return grouped(v/1e6, 2) + " M"
	case a >= thousand:
		return grouped(v, 0)
	}
	return grouped(v, decimals)
}

func grouped(v float64, decimals int) string {
	text := strconv.FormatFloat(math.Abs(v), 'f', decimals, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	var b strings.Builder
	if v < 0 && strings.Trim(text, "0.") != "" {
		b.WriteByte('-')
	}
	for i, c := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	if fraction != "" {
		b.WriteString("." + fraction)
	}
	return b.String()
}

// signed is number with a sign that is always there.
func signed(v float64, decimals int) string {
	if v < 0 {
		return number(v, decimals)
	}
	return "+" + number(v, decimals)
}

// decimalsOf is how many decimals a figure is worth showing: none if it is
// whole or large. There are only whole instructions: the rest is what the end
// of each pass adds, shared among the lookups of a pass.
func decimalsOf(f results.Figure) int {
	unit := f.Key.Operation().Unit
	switch {
	case unit.Decimals >= 0:
		return unit.Decimals
	case unit.Cost && f.Method.Exact(), math.Abs(f.Value) >= thousand, math.Abs(f.Value-math.Round(f.Value)) < 0.005:
		return 0
	}
	return 1
}

// count is a number of things: 1 boot, 2 boots.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if strings.HasSuffix(thing, "s") {
		thing += "e"
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// plural is a number of things, in words of which the second are for several.
func plural(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// enumerate lists numbers, of which there is one at least: 1, 8 and 64.
func enumerate(numbers []int) string {
	text := strconv.Itoa(numbers[0])
	for i, n := range numbers[1:] {
		if i == len(numbers)-2 {
			text += " and " + strconv.Itoa(n)
		} else {
			text += ", " + strconv.Itoa(n)
		}
	}
	return text
}

// sizeList lists numbers of vCPUs; many are shortened to the first and the last.
func sizeList(sizes []int) string {
	if n := len(sizes); n > 2 {
		return fmt.Sprintf("%d-%d", sizes[0], sizes[n-1])
	}
	var out []string
	for _, s := range sizes {
		out = append(out, strconv.Itoa(s))
	}
	return strings.Join(out, ", ")
}
