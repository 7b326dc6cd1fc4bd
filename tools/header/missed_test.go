// SPDX-License-Identifier: GPL-2.0-only

package header

import (
	"fmt"
	"io/fs"
	"testing"
)

// TestNotMissed has an object each that a simpler comparison of headers would miss.
func TestNotMissed(t *testing.T) {
	const getS = "static inline int chk(void)\n{\n\tBUILD_BUG_ON(sizeof(struct u) != 8);\n}\n"
	for name, c := range map[string]struct {
		before, after string            // of h.h
		user          string            // what u.c has
		others        map[string]string // other headers, which it includes
	}{
		"an inner brace": {
			before: "static inline int f(int x)\n{\n\tif (x) {\n\t\tg();\n\t}\n\treturn OLD;\n}\n",
			after:  "static inline int f(int x)\n{\n\tif (x) {\n\t\tg();\n\t}\n\treturn NEW;\n}\n", user: "int q = f(1);"},
		"an enumerator behind #if": {
			before: "enum x {\n\tA,\n#ifdef C\n\tBBBB = 1,\n#endif\n};", after: "enum x {\n\tA,\n#ifdef C\n\tBBBB = 2,\n#endif\n};", user: "int q = BBBB;"},
		"an enumeration without a name": {
			before: "enum {\n#ifdef C\n\tBBBB = 1,\n#endif\n};", after: "enum {\n#ifdef C\n\tBBBB = 2,\n#endif\n};", user: "int q = BBBB;"},
		"an enumerator that a macro makes": {
			before: "#define V(r) pre_##r, r\nenum x { A, V(SCTLR), V(TCR) };", after: "#define V(r) pre_##r, r\nenum x { A, V(TCR) };", user: "int q = SCTLR;"},
		"a pointer to a function":        {before: "extern bool (*fp)(int);", after: "extern bool (*fp)(long);", user: "int q = fp(1);"},
		"a variable with a call as mark": {before: "extern int foo __aligned(8);", after: "extern char *foo __aligned(8);", user: "int *q = &foo;"},
		"a type of something":            {before: "extern typeof(a) bar;", after: "extern typeof(b) bar;", user: "int *q = &bar;"},
		"a macro that declares":          {before: "extern declare_x(alpha);", after: "extern declare_x(beta);", user: "int q = alpha;"},
		"a macro without semicolon": {
			before: "declare_x(alpha)\nstatic inline int z(void)\n{\n\treturn 0;\n}\n", after: "declare_x(beta)\nstatic inline int z(void)\n{\n\treturn 0;\n}\n", user: "int q = alpha;"},
		"a function that returns one": {
			before: "static inline int (*gg(void))(int)\n{\n\treturn 0;\n}\n", after: "static inline int (*gg(void))(long)\n{\n\treturn 0;\n}\n", user: "int q = gg()(1);"},
		"a condition that ends behind a macro": {
			before: "#ifdef C\nint d(void);\nMACRO(x)\n#endif\nint e(void);\nint f(void);\n", after: "#ifdef C\nMACRO(x)\n#endif\nint e(void);\nint d(void);\nint f(void);\n", user: "int q = d();"},
		"a macro within a structure": {
			before: "struct s {\n#ifdef C\n#define FLAG 1\n\tint a;\n#endif\n};", after: "struct s {\n#define FLAG 1\n#ifdef C\n\tint a;\n#endif\n};", user: "int q = FLAG;"},
		"a macro of the assembler": {
			before: "#ifdef ASM\n.macro save r\n\tmov \\r, (4)\n.endm\n#else\nstatic inline int z(void)\n{\n\treturn 0;\n}\n#endif\n",
			after:  "#ifdef ASM\n.macro save r\n\tmov \\r, (5)\n.endm\n#else\nstatic inline int z(void)\n{\n\treturn 0;\n}\n#endif\n", user: "save x0"},
		"a type that looks like a mark": {
			before: "#define __t int", after: "#define __t char *", user: "int q = p->__bar;", others: map[string]string{"o.h": "struct s {\n\t__t __bar;\n};\n"}},
		"a member under a condition elsewhere": {
			before: "", after: "#define HAVE_A\n", user: "int q = p->a;", others: map[string]string{"o.h": "struct s {\n#ifdef HAVE_A\n\tint a;\n#endif\n\tint b;\n};\n"}},
		"a name of the sort of a member's": {
			before: "struct s {\n\tint a;\n};\n", after: "struct s {\n\tchar *a;\n};\n", user: "int q = call(all, p);",
			others: map[string]string{"o.h": "static inline int kick_all(struct s *s)\n{\n\treturn s->a;\n}\n#define call(x, s) kick_##x(s)\n"}},
		"a short beginning": {
			before: "#define CALL(x) pv_##x()\nint pv_foo(void);\n", after: "#define CALL(x) pv_##x()\nlong pv_foo(void);\n", user: "int q = CALL(foo);"},
		"a member that a macro makes": {
			before: "#define GET(v, x) ((v)->reg_##x)\nstruct s {\n\tint reg_ip;\n};\n", after: "#define GET(v, x) ((v)->reg_##x)\nstruct s {\n\tchar *reg_ip;\n};\n", user: "int q = GET(p, ip);"},
		"a member of parameters alone": {
			before: "struct s {\n\tint cr0_wp;\n};\n", after: "struct s {\n\tchar *cr0_wp;\n};\n", user: "#define F(r, n) int f(struct s *p) { return p->r##_##n; }\nF(cr0, wp)"},
		"an order of macros": {
			before: "#define HAVE\n#ifdef HAVE\n#define N 1\n#else\n#define N 2\n#endif\n", after: "#ifdef HAVE\n#define N 1\n#else\n#define N 2\n#endif\n#define HAVE\n", user: "int q[N];"},
		"what only some include before": {
			before: "", after: "static inline int z(void)\n{\n\treturn dep();\n}\n", user: "int q;"},
		"an include of what includes more": {
			before: "typedef int t;\n", after: "#include \"k.h\"\ntypedef int t;\n", user: "int q;", others: map[string]string{"k.h": "#include \"h.h\"\nt k(void);\n"}},
		"an initializer": {
			before: "struct s {\n\tint a;\n\tint b;\n};", after: "struct s {\n\tchar *n;\n\tint a;\n\tint b;\n};", user: "static struct s q[] = { { 1, 2 } };"},
		"an assertion without condition": {
			before: "struct s {\n\tint a;\n};", after: "struct s {\n\tint n;\n\tint a;\n};", user: "if (sizeof(*p) != 8)\n\tBUILD_BUG();"},
		"an assertion in a macro": {
			before: "struct s {\n\tint a;\n};", after: "struct s {\n\tint n;\n\tint a;\n};", user: "CHECK(struct s, 8);", others: map[string]string{"o.h": "#define CHECK(x, n) BUILD_BUG_ON(sizeof(x) != n)\n"}},
		"an assertion about what has it": {
			before: "struct s {\n\tint a;\n};", after: "struct s {\n\tint n;\n\tint a;\n};", user: "int q = chk();", others: map[string]string{"o.h": "struct u {\n\tstruct s m;\n};\n" + getS}},
		"a size that is a macro": {
			before: "struct s {\n\tint a;\n};", after: "struct s {\n\tint n;\n\tint a;\n};", user: "int q[CNT] = { 1, 2 };", others: map[string]string{"o.h": "#define CNT (16 / sizeof(struct s))\n"}},
		"a file that is gone": {before: "int e(void);\n", after: "int e(void);\nint f(void);\n"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"h.h": c.after, "d/a.c": "int a;\n", "dep.h": "int dep(void);\n"}
			sources := []string{"d/u.c", "h.h"}
			if c.user != "" {
				files["d/u.c"] = c.user
			}
			for other, text := range c.others {
				files[other] = text
				sources = append(sources, other)
			}
			objects := []Object{{"d/a.o", []string{"d/a.c", "h.h", "dep.h"}}, {"d/u.o", sources}}
			found, err := Affected(objects, map[string]Change{"h.h": {[]byte(c.before), []byte(c.after)}}, func(name string) ([]byte, error) {
				if text, ok := files[name]; ok {
					return []byte(text), nil
				}
				return nil, fmt.Errorf("read %s: %w", name, fs.ErrNotExist)
			})
			if err != nil || found["d/u.o"] == "" {
				t.Errorf("the user is missing: %v, %v", found, err)
			}
		})
	}
}

// TestGroups checks that an object of each directory and language is compiled.
func TestGroups(t *testing.T) {
	objects := []Object{
		{"virt/b.o", []string{"b.c", "h.h"}}, {"virt/a.o", []string{"a.c", "h.h"}}, {"virt/a_asm.o", []string{"a.S", "h.h"}},
		{"hyp/c.o", []string{"c.c", "h.h"}}, {"hyp/d.o", []string{"d.c"}},
	}
	found, err := Affected(objects, map[string]Change{"h.h": {[]byte("int a;\n"), []byte("int a;\n/* b */\n")}}, func(string) ([]byte, error) { return nil, nil })
	if err != nil || len(found) != 3 || found["virt/a.o"] == "" || found["virt/a_asm.o"] == "" || found["hyp/c.o"] == "" {
		t.Errorf("found %v, %v", found, err)
	}
}
