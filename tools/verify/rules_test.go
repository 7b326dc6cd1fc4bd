// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"vcpulab/tools/exit"
	"vcpulab/tools/series"
)

// field is a table with a rule for one field.
const fieldTable = `
in = ["virt/kvm"]
[[field]]
name = "online_vcpus"
base = 'kvm$'
why = "it makes vCPUs visible"
[[field.access]]
form = "atomic_read(&$kvm->online_vcpus)"
[[field.access]]
form = "atomic_inc(&kvm->online_vcpus)"
only = ["kvm_publish_vcpu"]
[[field]]
name = "vcpu_idx"
writes = true
why = "it is given once"
[[field.access]]
form = "vcpu->vcpu_idx = -1"
[[field]]
name = "vcpu_id"
index = true
why = "an ID may be larger than the number of vCPUs"
[[field.access]]
form = "sca->cpu[vcpu->vcpu_id]"
[[walk]]
name = "kvm_for_each_vcpu"
why = "it is one vCPU after the other"
`

// TestRulesOfSets: a rule that is for some sets is for trees with all of them, and
// without those that it rules out.
func TestRulesOfSets(t *testing.T) {
	const table = `
in = ["virt/kvm"]
[[field]]
name = "vcpus"
sets = ["a", "b"]
why = "a field"
[[field.access]]
form = "kvm->vcpus[0]"
[[order]]
function = "f"
file = "virt/kvm/a.c"
sets = ["c"]
why = "an order"
steps = ["first();", "second();"]
[[text]]
file = "virt/kvm/a.c"
form = "int there;"
sets = ["d"]
why = "a text"
[[text]]
file = "virt/kvm/a.c"
form = "int elsewhere;"
sets = ["e", "!f"]
why = "a text"
[[comment]]
file = "virt/kvm/a.c"
says = "None"
before = "kvm->vcpus = NULL;"
sets = ["g"]
why = "a comment"
`
	s := sources(t, map[string]string{"virt/kvm/a.c": "void f(void)\n{\n\tkvm->vcpus = NULL;\n}\n", "ci/verify/rules.toml": table})
	s.Seen = new(sync.Map) // what was found by the rules of one tree is not of others
	for _, c := range []struct {
		sets []string
		want string
	}{
		{nil, ""},
		{[]string{"a", "x"}, ""},
		{[]string{"a", "b"}, "vcpus is accessed in a way"},
		{[]string{"c"}, "f(): a step is missing"},
		{[]string{"d"}, "something is missing"},
		{[]string{"e"}, "something is missing"},
		{[]string{"e", "f"}, ""},
		{[]string{"g"}, "a comment is missing"},
	} {
		s.Sets = c.sets
		if found := findings(t, rules, s); c.want == "" {
			want(t, found)
		} else {
			want(t, found, c.want)
		}
	}
}

