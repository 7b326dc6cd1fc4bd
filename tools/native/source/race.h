/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM grows from one vCPU on while a thread, which has a processor of its own,
 * looks vCPUs up in it.  Whoever creates the vCPUs waits after each one until the
 * reader has made so and so many lookups: a VM of every size is looked at for as
 * long, whatever either of them costs.  That's also what one thread does that
 * looks vCPUs up and creates them in turn: it's alone.
 */
#include <pthread.h>
#include <sched.h>

/* How many vCPUs a run looks up at most: those that came last. */
#define WINDOW			64
/* Runs for each size of the VM, and lookups of one at most. */
#define RUNS			2
#define MOST_LOOKUPS		16384
#define MAX_GROWTHS		16

struct race {
	struct kvm *kvm;
	struct place place;
	struct kvm_vcpu **vcpus;	/* there */
	u32 nr_vcpus, lookups;
	/*
	 * By index: the index and the ID, and the sums of the addresses and of
	 * the indices of all before.
	 */
	int *indices, *ids;
	u64 *addresses, *index_sums;
	/* What was looked up in VMs of each size, and in what time on the processor. */
	struct reading {
		u64 lookups, nanos;
	} *readings;
	/* What creating each vCPU took. */
	u32 *nanos;
	int cpu, clock;		/* the creator's processor, see clock_cost() */
	int cpu_clock;
	const char *wrong;
	bool created;
};

static u64 clock_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Make a walk.  It finds those that were online before it, and maybe newer ones. */
static const char *walk_once(struct race *r, u64 *lookups)
{
	u32 before = atomic_read_acquire(&r->kvm->online_vcpus), after;
	u64 sum = loops[VCPULOOPS_WALK](r->kvm, NULL, 0, 1);

	after = atomic_read_acquire(&r->kvm->online_vcpus);
	for (; before <= after; before++) {
		if (sum == r->addresses[before]) {
			*lookups += before;
			return NULL;
		}
	}

	return "wrong checksum: a walk found other vCPUs than those that were created, while the VM grew";
}

/* Make a run of lookups, and verify all that they find. */
static const char *look_up(struct race *r, u32 op, u32 online, u64 *lookups)
{
	u32 nr = min(min(online, (u32)WINDOW), r->lookups), passes = DIV_ROUND_UP(r->lookups, nr);
	const int *numbers = op == VCPULOOPS_BY_ID ? r->ids : r->indices;
	const u64 *sums = op == VCPULOOPS_NOP ? r->index_sums : r->addresses;
	const char *wrong = NULL;
	u32 first = online - nr;

	if (op == VCPULOOPS_WALK) {
		while (!wrong && *lookups < r->lookups)
			wrong = walk_once(r, lookups);
		return wrong;
	}

	*lookups = (u64)nr * passes;
	if (loops[op](r->kvm, numbers + first, nr, passes) != passes * (sums[online] - sums[first]))
		return "wrong checksum: a lookup returned the wrong vCPU while the VM grew";

	return NULL;
}

/* Make a run, and add it to those of the VM's size. */
static const char *timed(struct race *r, u32 op)
{
	u32 online = atomic_read_acquire(&r->kvm->online_vcpus);
	u64 start = clock_now(CLOCK_THREAD_CPUTIME_ID), lookups = 0, nanos;
	const char *wrong = look_up(r, op, online, &lookups);

	nanos = clock_now(CLOCK_THREAD_CPUTIME_ID) - start;
	r->readings[online].lookups += lookups;
	r->readings[online].nanos += nanos > r->cpu_clock ? nanos - r->cpu_clock : 0;
	return wrong;
}

static const char *create(struct race *r, u32 i)
{
	u64 start = clock_now(CLOCK_MONOTONIC);
	int error = add_vcpu(r->kvm, r->vcpus[i], r->ids[i]);

	r->nanos[i] = min(clock_now(CLOCK_MONOTONIC) - start, (u64)UINT32_MAX);
	return error ? "a vCPU could not be created" : NULL;
}

/* A new VM with a vCPU, in the memory of the one before. */
static const char *begin(struct race *r)
{
	u32 i __attribute__((unused));

	vm_free_all();
	init_vm(r->kvm);
	memset(r->readings, 0, (r->nr_vcpus + 1) * sizeof(*r->readings));
#ifdef VCPU_HAS_NEXT
	for (i = 0; i < r->nr_vcpus; i++)
		r->vcpus[i]->next = NULL;
#endif
	return create(r, 0);
}

