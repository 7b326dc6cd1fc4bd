// SPDX-License-Identifier: GPL-2.0-only
//go:build ignore
/*
 * Builds a VM and runs the measured loops on it, as it is told to on its
 * standard input:
 *
 *	vm N ID...			N vCPUs with these IDs
 *	run OP PASSES FOUND N NUMBER...	a loop over these numbers
 *	race OP GROWTHS NANOS CPU CPU N ID...
 *					lookups while VMs grow to N vCPUs with
 *					these IDs, see race.h
 *	caches CPU CPU BLOCKS N (OP BODY STATE)...
 *					walks and lookups in states of the
 *					caches, see caches.h; the second
 *					processor is -1 if there's none
 *
 *	count TYPE CONFIG		have runs count this event of
 *					perf_event_open(), too
 *
 * A run is answered by a line with the nanoseconds that the loop took, and how
 * often the event happened if it's counted; a race by one with what it measured;
 * caches by a line of JSON; and each by one that begins with an exclamation mark and says what is wrong.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <linux/perf_event.h>

#include "kvm.h"

struct vcpuloops_run {
	u32 op, nr, passes;
};

#define cond_resched()	do { } while (0)

#ifdef WALK_HAS_INDEX
#define walk_vcpus(idx, vcpu, kvm)	kvm_for_each_vcpu(idx, vcpu, kvm)
#else
#define walk_vcpus(idx, vcpu, kvm)	kvm_for_each_vcpu(vcpu, kvm)
#endif

typedef u64 (*loop_fn)(struct kvm *kvm, const int *numbers, u32 nr, u32 passes);

#include "loops.h"
#include "place.h"

/* The vCPU is zeroed. */
static int add_vcpu(struct kvm *kvm, struct kvm_vcpu *vcpu, int id)
{
	int r = 0;

	vcpu->kvm = kvm;
	vcpu->vcpu_id = id;
	vcpu->vcpu_idx = atomic_read(&kvm->online_vcpus);
#if defined(HAS_XARRAY)
	r = xa_insert(&kvm->vcpu_array, vcpu->vcpu_idx, vcpu, GFP_KERNEL);
#elif defined(HAS_RESERVE)
	r = kvm_reserve_vcpu_idx(kvm, vcpu->vcpu_idx);
#endif
#ifdef HAS_ID_MAP
	if (!r)
		r = kvm_map_vcpu_id(kvm, id, vcpu->vcpu_idx);
#endif
	if (r)
		return r;
#ifdef HAS_PUBLISH
	kvm_publish_vcpu(vcpu);
#else
	smp_wmb();
	atomic_inc(&kvm->online_vcpus);
#endif
	return 0;
}

static void init_vm(struct kvm *kvm)
{
	memset(kvm, 0, sizeof(*kvm));
#if defined(HAS_XARRAY)
	xa_init(&kvm->vcpu_array);
#elif defined(HAS_TABLE)
	kvm->vcpus = &kvm->first_vcpu;
	kvm->nr_vcpu_slots = 1;
#elif defined(HAS_SEGMENTS)
	kvm->vcpu_segs[0] = kvm->first_vcpus;
	kvm->vcpu_seg_masks[0] = ARRAY_SIZE(kvm->first_vcpus) - 1;
#endif
}

/* The VM that loops run on. */
static struct {
	struct kvm *kvm;
	struct place place;
	int *ids;
	u32 nr_vcpus;
} vm;

static void free_memory(void)
{
	vm_free_all();
	free_place(&vm.place);
	free(vm.kvm);
	vm.kvm = NULL;
}

static void free_vm(void)
{
	free_memory();
	free(vm.ids);
	vm.ids = NULL;
}

/* Create its vCPUs, at other places than those of before. */
static const char *place_vm(void)
{
	struct kvm *kvm = aligned_alloc(4096, round_to(sizeof(*kvm), 4096));
	u32 i;

	free_memory();
	if (!kvm || !make_place(&vm.place, vm.nr_vcpus))
		return "no memory for the VM";

	init_vm(kvm);
	for (i = 0; i < vm.nr_vcpus; i++) {
		if (add_vcpu(kvm, vm.place.vcpus[i], vm.ids[i]))
			return "a vCPU could not be created";
		/* There are no lookups yet. */
		rcu_quiescent++;
		rcu_reap();
	}
	vm.kvm = kvm;
	return NULL;
}

