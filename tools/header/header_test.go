// SPDX-License-Identifier: GPL-2.0-only

package header

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// host is a small kvm_host.h.
const host = `#ifndef HOST_H
#define HOST_H
#include <linux/types.h>

#define KVM_MAX 4
#define KVM_IDS (KVM_MAX * 2)

/* a comment */
struct kvm {
	int online;	/* one; two */
	struct list_head list;
#ifdef CONFIG_MORE
	u64 more;
#endif
	union {
		int a;
		int b;
	};
};

enum mode { MODE_A, MODE_B = 3 };

extern unsigned int halt_ns;
extern int marked __read_mostly;
extern DECLARE_BITMAP(bits, 64);
void kick(struct kvm *kvm);

static inline int get(struct kvm *kvm, int i)
{
#ifdef BODY
	i--;
#endif
	return i < kvm->online ? i : -1;
}

static __always_inline int get_first(struct kvm *kvm)
{
	return get(kvm, 0);
}

#define for_each(i, kvm)			\
	for (i = 0; get(kvm, i) >= 0; i++)
#define call(what) kick_##what()
#endif
`

// users are objects, all of which include host and use.h.
var users = map[string]string{
	"getter":  "int f(struct kvm *k) { return get(k, 1); }\n",
	"walker":  "void f(struct kvm *k) { for_each(i, k) ; }\n",
	"first":   "int f(struct kvm *k) { return get_first(k); }\n",
	"counter": "int f(struct kvm *k) { return k->online; }\n",
	"sizes":   "BUILD_BUG_ON(sizeof(struct kvm) > 64);\n",
	"limits":  "int a[KVM_IDS];\n",
	"modes":   "int m = MODE_B;\n",
	"kicker":  "void f(struct kvm *k) { kick(k); halt_ns = 1; }\n",
	"caller":  "void f(void) { call(all); }\n",
	"wrapped": "void f(struct kvm *k) { wrap(k); }\n",
	"marker":  "int f(void) { return marked; }\n",
	"other":   "/* get(), for_each() and online are not used */ int g(struct kvm *k);\n",
}

const use = "static inline int wrap(struct kvm *k)\n{\n\treturn get(k, 2);\n}\n"