/* What a lookup took, the mean over all sizes: each counts as much. */
static double per_lookup(const struct race *r)
{
	double sum = 0;
	u32 i;

	for (i = 1; i <= r->nr_vcpus; i++)
		sum += r->readings[i].nanos / (double)max(r->readings[i].lookups, (u64)1);

	return sum / r->nr_vcpus;
}

/* One thread does both in turn. */
static const char *grow_alone(struct race *r, u32 op, double *out)
{
	const char *wrong = begin(r);
	u32 i, run;

	for (i = 1; !wrong && i <= r->nr_vcpus; i++) {
		for (run = 0; !wrong && run < RUNS; run++)
			wrong = timed(r, op);
		rcu_quiescent++;
		rcu_reap();
		if (!wrong && i < r->nr_vcpus)
			wrong = create(r, i);
	}
	*out = per_lookup(r);
	return wrong;
}

static const char *pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? "cannot run on the processor that it should" : NULL;
}

static void *create_all(void *arg)
{
	struct race *r = arg;
	const char *wrong = pin(r->cpu);
	u32 i, since;

	for (i = 1; !wrong; i++) {
		since = __atomic_load_n(&rcu_quiescent, __ATOMIC_SEQ_CST);
		if (i < r->nr_vcpus)
			wrong = create(r, i);
		while (__atomic_load_n(&rcu_quiescent, __ATOMIC_ACQUIRE) - since < RUNS &&
		       !__atomic_load_n(&r->wrong, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
		rcu_reap();
		if (i >= r->nr_vcpus || __atomic_load_n(&r->wrong, __ATOMIC_RELAXED))
			break;
	}
	__atomic_store_n(&r->created, true, __ATOMIC_RELEASE);
	return (void *)wrong;
}

/* Another thread creates the vCPUs. */
static const char *grow_beside(struct race *r, u32 op, double *out)
{
	const char *wrong = begin(r);
	pthread_t creator;
	void *said;

	r->wrong = NULL;
	r->created = false;
	if (wrong)
		return wrong;

	rcu_other_reader = true;
	if (pthread_create(&creator, NULL, create_all, r))
		return "no second thread";

	while (!__atomic_load_n(&r->created, __ATOMIC_ACQUIRE)) {
		wrong = wrong ? wrong : timed(r, op);
		if (wrong)
			__atomic_store_n(&r->wrong, wrong, __ATOMIC_RELAXED);
		/* A full barrier, see rcu_quiescent. */
		__atomic_fetch_add(&rcu_quiescent, 1, __ATOMIC_SEQ_CST);
	}
	pthread_join(creator, &said);
	rcu_other_reader = false;
	*out = per_lookup(r);
	if (!wrong && !said && atomic_read(&r->kvm->online_vcpus) != r->nr_vcpus)
		return "the VM did not grow";
	return wrong ? wrong : said;
}

static int compare(const void *a, const void *b)
{
	return *(const u32 *)a < *(const u32 *)b ? -1 : *(const u32 *)a > *(const u32 *)b;
}

/*
 * What all creations of a VM but the first take: of each one the median over the
 * growths, so that it doesn't count what else ran meanwhile.
 */
static u64 created_in(const struct race *r, const u32 *nanos, u32 growths)
{
	u32 of[MAX_GROWTHS], i, g;
	u64 sum = 0;

	for (i = 1; i < r->nr_vcpus; i++) {
		for (g = 0; g < growths; g++)
			of[g] = nanos[(u64)g * r->nr_vcpus + i];
		qsort(of, growths, sizeof(of[0]), compare);
		sum += of[growths / 2] > r->clock ? of[growths / 2] - r->clock : 0;
	}

	return sum;
}

/* What reading the clock adds to the time between two readings. */
static u32 clock_cost(clockid_t clock)
{
	u32 least = UINT32_MAX, i;
	u64 start;

	for (i = 0; i < 1000; i++) {
		start = clock_now(clock);
		least = min(least, (u32)(clock_now(clock) - start));
	}

	return least;
}

/* How many lookups a run has, to take so long with all vCPUs there. */
static const char *calibrate(struct race *r, u32 op, u32 run_nanos)
{
	u64 all = 0, lookups, start, nanos = 0;
	const char *wrong;
	double unused;

	r->lookups = WINDOW;
	wrong = grow_alone(r, VCPULOOPS_NOP, &unused);
	start = clock_now(CLOCK_THREAD_CPUTIME_ID);
	while (!wrong && nanos < 100000) {
		lookups = 0;
		wrong = look_up(r, op, r->nr_vcpus, &lookups);
		all += lookups;
		nanos = clock_now(CLOCK_THREAD_CPUTIME_ID) - start;
	}
	if (!wrong)
		r->lookups = max(min(all * run_nanos / nanos, (u64)MOST_LOOKUPS), (u64)1);
	return wrong;
}

static const char *prepare(struct race *r)
{
	u32 n = r->nr_vcpus, i;

	r->kvm = aligned_alloc(4096, (sizeof(*r->kvm) + 4095) / 4096 * 4096);
	r->indices = calloc(n, sizeof(*r->indices));
	r->ids = calloc(n, sizeof(*r->ids));
	r->addresses = calloc(n + 1, sizeof(*r->addresses));
	r->index_sums = calloc(n + 1, sizeof(*r->index_sums));
	r->readings = calloc(n + 1, sizeof(*r->readings));
	r->clock = clock_cost(CLOCK_MONOTONIC);
	r->cpu_clock = clock_cost(CLOCK_THREAD_CPUTIME_ID);
	if (!make_place(&r->place, n) || !r->readings || !r->kvm || !r->indices || !r->ids || !r->addresses || !r->index_sums)
		return "out of memory";

	r->vcpus = r->place.vcpus;
	for (i = 0; i < n; i++) {
		if (scanf("%d", &r->ids[i]) != 1)
			return "IDs are missing";
		r->indices[i] = i;
		r->addresses[i + 1] = r->addresses[i] + (unsigned long)r->vcpus[i];
		r->index_sums[i + 1] = r->index_sums[i] + i;
	}

	return NULL;
}

static void release(struct race *r)
{
	vm_free_all();
	free_place(&r->place);
	free(r->kvm);
	free(r->indices);
	free(r->ids);
	free(r->addresses);
	free(r->index_sums);
	free(r->readings);
}

/*
 * Let VMs grow: with lookups by the thread that creates the vCPUs, and by another
 * one; and both with a loop that looks nothing up.
 */
static const char *race(void)
{
	double alone, alone_own, beside, beside_own;
	u32 op, growths, run_nanos, g;
	u32 *idle, *busy, *scratch;
	struct race r = { 0 };
	const char *wrong;
	int cpu;

	if (scanf("%u %u %u %d %d %u", &op, &growths, &run_nanos, &cpu, &r.cpu, &r.nr_vcpus) != 6 ||
	    op >= VCPULOOPS_NR_OPS || !growths || growths > MAX_GROWTHS || !run_nanos ||
	    r.nr_vcpus < 2 || r.nr_vcpus > KVM_MAX_VCPUS || cpu == r.cpu)
		return "not a race";

	scratch = calloc(r.nr_vcpus, sizeof(*scratch));
	idle = calloc(r.nr_vcpus, growths * sizeof(*idle));
	busy = calloc(r.nr_vcpus, growths * sizeof(*busy));
	wrong = scratch && idle && busy ? prepare(&r) : "out of memory";
	wrong = wrong ? wrong : pin(cpu);
	r.nanos = scratch;
	wrong = wrong ? wrong : calibrate(&r, op, run_nanos);

	for (g = 0; !wrong && g < growths; g++) {
		r.nanos = scratch;
		wrong = grow_alone(&r, op, &alone);
		wrong = wrong ? wrong : grow_alone(&r, VCPULOOPS_NOP, &alone_own);
		r.nanos = busy + g * r.nr_vcpus;
		wrong = wrong ? wrong : grow_beside(&r, op, &beside);
		r.nanos = idle + g * r.nr_vcpus;
		wrong = wrong ? wrong : grow_beside(&r, VCPULOOPS_NOP, &beside_own);
		if (!wrong)
			printf("%.4f %.4f %.4f %.4f ", alone, alone_own, beside, beside_own);
	}
	if (!wrong)
		printf("%llu %llu\n", (unsigned long long)created_in(&r, idle, growths),
		       (unsigned long long)created_in(&r, busy, growths));

	release(&r);
	free(scratch);
	free(idle);
	free(busy);
	return wrong;
}
