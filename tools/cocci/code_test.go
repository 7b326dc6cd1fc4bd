// SPDX-License-Identifier: GPL-2.0-only

package cocci

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCode(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"comment":              {"a /* b */ c", "a         c"},
		"comment over lines":   {"a /* b\nb */ c", "a     \n     c"},
		"comment to the end":   {"a // b\nc", "a     \nc"},
		"open comment":         {"a /* b\nb", "a     \n "},
		"no comment":           {"a / b * c", "a / b * c"},
		"string":               {`f("g(/*", h)`, "f(      , h)"},
		"quote in a string":    {`f("\"g(", h)`, "f(      , h)"},
		"quote as a constant":  {`f('"', g, '\'', "h")`, "f(   , g,     ,    )"},
		"string in a comment":  {"/* \" */ f(\"\")", "        f(  )"},
		"apostrophe":           {"#error don't\nf()", "#error don  \nf()"},
		"string over lines":    {"\"a\\\nb\" c", "   \n   c"},
		"empty":                {"", ""},
		"backslash at the end": {`"\`, "  "},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, string(code([]byte(c.src)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	src := "int f(void)\n{\n\t/* old(1) */\n\told(1);\n\tx(\"old(\");\n\tif (old(\n\t    2) || old(3))\n\t\told (4);\n}\n"
	want := []Place{
		{"a.c", 4, "old(1);"},
		{"a.c", 6, "if (old("},
		{"a.c", 7, "2) || old(3))"},
	}
	if diff := cmp.Diff(want, places("a.c", []byte(src), regexp.MustCompile(`\bold\(`))); diff != "" {
		t.Error(diff)
	}
}

func FuzzCode(f *testing.F) {
	f.Add([]byte("a /* b */ \"c\\\" d\" 'e' // f\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		got := code(src)
		if len(got) != len(src) || strings.Count(string(got), "\n") != strings.Count(string(src), "\n") {
			t.Errorf("%q became %q: lines have moved", src, got)
		}
	})
}