func affectedBy(t *testing.T, before, after string) map[string]string {
	t.Helper()
	files := map[string]string{"host.h": after, "use.h": use, "include/linux/known.h": "#ifndef KNOWN_H\n#endif\n"}
	var objects []Object
	for name, text := range users {
		files[name+".c"] = text
		objects = append(objects, Object{name, []string{name + ".c", "include/linux/known.h", "host.h", "use.h"}})
	}
	files["apart.c"] = "int h = get(1);\n"
	objects = append(objects, Object{"apart", []string{"apart.c"}})

	found, err := Affected(objects, map[string]Change{"host.h": {[]byte(before), []byte(after)}}, func(name string) ([]byte, error) {
		text, ok := files[name]
		if !ok {
			return nil, fmt.Errorf("read %s: %w", name, fs.ErrNotExist)
		}
		return []byte(text), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAffected(t *testing.T) {
	all := slices.Sorted(maps.Keys(users))
	tag := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains([]string{"caller", "limits", "marker", "modes"}, name) })
	get := []string{"first", "getter", "walker", "wrapped"}
	one := []string{"caller"} // any that includes the header, the first one

	// The other way round, where it is not the same.
	back := map[string][]string{
		"a known include": all, "what a body's condition asks for": all, "a member of a member": tag,
	}
	for name, c := range map[string]struct {
		old, new string // in host
		want     []string
	}{
		"nothing":                  {"", "", one},
		"a comment":                {"/* a comment */", "/*\n * Another\n * one.\n */", one},
		"a comment in a structure": {"/* one; two */", "/* three */", one},
		"white space":              {"#define KVM_MAX 4", "#define  KVM_MAX\t4", one},
		"a function":               {"i < kvm->online", "i <= kvm->online", get},
		"a function's type":        {"static inline int get(", "static inline long get(", get},
		"a function that calls it": {"return get(kvm, 0)", "return get(kvm, 1)", []string{"first"}},
		"a function under a condition": {"static __always_inline int get_first(struct kvm *kvm)\n{\n\treturn get(kvm, 0);\n}",
			"#ifdef CONFIG_X\nstatic __always_inline int get_first(struct kvm *kvm)\n{\n\treturn get(kvm, 0);\n}\n#endif", all},
		"a new function":                   {"#define call", "static inline int fresh(void)\n{\n\treturn get(0, 0);\n}\n#define call", one},
		"a macro":                          {"i = 0; get", "(i) = 0; get", []string{"walker"}},
		"a macro of a macro":               {"KVM_MAX 4", "KVM_MAX 5", []string{"limits"}},
		"a macro that gets arguments":      {"#define KVM_IDS (", "#define KVM_IDS() (", []string{"limits"}},
		"a macro that pastes":              {"kick_##what", "kick_##what##_now", []string{"caller"}},
		"what a macro pastes":              {"void kick(", "void kick_all(void);\nvoid kick(", []string{"caller"}},
		"a prototype":                      {"void kick(struct kvm *kvm)", "int kick(struct kvm *kvm)", []string{"kicker"}},
		"a variable":                       {"extern unsigned int halt_ns", "extern unsigned long halt_ns", []string{"kicker"}},
		"a variable with a mark":           {"extern int marked", "extern long marked", []string{"marker"}},
		"what a macro declares":            {"bits, 64", "bits, 65", all},
		"a bit":                            {"int online;", "int online:3, others:4;", tag},
		"a condition in a body":            {"\treturn i < kvm", "#ifdef KVM_X\n\ti++;\n#endif\n\treturn i < kvm", get},
		"what a body's condition asks for": {"#define KVM_MAX 4", "#define KVM_MAX 4\n#define BODY 1", get},
		"an enumerator":                    {"MODE_A, MODE_B = 3", "MODE_A, MODE_B = 4", []string{"modes"}},
		"a member's type":                  {"int online;", "unsigned int online;", []string{"counter", "first", "getter", "sizes", "walker", "wrapped"}},
		"a new member":                     {"\tint online;", "\tint fresh;\n\tint online;", []string{"sizes"}},
		"a member that moves":              {"\tint online;	/* one; two */\n\tstruct list_head list;", "\tstruct list_head list;\n\tint online;", []string{"sizes"}},
		"a member under a condition":       {"\tu64 more;\n#endif", "#endif\n\tu64 more;", []string{"sizes"}},
		"a new condition":                  {"#ifdef CONFIG_MORE", "#ifdef CONFIG_LESS", []string{"sizes"}},
		"a member of a member":             {"int a;", "int c;", append(slices.Clone(tag), "limits")},
		"a structure that is packed":       {"\t};\n};", "\t};\n} __packed;", tag},
		"a known include":                  {"#define KVM_MAX 4", "#include <linux/known.h>\n#define KVM_MAX 4", one},
		"a new include":                    {"#define KVM_MAX 4", "#include <linux/new.h>\n#define KVM_MAX 4", all},
		"an include that goes":             {"#include <linux/types.h>\n", "", all},
		"an #undef":                        {"#define KVM_MAX 4", "#undef KVM_MAX\n#define KVM_MAX 4", all},
		"a type":                           {"enum mode", "typedef int number;\nenum mode", all},
		"a variable with a value":          {"enum mode", "static const int number = 3;\nenum mode", all},
		"a function that isn't inline":     {"enum mode", "int number(void)\n{\n\treturn 3;\n}\nenum mode", all},
		"a condition":                      {"#define call", "#if KVM_MAX > 3\n#endif\n#define call", all},
	} {
		t.Run(name, func(t *testing.T) {
			if c.old != "" && strings.Count(host, c.old) != 1 {
				t.Fatalf("%q is in the header %d times", c.old, strings.Count(host, c.old))
			}
			after := strings.Replace(host, c.old, c.new, 1)
			for what, found := range map[string]map[string]string{"there": affectedBy(t, host, after), "back": affectedBy(t, after, host)} {
				want := c.want
				if what == "back" && back[name] != nil {
					want = back[name]
				}
				if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(maps.Keys(found))); diff != "" {
					t.Errorf("%s: %s\n%v", what, diff, found)
				}
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(host), []byte(use))
	f.Add([]byte("#define"), []byte("struct x {\n#else\n;"))
	f.Add([]byte("}{)(\n{#define \n}"), []byte("static { ( ; \"/*\\\n"))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		objects := []Object{{"o", []string{"o.c", "h.h"}}}
		read := func(string) ([]byte, error) { return after, nil }
		for _, c := range []Change{{before, after}, {after, before}, {nil, after}, {after, nil}} {
			found, err := Affected(objects, map[string]Change{"h.h": c}, read)
			if err != nil || len(found) != 1 {
				t.Fatalf("expected the one object, found %v, %v", found, err)
			}
		}
		if gone := without(split(string(before)), split(string(before))); len(gone) > 0 {
			t.Fatalf("it differs from itself: %v", gone)
		}
	})
}

// TestSplit checks that no token of a header is lost between its items.
func TestSplit(t *testing.T) {
	var got []string
	for _, i := range split(host) {
		for _, w := range i.words {
			if w != "##" {
				w = strings.TrimPrefix(w, "#") // of a line within a declaration
			}
			got = append(got, w)
		}
	}
	// A line within a declaration ends with a semicolon.
	count := func(list []string) map[string]int {
		n := make(map[string]int)
		for _, w := range list {
			if w != ";" && w != "endif" && w != "with arguments" {
				n[w]++
			}
		}
		return n
	}
	if diff := cmp.Diff(count(allWords(host)), count(got)); diff != "" {
		t.Error(diff)
	}
}
