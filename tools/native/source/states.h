/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * States of the cache lines that walks and lookups read, and the time of one visit.
 *
 * What is in which state are the lines of each vCPU that a walk or a lookup can
 * touch, and all of the container: struct kvm, and whatever was allocated for it.
 * Code, the stack and the translations of addresses stay where they are.
 */
#include <sched.h>
#include <sys/resource.h>
#include <x86intrin.h>

/* As measure.States has them. */
enum state {
	HOT,		/* all were read just before */
	WRITTEN,	/* and then another processor wrote each vCPU's mode */
	FLUSHED,	/* in no cache */
	NR_STATES,
};

typedef u64 (*visit_fn)(struct kvm *kvm, int number);

struct caches {
	struct kvm *kvm;
	struct kvm_vcpu **vcpus;
	const int *ids;
	u32 nr_vcpus;
	char **lines;			/* of vCPUs */
	u32 nr_lines;
	struct extent {
		char *begin;
		u64 size;
	} *container;
	u32 nr_container;
	int cpu, writer_cpu;
	u32 generation;			/* what mode was set to last */
	u32 moved;			/* times that were taken on another processor */
	u32 repeated;			/* visits that were made again, see make_visit() */
	const char *wrong;
};

/* What the two threads say to each other, each in lines of its own. */
static struct {
	u32 generation;
	u64 switches;
	char rest[2 * LINE - 2 * sizeof(u64)];
} __attribute__((aligned(2 * LINE))) wanted, written;

#define NO_MORE			UINT32_MAX
#define MAX_TRIES		50

static u64 switches(void);

/*
 * What the writer writes.  It runs ahead of the end of the list, and what it would
 * write there the processor may fetch for it: that must be nobody's.
 */
#define BEYOND			1024

static int **find_modes(const struct caches *c)
{
	static int nobodys[2 * LINE] __attribute__((aligned(2 * LINE)));
	int **modes = calloc(c->nr_vcpus + BEYOND, sizeof(*modes));
	u32 i;

	for (i = 0; modes && i < c->nr_vcpus + BEYOND; i++)
		modes[i] = i < c->nr_vcpus ? &c->vcpus[i]->mode : &nobodys[LINE];
	return modes;
}

static void *write_modes(void *arg)
{
	struct caches *c = arg;
	const char *wrong = pin(c->writer_cpu);
	int **modes = find_modes(c);
	u32 done = 0, now, i;

	while (!wrong && modes) {
		now = __atomic_load_n(&wanted.generation, __ATOMIC_ACQUIRE);
		if (now == NO_MORE)
			break;
		if (now == done) {
			_mm_pause();
			continue;
		}
		for (i = 0; i < c->nr_vcpus; i++)
			WRITE_ONCE(*modes[i], now);
		done = now;
		written.switches = switches();
		/* Stores become visible in order: this processor owns all lines. */
		__atomic_store_n(&written.generation, done, __ATOMIC_RELEASE);
	}
	if (wrong || !modes)
		__atomic_store_n(&written.generation, NO_MORE, __ATOMIC_RELEASE);
	free(modes);
	return (void *)wrong;
}

/* Have the other processor write all modes. */
static void have_written(struct caches *c)
{
	u32 done;

	__atomic_store_n(&wanted.generation, ++c->generation, __ATOMIC_RELEASE);
	do {
		_mm_pause();
		done = __atomic_load_n(&written.generation, __ATOMIC_ACQUIRE);
	} while (done != c->generation && done != NO_MORE);
	if (done == NO_MORE)
		c->wrong = "no thread on another processor writes";
}

/* Whoever says that it wrote has to have done it. */
static void check_written(struct caches *c)
{
	u32 i;

	for (i = 0; i < c->nr_vcpus; i++) {
		if (READ_ONCE(c->vcpus[i]->mode) != c->generation)
			c->wrong = "the other processor did not write a vCPU's mode";
	}
}

static inline void touch(const char *line)
{
	(void)*(const volatile char *)line;
}

static void touch_all(const struct caches *c)
{
	u64 n;
	u32 i;

	for (i = 0; i < c->nr_lines; i++)
		touch(c->lines[i]);
	for (i = 0; i < c->nr_container; i++) {
		for (n = 0; n < c->container[i].size; n += LINE)
			touch(c->container[i].begin + n);
	}
}

