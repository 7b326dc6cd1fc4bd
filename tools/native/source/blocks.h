/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All walks and lookups that are asked for, block by block, with what shows that the
 * lines were in the states that they should be in, and that nothing spoiled the times.
 */
#define MAX_SHAPES		64
#define PROBES			48

static char *probed;

static noinline u64 visit_line(struct kvm *kvm, int number)
{
	return *(volatile char *)probed;
}

/* What it takes to load one line of the container, or that of a vCPU's mode, in a state. */
static double probe(struct caches *c, enum state state, bool of_container)
{
	const struct visit visit = { .fn = visit_line, .warm = walk_id };
	u64 ticks[PROBES], found;
	struct extent *e;
	u32 i;

	for (i = 0; i < PROBES && !c->wrong; i++) {
		e = &c->container[random_number(c->nr_container)];
		probed = of_container ? e->begin + random_number(e->size) :
					(char *)&c->vcpus[random_number(c->nr_vcpus)]->mode;
		ticks[i] = make_visit(c, state, &visit, &found);
	}
	return middle(ticks, PROBES);
}

/* What a chain of multiplications takes, which depends on the clock rate alone. */
static u64 pace(void)
{
	u64 least = UINT64_MAX, start, number;
	u32 try, i;

	for (try = 0; try < 20; try++) {
		start = before();
		for (i = 0, number = try + 3; i < 10000; i++)
			__asm__ volatile ("imul %0, %0" : "+r" (number));
		least = min(least, after() - start);
	}
	return least;
}

/* The counter, and the clock at the same time. */
struct instant {
	u64 ticks, nanos;
};

static struct instant instant(void)
{
	struct instant best = { 0 };
	u64 least = UINT64_MAX, start, end, nanos;
	struct timespec t;
	u32 try;

	for (try = 0; try < 20; try++) {
		start = before();
		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		nanos = t.tv_sec * 1000000000ULL + t.tv_nsec;
		end = after();
		if (end - start < least) {
			least = end - start;
			best.ticks = start + least / 2;
			best.nanos = nanos;
		}
	}
	return best;
}

static double rate(struct instant from, struct instant to)
{
	return (to.ticks - from.ticks) / (double)(to.nanos - from.nanos);
}

/* How many of the steps from each vCPU to the next go up in memory. */
static u32 ascending(const struct caches *c)
{
	u32 up = 0, i;

	for (i = 1; i < c->nr_vcpus; i++)
		up += c->vcpus[i - 1] < c->vcpus[i];
	return up;
}

/* What is measured, and what came out. */
struct measured {
	struct visits visits[MAX_SHAPES];
	u32 nr_visits, blocks;
	int cpu, writer_cpu;
	double own[MAX_BLOCKS], least_rate, most_rate, rate;
	u64 least_pace, most_pace;
	/* Of a vCPU, of the container: most if they're hot, else least. */
	double line[NR_STATES][2];
	u32 ascending, moved, repeated;	/* in all blocks */
};

/* That the lines are in the state that they should be in shows when one is loaded. */
static void measure_lines(struct caches *c, struct measured *m, double own, bool first)
{
	u32 state, kind;
	double took;

	for (state = 0; state < NR_STATES; state++) {
		if (state == WRITTEN && c->writer_cpu < 0)
			continue;
		for (kind = 0; kind < 2; kind++) {
			took = probe(c, state, kind) - own;
			if (first || (state == HOT) == (took > m->line[state][kind]))
				m->line[state][kind] = took;
		}
	}
}

/* All visits, in an order of their own. */
static void measure_block(struct caches *c, struct measured *m, u32 block)
{
	u32 order[MAX_SHAPES], i;

	for (i = 0; i < m->nr_visits; i++)
		order[i] = i;
	shuffle(order, m->nr_visits);

	m->own[block] = own_ticks(c);
	measure_lines(c, m, m->own[block], !block);
	for (i = 0; i < m->nr_visits; i++)
		run_block(c, &m->visits[order[i]], block);
	m->ascending += ascending(c);
	m->moved += c->moved;
	m->repeated += c->repeated;
}