// TestOwnTablesNameSets: a set that does not exist would silence its rules.
func TestOwnTablesNameSets(t *testing.T) {
	sets, err := series.LoadSets("../../patches")
	if err != nil {
		t.Fatal(err)
	}
	s := &Submission{Tables: "../../ci/verify"}
	r, err := loadRules(s.table(rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	gone, err := loadRetired(s.table(retiredFile))
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, f := range r.Fields {
		named = append(named, f.Sets...)
	}
	for _, o := range r.Orders {
		named = append(named, o.Sets...)
	}
	for _, x := range r.Texts {
		named = append(named, x.Sets...)
	}
	for _, c := range r.Comments {
		named = append(named, c.Sets...)
	}
	for _, e := range gone.Interfaces {
		named = append(named, e.Sets...)
	}
	for _, name := range named {
		if _, err := sets.Find(strings.TrimPrefix(name, "!")); err != nil {
			t.Error(err)
		}
	}
	for _, rival := range sets.Rivals {
		if !slices.Contains(named, rival.Name) {
			t.Errorf("no rule protects the rival %s", rival.Name)
		}
	}
}

func TestFieldRules(t *testing.T) {
	const good = "void kvm_publish_vcpu(struct kvm_vcpu *vcpu)\n{\n\tatomic_inc(&kvm->online_vcpus);\n}\n" +
		"int f(struct kvm_vcpu *vcpu)\n{\n\tvcpu->vcpu_idx = -1;\n\tsca->cpu[vcpu->vcpu_id] = vcpu;\n\treturn atomic_read(&vcpu->kvm->online_vcpus);\n}\n"
	for name, c := range map[string]struct {
		more string
		want []string
	}{
		"good":             {"", nil},
		"another function": {"void g(void)\n{\n\tatomic_inc(&kvm->online_vcpus);\n}\n", []string{"virt/kvm/a.c:13: g()", "belongs in kvm_publish_vcpu() only", "atomic_inc(&kvm->online_vcpus);"}},
		"another form":     {"void g(void)\n{\n\tatomic_dec(&kvm->online_vcpus);\n}\n", []string{"virt/kvm/a.c:13: g()", "must not be", "expected: atomic_read(&$kvm->online_vcpus)", "why:      it makes"}},
		"half a form":      {"int g(void)\n{\n\treturn kvm->online_vcpus.counter;\n}\n", []string{"found:    return kvm->online_vcpus.counter;"}},
		"in a macro":       {"#define last(kvm) ((kvm)->online_vcpus)\n", []string{"virt/kvm/a.c:11: last()"}},
		"in a comment":     {"/* kvm->online_vcpus */\n// kvm->online_vcpus\nchar *s = \"kvm->online_vcpus\";\n", nil},
		"another base":     {"int g(void)\n{\n\treturn entry->online_vcpus;\n}\n", nil},
		"a declaration":    {"struct a {\n\tint online_vcpus;\n};\n", nil},
		"an initializer":   {"struct a b = {\n\t.online_vcpus = 1,\n};\n", nil},
		"reading is free":  {"int g(void)\n{\n\treturn vcpu->vcpu_idx == 1;\n}\n", nil},
		"an array by ID":   {"int g(void)\n{\n\treturn bits[vcpu->vcpu_id];\n}\n", []string{"g()", "vcpu_id is accessed", "expected: sca->cpu[vcpu->vcpu_id]"}},
		"an ID":            {"int g(void)\n{\n\treturn vcpu->vcpu_id + bits[0];\n}\n", nil},
		"a walk":           {"void g(void)\n{\n\tkvm_for_each_vcpu(i, v, kvm)\n\t\tif (a(b, 1)) {\n\t\t\tkick(v);\n\t\t}\n}\n", nil},
		"another vCPU": {"void g(void)\n{\n\tkvm_for_each_vcpu(v, kvm) {\n\t\tkick(me);\n\t}\n\tkick(v);\n}\n",
			[]string{"virt/kvm/a.c:13: g()", "does nothing with what it visits", "expected: a body that names v"}},
		"one statement":      {"void g(void)\n{\n\tkvm_for_each_vcpu(i, v, kvm)\n\t\tfor (;;)\n\t\t\tkick(me, {1}, i);\n\tkick(v);\n}\n", []string{"does nothing with what it visits"}},
		"a walk's own macro": {"#define kvm_for_each_vcpu(v, kvm) \\\n\tfor (v = first(kvm); v; v = next(v))\n", nil},
		"a walk by a macro":  {"#define for_each_tlb(v, kvm) \\\n\tkvm_for_each_vcpu(v, kvm) if (tlb(v))\n", nil},
		"writing is not":     {"int g(void)\n{\n\tvcpu->vcpu_idx++;\n}\n", []string{"found:    vcpu->vcpu_idx++"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := sources(t, map[string]string{"virt/kvm/a.c": good + c.more, "ci/verify/rules.toml": fieldTable})
			want(t, findings(t, rules, s), c.want...)
		})
	}
	t.Run("nothing there", func(t *testing.T) {
		s := sources(t, map[string]string{"virt/kvm/a.c": "int a;\n", "ci/verify/rules.toml": fieldTable})
		want(t, findings(t, rules, s), "rules.toml", "nothing accesses online_vcpus")
	})
}

const orderTable = `
[[order]]
function = "kvm_publish_vcpu"
file = "virt/kvm/a.c"
why = "it is visible then"
steps = ["vcpus[i] = vcpu;", "smp_wmb();", "atomic_inc(&kvm->online_vcpus)"]
last = true
[[order.gap]]
after = "vcpus[i] = vcpu;"
before = "atomic_inc(&kvm->online_vcpus)"
never = ["return", "goto $label;"]
[[text]]
file = "virt/kvm/a.c"
form = "struct kvm_vcpu *__rcu *vcpus;"
why = "sparse"
`

func TestOrderRules(t *testing.T) {
	const good = "struct kvm_vcpu * __rcu *vcpus;\nvoid kvm_publish_vcpu(void)\n{\n\tvcpus[i] = vcpu;\n\t/* why */\n\tsmp_wmb();\n\tatomic_inc(&kvm->online_vcpus);\n}\n"
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"good":           {"why", "because", nil},
		"barrier gone":   {"\tsmp_wmb();\n", "", []string{"a step is missing", "smp_wmb();, after vcpus[i] = vcpu;"}},
		"barrier early":  {"\tvcpus[i] = vcpu;\n\t/* why */\n\tsmp_wmb();\n", "\tsmp_wmb();\n\tvcpus[i] = vcpu;\n", []string{"virt/kvm/a.c:4: kvm_publish_vcpu()", "comes too early"}},
		"raised early":   {"\tvcpus[i] = vcpu;\n\t/* why */\n\tsmp_wmb();\n\tatomic_inc(&kvm->online_vcpus);\n", "\tatomic_inc(&kvm->online_vcpus);\n\tvcpus[i] = vcpu;\n\tsmp_wmb();\n", []string{"virt/kvm/a.c:4:", "comes too early", "atomic_inc(&kvm->online_vcpus)"}},
		"something more": {"vcpus);\n}", "vcpus);\n\tf();\n}", []string{"virt/kvm/a.c:8:", "something comes after the last step", "f();"}},
		"a way out":      {"\tsmp_wmb();", "\tif (a)\n\t\treturn;\n\tsmp_wmb();", []string{"virt/kvm/a.c:7:", "must not come here", "no return between"}},
		"a goto":         {"\tsmp_wmb();", "\tif (a)\n\t\tgoto out;\n\tsmp_wmb();", []string{"no goto $label; between"}},
		"renamed":        {"kvm_publish_vcpu(", "kvm_show_vcpu(", []string{"there is no function kvm_publish_vcpu()"}},
		"annotation":     {" __rcu", "", []string{"something is missing", "expected: struct kvm_vcpu *__rcu *vcpus;", "why:      sparse"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("there is no %q", c.old)
			}
			s := sources(t, map[string]string{"virt/kvm/a.c": strings.Replace(good, c.old, c.new, 1), "ci/verify/rules.toml": orderTable})
			want(t, findings(t, rules, s), c.want...)
		})
	}
}

