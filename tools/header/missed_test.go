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
	// base has the words that all headers have, so that no object lacks one.
	const base = "static inline bool char const double int long return sizeof struct typedef unsigned void BUILD_BUG_ON\n"
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
		"a caller in another header": {
			before: "int kick(int);", after: "int kick(void);", user: "int q;", others: map[string]string{"o.h": "static inline int z(void)\n{\n\treturn kick(1);\n}\n"}},
		"a declaration that others have": {
			before: "struct d;\nint z(struct d *p);", after: "int z(struct d *p);", user: "int q;"},
		"what a macro asks for": {
			before: "#define CALL() old()", after: "#define CALL() dep()", user: "int q;"},
		"an include with a blank": {
			before: "", after: "#include \"k.h\"", user: "int q;", others: map[string]string{"k.h": "#ifndef K\n# include \"m.h\"\n#endif\n"}},
		"an include that comes earlier": {
			before: "#ifdef HAVE_X\nlong z(void);\n#else\nint z(void);\n#endif\n", after: "#include \"k.h\"\n#ifdef HAVE_X\nlong z(void);\n#else\nint z(void);\n#endif\n",
			user: "int (*q)(void) = z;", others: map[string]string{"k.h": "#ifndef K\n#define HAVE_X\n#endif\n"}},
		"an include that others have under a condition": {
			before: "#include <x.h>", after: "", user: "int q;", others: map[string]string{"o.h": "#ifndef O\n#ifdef C\n#include <x.h>\n#endif\n#endif\n"}},
		"a function that is not inline": {before: "", after: "static int f(void)\n{\n\treturn 1;\n}\n", user: "int q;"},
		"an array with a mark":          {before: "extern int foo[4] __aligned(8);", after: "extern char foo[4] __aligned(8);", user: "int *q = foo;"},
		"two marks":                     {before: "extern int foo __read_mostly __aligned(8);", after: "extern char foo __read_mostly __aligned(8);", user: "int *q = &foo;"},
		"a mark before the type":        {before: "extern __aligned(8) int foo;", after: "extern __aligned(8) char foo;", user: "int *q = &foo;"},
		"a macro with underscores":      {before: "extern __DECLARE(foo);", after: "extern __DECLARE(bar);", user: "int *q = &foo;"},
		"a register":                    {before: "register unsigned long sp asm(\"a\");", after: "register unsigned long sp asm(\"b\");", user: "int q = sp;"},
		"two declarations":              {before: "extern int f(int), bar;", after: "extern int f(int), *bar;", user: "int *q = &bar;"},
		"an enumerator in a structure":  {before: "struct s {\n\tenum { FP_FREE, FP_X } owner;\n};", after: "struct s {\n\tenum { FP_NONE, FP_X } owner;\n};", user: "int q = FP_FREE;"},
		"a structure in another":        {before: "struct s {\n\tstruct in { int z; } m;\n};", after: "struct s {\n\tstruct in { char *z; } m;\n};", user: "int f(struct in *p) { return p->z; }"},
		"parameters alone, among others": {
			before: "struct s {\n\tint cr0_wp;\n};\n", after: "struct s {\n\tchar *cr0_wp;\n};\n", user: "#define F(r, n) int is_##r##_##n(struct s *p) { return p->r##_##n; }\nF(cr0, wp)"},
		"a fragment in the middle": {
			before: "#define CALL(a, b) a##_mid_##b()\nint kick_mid_all(void);", after: "#define CALL(a, b) a##_mid_##b()\nlong kick_mid_all(void);", user: "int q = CALL(kick, all);"},
		"a fragment before a number": {
			before: "#define GPR(p, n) ((p)->gpr##n)\nstruct s {\n\tint gpr4;\n};", after: "#define GPR(p, n) ((p)->gpr##n)\nstruct s {\n\tchar *gpr4;\n};", user: "int q = GPR(p, 4);"},
		"a type with const": {
			before: "#define __t int", after: "#define __t char *", user: "int q = p->__bar;", others: map[string]string{"o.h": "struct s {\n\tconst __t __bar;\n};\n"}},
		"a mark of a structure": {
			before: "#define __kpacked __packed", after: "#define __kpacked", user: "BUILD_BUG_ON(sizeof(struct s) != 9);", others: map[string]string{"o.h": "struct s {\n\tint a;\n} __kpacked;\n"}},
		"a structure behind a pointer": {
			before: "struct s {\n\tint a;\n};", after: "struct s {\n\tint n;\n\tint a;\n};", user: "struct s *p, q = { 1, 2 };"},
		"branches in a prototype": {
			before: "#ifdef A\nint foo(int a,\n#else\nint foo(long a,\n#endif\n\tint b);\nint bar(int);", after: "#ifdef A\nint foo(int a,\n#else\nint foo(long a,\n#endif\n\tint b);\nint bar(long);", user: "int q = bar(1);"},
		"a file that is gone": {before: "int e(void);\n", after: "int e(void);\nint f(void);\n"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"h.h": c.after, "d/a.c": "int a;\n", "dep.h": "int dep(void);\n", "base.h": base}
			sources := []string{"d/u.c", "h.h", "base.h"}
			if c.user != "" {
				files["d/u.c"] = c.user
			}
			for other, text := range c.others {
				files[other] = text
				sources = append(sources, other)
			}
			objects := []Object{{"d/a.o", []string{"d/a.c", "dep.h", "h.h", "base.h"}}, {"d/u.o", sources}}
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