/* Measure a block, with vCPUs at places of its own. */
static const char *place_and_measure(struct measured *m, u32 block)
{
	struct caches c = { .cpu = m->cpu, .writer_cpu = m->writer_cpu };
	const char *wrong = place_vm();
	void *said = NULL;
	pthread_t writer;
	u32 i;

	c.kvm = vm.kvm;
	c.vcpus = vm.place.vcpus;
	c.nr_vcpus = vm.nr_vcpus;
	c.ids = vm.ids;
	if (wrong || !find_lines(&c))
		return wrong ? wrong : "out of memory";

	for (i = 0; i < c.nr_vcpus; i++)
		c.vcpus[i]->apic = (void *)arch_value(i);
	wanted.generation = written.generation = 0;
	if (c.writer_cpu >= 0 && pthread_create(&writer, NULL, write_modes, &c))
		return "no second thread";

	measure_block(&c, m, block);
	if (c.writer_cpu >= 0) {
		__atomic_store_n(&wanted.generation, NO_MORE, __ATOMIC_RELEASE);
		pthread_join(writer, &said);
	}
	free(c.container);
	free(c.lines);
	return c.wrong ? c.wrong : said;
}

/* Measure all blocks, and whether the processor and its counter keep their speed. */
static const char *measure_blocks(struct measured *m)
{
	struct instant first = instant(), last = first, now;
	const char *wrong = NULL;
	u32 block;

	m->least_pace = m->most_pace = pace();
	for (block = 0; block < m->blocks && !wrong; block++) {
		wrong = place_and_measure(m, block);
		m->least_pace = min(m->least_pace, pace());
		m->most_pace = max(m->most_pace, pace());
		/* Over so long that what reading both takes does not matter. */
		do {
			now = instant();
		} while (now.nanos - last.nanos < 5000000);
		m->rate = rate(last, now);
		m->least_rate = block ? min(m->least_rate, m->rate) : m->rate;
		m->most_rate = max(m->most_rate, m->rate);
		last = now;
	}
	m->rate = rate(first, last);
	return wrong;
}

static void print_numbers(const char *name, const double *all, u32 n, double rate)
{
	u32 i;

	printf("\"%s\":[", name);
	for (i = 0; i < n; i++)
		printf("%s%.3f", i ? "," : "", all[i] / rate);
	putchar(']');
}

/* A line of JSON, see measure.Cached. */
static void print_measured(const struct measured *m)
{
	u32 i;

	printf("{\"object\":%lu,\"align\":%lu,\"huge\":%s,\"ascending\":%u,\"moved\":%u,\"repeated\":%u,",
	       (unsigned long)VCPU_OBJECT_SIZE, (unsigned long)VCPU_ALIGN, vm.place.huge ? "true" : "false",
	       m->ascending, m->moved, m->repeated);
	printf("\"rates\":[%.6f,%.6f],\"paces_ns\":[%.1f,%.1f],", m->least_rate, m->most_rate,
	       m->least_pace / m->rate, m->most_pace / m->rate);
	print_numbers("own_ns", m->own, m->blocks, m->rate);
	printf(",\"lines\":[");
	for (i = 0; i < NR_STATES; i++)
		printf("%s{\"vcpu_ns\":%.2f,\"container_ns\":%.2f}", i ? "," : "", m->line[i][0] / m->rate, m->line[i][1] / m->rate);
	printf("],\"visits\":[");
	for (i = 0; i < m->nr_visits; i++) {
		printf("%s{", i ? "," : "");
		print_numbers("ns", m->visits[i].block, m->blocks, m->rate);
		putchar('}');
	}
	printf("]}\n");
}

/* Which walks and lookups, in which states. */
static const char *read_visits(struct measured *m)
{
	struct visits *v;

	if (scanf("%d %d %u %u", &m->cpu, &m->writer_cpu, &m->blocks, &m->nr_visits) != 4 || m->cpu == m->writer_cpu ||
	    !m->blocks || m->blocks > MAX_BLOCKS || !m->nr_visits || m->nr_visits > MAX_SHAPES)
		return "not a measurement of caches";

	for (v = m->visits; v < m->visits + m->nr_visits; v++) {
		if (scanf("%u %u %u", &v->op, &v->body, &v->state) != 3 || v->op == VCPULOOPS_NOP ||
		    v->op >= VCPULOOPS_NR_OPS || v->body >= NR_BODIES || v->state >= NR_STATES ||
		    (v->state == WRITTEN && m->writer_cpu < 0))
			return "not a walk or a lookup in a state";
	}
	return NULL;
}

/* Measure the VM that was built last. */
static const char *caches(void)
{
	static struct measured m;
	const char *wrong;

	memset(&m, 0, sizeof(m));
	wrong = read_visits(&m);
	wrong = wrong ? wrong : pin(m.cpu);
	wrong = wrong ? wrong : measure_blocks(&m);
	if (!wrong)
		print_measured(&m);
	return wrong;
}