const commentTable = `
[[comment]]
file = "virt/kvm/a.c"
says = "the index of the vCPU, not its ID"
before = "vcpu = kvm_get_vcpu($kvm, $i);"
why = "it is ABI"
`

func TestCommentRules(t *testing.T) {
	const (
		comment = "\t/*\n\t * This is the index of the vCPU,\n\t * not its ID.  That is ABI.\n\t */\n"
		good    = "int f(int a)\n{\n" + comment + "\tvcpu = kvm_get_vcpu(kvm, a);\n\treturn g(vcpu);\n}\n"
	)
	for name, c := range map[string]struct {
		old, new string
		want     []string
	}{
		"good":            {"ABI", "so", nil},
		"other lines":     {"index of the vCPU,\n\t * not its", "index\n\t * of the vCPU, not\n\t * its", nil},
		"one line":        {comment, "\t// the index of the vCPU, not its ID\n", nil},
		"another comment": {comment, comment + "\t/* a comes from userspace */\n", nil},
		"there twice":     {"int f", "/* the index of the vCPU, not its ID */\nint f", nil},
		"gone":            {comment, "", []string{"virt/kvm/a.c: a comment is missing", `expected: "the index of the vCPU, not its ID", right before vcpu = kvm_get_vcpu($kvm, $i);`, "why:      it is ABI"}},
		"other words":     {"the index of the vCPU,\n\t * not its ID", "the ID of the vCPU,\n\t * not its index", []string{"a comment is missing"}},
		"in the code":     {comment, "\tputs(\"the index of the vCPU, not its ID\");\n", []string{"a comment is missing"}},
		"other code":      {"kvm_get_vcpu(", "kvm_get_vcpu_by_id(", []string{"virt/kvm/a.c:3: f()", "this comment is not where it belongs", "found:    vcpu = kvm_get_vcpu_by_id(kvm, a);"}},
		"too late":        {good, "int f(int a)\n{\n\tvcpu = kvm_get_vcpu(kvm, a);\n" + comment + "\treturn g(vcpu);\n}\n", []string{"virt/kvm/a.c:4: f()", "is not where it belongs", "found:    return g(vcpu);"}},
		"at the end":      {good, comment, []string{"virt/kvm/a.c:1:", "is not where it belongs", "found:    the end of the file after it"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("there is no %q", c.old)
			}
			s := sources(t, map[string]string{"virt/kvm/a.c": strings.Replace(good, c.old, c.new, 1), "ci/verify/rules.toml": commentTable})
			want(t, findings(t, rules, s), c.want...)
		})
	}
}