static const char *build_vm(void)
{
	u32 i;

	free_vm();
	if (scanf("%u", &vm.nr_vcpus) != 1 || !vm.nr_vcpus || vm.nr_vcpus > KVM_MAX_VCPUS)
		return "not a VM";

	vm.ids = calloc(vm.nr_vcpus, sizeof(*vm.ids));
	for (i = 0; vm.ids && i < vm.nr_vcpus; i++) {
		if (scanf("%d", &vm.ids[i]) != 1)
			return "IDs are missing";
	}
	return vm.ids ? place_vm() : "no memory for the VM";
}

#include "race.h"
#include "states.h"
#include "caches.h"
#include "blocks.h"

/*
 * Not the thread's own time: in a virtual machine, what the host takes away is
 * taken off that clock later, e.g. while something else is measured, which
 * then seems faster than it is.  Of this one's runs the fastest is right.
 */
static u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* What is counted, -1 for nothing. */
static int counter = -1;

static const char *count(void)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .exclude_hv = 1 };
	unsigned long long config;

	if (scanf("%u %llu", &attr.type, &config) != 2)
		return "not an event";

	attr.config = config;
	/* What an interrupt takes isn't the lookup's; and everybody may count this. */
	attr.exclude_kernel = attr.type == PERF_TYPE_HARDWARE;
	counter = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	if (counter < 0)
		return "the event cannot be counted";

	puts("ok");
	return NULL;
}

static u64 counted(void)
{
	u64 events = 0;

	if (counter >= 0 && read(counter, &events, sizeof(events)) != sizeof(events))
		events = 0;
	return events;
}

static const char *run(struct kvm *kvm)
{
	u64 start, nanos, events, found_sum, sum;
	struct vcpuloops_run run;
	u32 expect, found, i;
	int *numbers;

	if (!kvm || scanf("%u %u %u %u", &run.op, &run.passes, &expect, &run.nr) != 4 ||
	    run.op >= VCPULOOPS_NR_OPS || !run.nr || run.nr > 1 << 20)
		return "not a loop, or no VM to run it on";

	numbers = calloc(run.nr, sizeof(*numbers));
	for (i = 0; numbers && i < run.nr; i++) {
		if (scanf("%d", &numbers[i]) != 1)
			return "numbers are missing";
	}
	if (!numbers)
		return "out of memory";

	sum = expected_of_pass(kvm, &run, numbers, &found) * run.passes;
	if (found != expect)
		return "the VM does not have the vCPUs that it should have";

	/*
	 * The process was asleep until just now, and whatever ran meanwhile had
	 * the caches and the branch predictor.
	 */
	loops[run.op](kvm, numbers, run.nr, run.passes / 2 + 1);

	events = counted();
	start = now();
	found_sum = loops[run.op](kvm, numbers, run.nr, run.passes);
	nanos = now() - start;
	events = counted() - events;
	if (found_sum != sum)
		return "wrong checksum: a lookup returned the wrong vCPU";

	free(numbers);
	if (counter >= 0)
		printf("%llu %llu\n", (unsigned long long)nanos, (unsigned long long)events);
	else
		printf("%llu\n", (unsigned long long)nanos);
	return NULL;
}

int main(void)
{
	const char *wrong;
	char what[8];

	while (scanf("%7s", what) == 1) {
		wrong = "not a command";
		if (!strcmp(what, "vm")) {
			wrong = build_vm();
			if (!wrong)
				puts("ok");
		} else if (!strcmp(what, "run")) {
			wrong = run(vm.kvm);
		} else if (!strcmp(what, "count")) {
			wrong = count();
		} else if (!strcmp(what, "race")) {
			/* Its VMs take the place of the one that was there. */
			free_vm();
			wrong = race();
		} else if (!strcmp(what, "caches")) {
			wrong = vm.kvm ? caches() : "no VM";
		}
		if (wrong) {
			printf("!%s\n", wrong);
			return 1;
		}
		fflush(stdout);
	}

	return 0;
}
