// SPDX-License-Identifier: GPL-2.0-only

package ctoken

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// show writes tokens as "function: token token", a line for each run of
// tokens of one function.
func show(f *File) string {
	var b strings.Builder
	last := "\x00"
	for _, t := range f.Tokens {
		if t.Func != last {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "%s:", t.Func)
			last = t.Func
		}
		b.WriteString(" " + t.Text)
	}
	return b.String()
}

func TestScan(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"function":       {"static int f(struct a *b)\n{\n\treturn b->c;\n}\n", ": static int f ( struct a * b ) {\nf: return b -> c ;\n: }"},
		"on one line":    {"static inline void f(void) { g(); }\nint x;\n", ": static inline void f ( void ) {\nf: g ( ) ;\n: } int x ;"},
		"annotated":      {"static void f(void) __must_hold(&a->b)\n{\n\tx;\n}\n", ": static void f ( void ) __must_hold ( & a -> b ) {\nf: x ;\n: }"},
		"printf":         {"__printf(1, 2) void f(char *s, ...)\n{\n\tx;\n}\n", ": __printf ( 1 , 2 ) void f ( char * s , ... ) {\nf: x ;\n: }"},
		"comments":       {"a /* b\n c */ d // e\nf", ": a d f"},
		"strings":        {`f("a \" /* b", 'c', '\'');` + "\n", `: f ( "a \" /* b" , 'c' , '\'' ) ;`},
		"struct":         {"struct a {\n\tint b;\n};\nint c;\n", ": struct a { int b ; } ; int c ;"},
		"table":          {"static const struct a b = {\n\t.c = f(1),\n};\n", ": static const struct a b = { . c = f ( 1 ) , } ;"},
		"macro":          {"#define m(a, b)\t\t\\\n\tfor (a = 1;\t\\\n\t     b; )\nint c;\n", "m: for ( a = 1 ; b ; )\n: int c ;"},
		"macro, comment": {"#define m /* is\n\t\t   */ 1\nx", "m: 1\n: x"},
		"in a function":  {"void f(void)\n{\n#define X 1\n\tx = X;\n}\n", ": void f ( void ) {\nX: 1\nf: x = X ;\n: }"},
		"other lines":    {"#include <a.h>\n#if A(1) && \\\n\tB\nc\n#endif\n", ": c"},
		"blocks of #if": {
			"void f(void)\n{\n#ifdef A\n\tif (a) {\n#else\n\tif (b) {\n#endif\n\t\tc;\n\t}\n}\nvoid g(void)\n{\n\td;\n}\n",
			": void f ( void ) {\nf: if ( a ) { if ( b ) { c ; }\n: } void g ( void ) {\ng: d ;\n: }",
		},
		"unterminated": {"a /* b", ": a"},
		"quote":        {"a 'b\nc", ": a 'b c"},
		"long":         {"a <<= b->c++ ... 0x1fUL 1.5", ": a <<= b -> c ++ ... 0x1fUL 1.5"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, show(Scan([]byte(c.src)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSimple holds simple against the expression, for all texts of three bytes that
// could matter.
func TestSimple(t *testing.T) {
	const bytes = "<>=+-*/%&|^!~?:.,;#(\\\"' \t\na_$0\xff"
	found := 0
	for i := range len(bytes) * len(bytes) * len(bytes) {
		text := string([]byte{bytes[i%len(bytes)], bytes[i/len(bytes)%len(bytes)], bytes[i/len(bytes)/len(bytes)]})
		if text[0] == '\n' {
			continue // the scanner does not ask of it
		}
		n, isToken := simple(text)
		if n == 0 {
			continue
		}
		found++
		// Blanks are not taken together with those that simple does not know.
		if m := element.FindStringSubmatch(text); len(m[0]) != n && isToken || (m[3] != "") != isToken {
			t.Errorf("%q: expected %q, found %d bytes, a token: %t", text, m[0], n, isToken)
		}
	}
	if found < 10000 {
		t.Errorf("expected most texts to be simple, found %d", found)
	}
}

func TestComments(t *testing.T) {
	got := Scan([]byte("/**\n * f - do it\n * @a: this\n */\nvoid f(int a)\n{\n\t/* Pairs with g(). */\n}\n// last\n")).Comments
	want := []Comment{{"f - do it\n@a: this", 1, "", 0}, {"Pairs with g().", 7, "f", 7}, {"last", 9, "", 8}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLines(t *testing.T) {
	f := Scan([]byte("a\n/*\n*/ b \\\nc\n#define d \\\n e\n#if x \\\n y\n g\n"))
	var got []string
	for _, tok := range f.Tokens {
		got = append(got, fmt.Sprintf("%s%d", tok.Text, tok.Line))
	}
	if diff := cmp.Diff([]string{"a1", "b3", "c4", "e6", "g9"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPattern(t *testing.T) {
	for name, c := range map[string]struct {
		pattern, src string
		at, n        int
	}{
		"tokens":             {"a->b", "x = a -> b;", 2, 3},
		"none":               {"a->b", "a.b", -1, 0},
		"expression":         {"f(&$e->b)", "f(&x->kvm->b)", 0, 9},
		"one token":          {"f($e)", "f(x)", 0, 4},
		"brackets":           {"f($e)->b", "f(g(1, 2)[3])->b", 0, 14},
		"not over a comma":   {"f($e)", "f(a, b)", -1, 0},
		"two of them":        {"f($a, $b)", "f(a[1], b + 2)", 0, 11},
		"not over the end":   {"g $e;", "g)(a;", -1, 0},
		"last":               {"return $e", "return -1;", 0, 2},
		"first of the lines": {"x", "a x x", 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var p Pattern
			if err := p.UnmarshalText([]byte(c.pattern)); err != nil {
				t.Fatal(err)
			}
			if at, n := p.Find(Scan([]byte(c.src)).Tokens, 0); at != c.at || n != c.n {
				t.Errorf("expected %d tokens at %d, found %d at %d", c.n, c.at, n, at)
			}
		})
	}
	for _, bad := range []string{"", "/* a */", "$e->b"} {
		if err := new(Pattern).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q: expected an error, found none", bad)
		}
	}
}

func TestFunction(t *testing.T) {
	f := Scan([]byte("#define m(a) a + 1\nint f(void)\n{\n\treturn 1;\n}\nint g(void)\n{\n}\n"))
	for name, want := range map[string]int{"m": 3, "f": 3, "g": 0, "h": 0} {
		if got := len(f.Function(name)); got != want {
			t.Errorf("%s: expected %d tokens, found %d", name, want, got)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, name := range []string{"scan.go", "pattern.go"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("#define"))
	f.Add([]byte("#define a(b\\\n\"'/*//\\"))
	f.Add([]byte("}{)(\n{#define \n}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		last := 0
		for _, tok := range Scan(src).Tokens {
			if tok.Text == "" || tok.Line < last || tok.Line > strings.Count(string(src), "\n")+1 {
				t.Fatalf("token %+v after line %d", tok, last)
			}
			last = tok.Line
		}
	})
}