func TestLoadRulesBad(t *testing.T) {
	for name, c := range map[string]struct{ table, want string }{
		"not there":      {"", "no such file"},
		"unknown key":    {"[[field]]\nnames = 'a'\n", "names"},
		"no TOML":        {"[[field\n", "field"},
		"no reason":      {"[[field]]\nname = 'a'\n", "field a: it has no why"},
		"no pattern":     {"[[text]]\nfile = 'a'\nform = ''\nwhy = 'b'\n", "has no tokens"},
		"no steps":       {"[[order]]\nfunction = 'a'\nwhy = 'b'\n", "order of a: it has no steps"},
		"no words":       {"[[comment]]\nfile = 'a'\nsays = ' '\nbefore = 'b'\nwhy = 'c'\n", "comment in a: it has no says"},
		"no code":        {"[[comment]]\nfile = 'a'\nsays = 'b'\nwhy = 'c'\n", "comment in a: it has no before"},
		"bad expression": {"[[field]]\nname = 'a'\nwhy = 'b'\nbase = '('\n", "missing closing )"},
	} {
		t.Run(name, func(t *testing.T) {
			file := t.TempDir() + "/rules.toml"
			if c.table != "" {
				if err := os.WriteFile(file, []byte(c.table), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := loadRules(file); exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), c.want) {
				t.Errorf("expected %q and exit code %d, found %v", c.want, exit.Usage, err)
			}
		})
	}
}