static void flush_all(const struct caches *c)
{
	u64 n;
	u32 i;

	for (i = 0; i < c->nr_lines; i++)
		_mm_clflush(c->lines[i]);
	for (i = 0; i < c->nr_container; i++) {
		for (n = 0; n < c->container[i].size; n += LINE)
			_mm_clflush(c->container[i].begin + n);
	}
	_mm_mfence();
}

/* What is timed, and what was done just before: the same, with another vCPU. */
struct visit {
	visit_fn fn, warm;
	int number, warm_number;
};

static void establish(struct caches *c, enum state state, const struct visit *v)
{
	touch_all(c);
	v->warm(c->kvm, v->warm_number);
	if (state == WRITTEN)
		have_written(c);
	else if (state == FLUSHED)
		flush_all(c);
}

static inline u64 before(void)
{
	u64 ticks;

	_mm_mfence();
	_mm_lfence();
	ticks = __rdtsc();
	_mm_lfence();
	return ticks;
}

static inline u64 after(void)
{
	u64 ticks;

	_mm_lfence();
	ticks = __rdtsc();
	_mm_lfence();
	return ticks;
}

static inline u64 ticks_of(const struct caches *c, visit_fn fn, int number, u64 *found)
{
	u64 start = before();

	*found = fn(c->kvm, number);
	return after() - start;
}

/* How often the thread gave way to something else, which had the caches then. */
static u64 switches(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_nivcsw + u.ru_nvcsw;
}

/*
 * Make a visit in a state, and return what it took.  It's made again if one of the
 * threads didn't run all the time, but not for ever.  There is no system call after
 * the state is made: it might flush what translates addresses.
 */
static u64 make_visit(struct caches *c, enum state state, const struct visit *v, u64 *found)
{
	u64 ticks, reader, writer;
	u32 try;

	for (try = 0; try < MAX_TRIES; try++) {
		reader = switches();
		writer = written.switches;
		establish(c, state, v);
		ticks = ticks_of(c, v->fn, v->number, found);
		if (sched_getcpu() != c->cpu)
			c->moved++;
		if (c->wrong || (reader == switches() && writer == written.switches))
			break;
		c->repeated++;
	}
	return ticks;
}

/* The lines of a vCPU that lookups and walks can touch. */
static void add_lines(struct caches *c, struct kvm_vcpu *vcpu)
{
	const struct { void *begin; u64 size; } members[] = {
		{ &vcpu->kvm, sizeof(vcpu->kvm) }, { &vcpu->vcpu_id, sizeof(int) }, { &vcpu->vcpu_idx, sizeof(int) },
		{ &vcpu->mode, sizeof(int) }, { &vcpu->requests, sizeof(u64) }, { &vcpu->apic, sizeof(void *) },
#ifdef VCPU_HAS_NEXT
		{ &vcpu->next, sizeof(void *) },
#endif
	};
	u32 first = c->nr_lines, i, n;
	char *line;

	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		line = (char *)((unsigned long)members[i].begin / LINE * LINE);
		for (; line < (char *)members[i].begin + members[i].size; line += LINE) {
			for (n = first; n < c->nr_lines && c->lines[n] != line; n++)
				;
			if (n == c->nr_lines)
				c->lines[c->nr_lines++] = line;
		}
	}
}

static void add_extent(void *begin, size_t size, void *arg)
{
	struct caches *c = arg;

	c->container[c->nr_container].begin = begin;
	c->container[c->nr_container++].size = size;
}

static void count_extent(void *begin, size_t size, void *arg)
{
	(*(u32 *)arg)++;
}

static bool find_lines(struct caches *c)
{
	u32 extents = 1, i;

	vm_each(count_extent, &extents);
	c->container = calloc(extents, sizeof(*c->container));
	c->lines = calloc(c->nr_vcpus * 16UL, sizeof(*c->lines));
	if (!c->container || !c->lines)
		return false;

	add_extent(c->kvm, sizeof(*c->kvm), c);
	vm_each(add_extent, c);
	for (i = 0; i < c->nr_vcpus; i++) {
		add_lines(c, c->vcpus[i]);
	}
	return true;
}