// TestOwnRules breaks the project's own series in ways that no compiler
// complains about: the project's table has to know each of them.
func TestOwnRules(t *testing.T) {
	const main, host = "virt/kvm/kvm_main.c", "include/linux/kvm_host.h"
	s := own(t)
	t.Run("as it is", func(t *testing.T) { want(t, findings(t, rules, s)) })
	const raise = "\tatomic_set_release(&kvm->online_vcpus, vcpu->vcpu_idx + 1);\n"
	for name, c := range map[string]struct {
		file, old, new string
		want           string
	}{
		"publishing without a barrier":   {main, raise, "\tatomic_set(&kvm->online_vcpus, vcpu->vcpu_idx + 1);\n", "atomic_set_release("},
		"online before the slot":         {main, "\tvcpus[vcpu->vcpu_idx] = vcpu;\n", raise + "\tvcpus[vcpu->vcpu_idx] = vcpu;\n", "this is done once more"},
		"listed before it is complete":   {main, "\tr = kvm_arch_vcpu_create(vcpu);\n", "\tkvm->first_vcpu = vcpu;\n\tr = kvm_arch_vcpu_create(vcpu);\n", "belongs in kvm_publish_vcpu()"},
		"published before the slot":      {main, "\tr = kvm_reserve_vcpu_idx(", "\tkvm_publish_vcpu(vcpu);\n\tr = kvm_reserve_vcpu_idx(", ""},
		"not linked to the one before":   {main, "kvm_get_vcpu(kvm, vcpu->vcpu_idx - 1)->next = vcpu;", "kvm->first_vcpu->next = vcpu;", "kvm_get_vcpu(kvm, vcpu->vcpu_idx - 1)->next"},
		"the map is not filled":          {main, "\tr = kvm_map_vcpu_id(kvm, id, atomic_read(&kvm->online_vcpus));\n", "", "kvm_map_vcpu_id(kvm, id, atomic_read(&kvm->online_vcpus));"},
		"the map without those before":   {main, "for (i = 0; !r && (vcpu = kvm_get_vcpu(kvm, i)); i++)", "for (i = 0; !r && (vcpu = kvm_get_vcpu(kvm, i)); i += 2)", "kvm_get_vcpu(kvm, i)); i++)"},
		"the map in a plain store":       {main, "smp_store_release(&kvm->vcpu_id_map, map);", "kvm->vcpu_id_map = map;", "smp_store_release(&kvm->vcpu_id_map, map);"},
		"a chunk in a plain store":       {main, "smp_store_release(&map->chunks[id / KVM_VCPU_IDS_PER_CHUNK],\n\t\t\t\t  chunk);", "map->chunks[id / KVM_VCPU_IDS_PER_CHUNK] = chunk;", "smp_store_release(&map->chunks["},
		"a table short of one":           {main, "memcpy(new, vcpus, kvm->nr_vcpu_slots * sizeof(*new));", "memcpy(new, vcpus, (kvm->nr_vcpu_slots - 1) * sizeof(*new));", "memcpy("},
		"the table in a plain store":     {main, "rcu_assign_pointer(kvm->vcpus, new);", "kvm->vcpus = new;", "rcu_assign_pointer(kvm->vcpus, new);"},
		"the table before it is filled":  {main, "\tmemcpy(new, vcpus, kvm->nr_vcpu_slots * sizeof(*new));\n\trcu_assign_pointer(kvm->vcpus, new);\n", "\trcu_assign_pointer(kvm->vcpus, new);\n\tmemcpy(new, vcpus, kvm->nr_vcpu_slots * sizeof(*new));\n", "too early"},
		"the old table freed at once":    {main, "call_rcu(&old->rcu, kvm_free_old_vcpus);", "kvm_free_old_vcpus(&old->rcu);", "call_rcu(&old->rcu, kvm_free_old_vcpus);"},
		"the old table freed after all":  {main, "\trcu_assign_pointer(kvm->vcpus, new);\n", "\trcu_assign_pointer(kvm->vcpus, new);\n\tkfree(vcpus);\n", "no kfree between"},
		"the slot before there is one":   {main, "\tr = kvm_reserve_vcpu_idx(kvm, vcpu->vcpu_idx);\n", "", "kvm_reserve_vcpu_idx(kvm, vcpu->vcpu_idx);"},
		"the descriptor too early":       {main, "\tkvm_get_kvm(kvm);\n\tkvm_publish_vcpu(vcpu);\n", "\tkvm_get_kvm(kvm);\n\tfd_install(fd, file);\n\tkvm_publish_vcpu(vcpu);\n", ""},
		"a failure undoes nothing":       {main, "\t\tr = -ENOMEM;\n\t\tgoto vcpu_decrement;\n", "\t\treturn -ENOMEM;\n", "goto vcpu_decrement;"},
		"a failure undoes too little":    {main, "\tif (r)\n\t\tgoto dirty_ring_free;\n", "\tif (r)\n\t\tgoto vcpu_free_run_page;\n", "goto dirty_ring_free;"},
		"a step is not undone":           {main, "vcpu_decrement:\n\tkvm->created_vcpus--;\n", "vcpu_decrement:\n", "kvm->created_vcpus--;"},
		"a vCPU over two lines":          {main, "SLAB_ACCOUNT | SLAB_HWCACHE_ALIGN,", "SLAB_ACCOUNT,", "SLAB_HWCACHE_ALIGN"},
		"the busy vCPU unlocked, too":    {main, "\t\tif (vcpu == busy)\n\t\t\tbreak;\n\t\tmutex_unlock(&vcpu->mutex);\n", "\t\tmutex_unlock(&vcpu->mutex);\n\t\tif (vcpu == busy)\n\t\t\tbreak;\n", "lock_all_vcpus()"},
		"destroyed before it is hidden":  {main, "\t\tatomic_set(&kvm->online_vcpus, i);\n", "\t\tkvm_vcpu_destroy(vcpu);\n\t\tatomic_set(&kvm->online_vcpus, i);\n", ""},
		"never hidden":                   {main, "\t\tatomic_set(&kvm->online_vcpus, i);\n", "", "atomic_set(&kvm->online_vcpus, i);"},
		"no barrier for the callbacks":   {main, "\trcu_barrier();\n}\nEXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_exit)", "}\nEXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_exit)", "rcu_barrier();"},
		"the bound in a plain read":      {host, "return atomic_read_acquire(&kvm->online_vcpus);", "return atomic_read(&kvm->online_vcpus);", "atomic_read_acquire(&kvm->online_vcpus);"},
		"the walk in a plain read":       {host, "unsigned int nr_vcpus = kvm_get_online_vcpus(kvm);", "unsigned int nr_vcpus = atomic_read(&kvm->online_vcpus);", "kvm_start_vcpu_walk()"},
		"no bound under speculation":     {host, "\ti = array_index_nospec(i, num_vcpus);\n", "", "array_index_nospec(i, num_vcpus);"},
		"the table outside of RCU":       {host, "\trcu_read_lock_sched();\n", "", "rcu_read_lock_sched();"},
		"the table after RCU":            {host, "\tvcpu = rcu_dereference_sched(kvm->vcpus)[i];\n\trcu_read_unlock_sched();\n", "\trcu_read_unlock_sched();\n\tvcpu = rcu_dereference_sched(kvm->vcpus)[i];\n", "too early"},
		"the table in a plain read":      {host, "rcu_dereference_sched(kvm->vcpus)[i]", "kvm->vcpus[i]", "rcu_dereference_sched(kvm->vcpus)[i]"},
		"an ID not compared":             {host, "\tif (!vcpu || vcpu->vcpu_id != id)\n", "\tif (!vcpu)\n", "vcpu->vcpu_id != id"},
		"no bound of the ID":             {host, "\t\tid = array_index_nospec(id, KVM_MAX_VCPU_IDS);\n", "", "array_index_nospec(id, KVM_MAX_VCPU_IDS);"},
		"the entry in a plain read":      {host, "READ_ONCE(chunk->idx[id % KVM_VCPU_IDS_PER_CHUNK])", "chunk->idx[id % KVM_VCPU_IDS_PER_CHUNK]", "kvm_get_vcpu_by_id()"},
		"a walk that skips the first":    {host, "nr_vcpus ? kvm->first_vcpu : NULL", "nr_vcpus ? kvm->first_vcpu->next : NULL", "kvm_start_vcpu_walk()"},
		"a walk to the end of the list":  {host, "--__left ? (vcpup)->next : NULL", "(vcpup)->next", "kvm_for_each_vcpu()"},
		"no annotation":                  {host, "struct kvm_vcpu * __rcu *vcpus;", "struct kvm_vcpu **vcpus;", "struct kvm_vcpu *__rcu *vcpus;"},
		"an architecture helps itself":   {"arch/s390/kvm/s390/s390.c", "\tlockdep_assert_held(&kvm->lock);", "\tatomic_dec(&kvm->online_vcpus);", "online_vcpus is accessed"},
		"an architecture walks the list": {"arch/x86/kvm/lapic.c", "\tkvm_for_each_vcpu(vcpu, kvm) {", "\tfor (vcpu = kvm->first_vcpu; vcpu; vcpu = vcpu->next) {", "next is accessed"},
		"a notifier during destruction":  {"arch/s390/kvm/s390/s390.c", "\tif (kvm->arch.pv.mmu_notifier.ops)\n\t\tmmu_notifier_unregister(&kvm->arch.pv.mmu_notifier, kvm->mm);\n\n", "", "mmu_notifier_unregister("},
		"a timer during destruction":     {"arch/x86/kvm/x86.c", "\tkvm_xen_pre_destroy_vm(kvm);\n", "", "kvm_xen_pre_destroy_vm(kvm);"},
		"a map of what was freed":        {"arch/x86/kvm/x86.c", "\tkvfree(rcu_replace_pointer(kvm->arch.apic_map, NULL, true));\n\n\tkvm_destroy_vcpus(kvm);\n", "\tkvm_destroy_vcpus(kvm);\n\tkvfree(rcu_replace_pointer(kvm->arch.apic_map, NULL, true));\n", "too early"},
		"an ID taken for an index":       {"arch/arm64/kvm/vgic/vgic-mmio-v2.c", "kvm_get_vcpu_by_id(vcpu->kvm, __ffs(irq->targets))", "kvm_get_vcpu(vcpu->kvm, __ffs(irq->targets))", "belongs in"},
		"an index taken for an ID":       {"arch/riscv/kvm/aia_device.c", "kvm_get_vcpu(kvm, vcpu_idx)", "kvm_get_vcpu_by_id(kvm, vcpu_idx)", "belongs in"},
		"a comment gone":                 {"arch/arm64/include/asm/kvm_host.h", "\t/* vcpu_idx, by compressed MPIDR */\n", "", "a comment is missing"},
		"a comment left behind":          {"arch/riscv/kvm/aia_device.c", "\tvcpu = kvm_get_vcpu(kvm, vcpu_idx);", "\tmutex_lock(&kvm->lock);\n\tvcpu = kvm_get_vcpu(kvm, vcpu_idx);", "not where it belongs"},
		"a comment of the contrary":      {main, "bit for each vcpu_idx", "bit for each vcpu_id", "a comment is missing"},
		"a bitmap of IDs":                {"arch/riscv/kvm/tlb.c", "bitmap_set(vcpu_mask, vcpu->vcpu_idx, 1);", "bitmap_set(vcpu_mask, vcpu->vcpu_id, 1);", "bitmap_set(vcpu_mask, vcpu->vcpu_idx, 1);"},
	} {
		t.Run(name, func(t *testing.T) {
			found := findings(t, rules, edited(t, s, c.file, c.old, c.new))
			if len(found) == 0 {
				t.Fatal("expected a finding, found none")
			}
			want(t, found, c.want, c.file)
		})
	}
}
