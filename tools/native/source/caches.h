/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks and lookups by the state of the cache lines that they read, see states.h.
 *
 * The state is made anew before each walk and each lookup, and each is timed alone,
 * by the time stamp counter: the processor has done all that came before when the
 * counter is read for the first time, and what is timed when it is read again.  What
 * that takes itself is what a function takes that does nothing.  The counter may go
 * in steps of some ten nanoseconds, which a median would show: what counts of the
 * visits of a block is the mean of the middle half.
 */
/* As measure.Bodies has them. */
enum body {
	BODY_NOTHING,
	BODY_ID,	/* reads vcpu_id */
	BODY_ARCH,	/* reads a pointer in the architecture's part */
	BODY_REQUEST,	/* sets a bit of requests */
	NR_BODIES,
};

#define REQUEST			9
#define MAX_BLOCKS		64
#define MAX_VISITS		128

/* A vCPU as a number, when it's that which is added up. */
#define arch_value(i)		(3UL * (i) + 1)

#define DEFINE_WALK(name, value)					\
static noinline u64 walk_##name(struct kvm *kvm, int number)		\
{									\
	struct kvm_vcpu *vcpu;						\
	unsigned long i __attribute__((unused));			\
	u64 sum = 0;							\
									\
	walk_vcpus(i, vcpu, kvm) {					\
		OPTIMIZER_HIDE_VAR(vcpu);				\
		sum += (value);						\
	}								\
	return sum;							\
}

/* As __kvm_make_request() does. */
static inline u64 make_request(struct kvm_vcpu *vcpu)
{
	smp_wmb();
	__asm__ volatile ("lock orb %1, %0" : "+m" (*((u8 *)&vcpu->requests + REQUEST / 8))
			  : "iq" ((u8)(1 << REQUEST % 8)) : "memory");
	return 1;
}

DEFINE_WALK(nothing, (unsigned long)vcpu)
DEFINE_WALK(id, READ_ONCE(vcpu->vcpu_id))
DEFINE_WALK(arch, (unsigned long)READ_ONCE(vcpu->apic))
DEFINE_WALK(request, make_request(vcpu))

static noinline u64 visit_get(struct kvm *kvm, int number)
{
	return (unsigned long)kvm_get_vcpu(kvm, number);
}

static noinline u64 visit_by_id(struct kvm *kvm, int number)
{
	return (unsigned long)kvm_get_vcpu_by_id(kvm, number);
}

static noinline u64 visit_none(struct kvm *kvm, int number)
{
	barrier();
	return 0;
}

static const visit_fn walks[NR_BODIES] = { walk_nothing, walk_id, walk_arch, walk_request };

/* A walk, or a lookup, in a state. */
struct visits {
	u32 op;
	u32 body, state;
	double block[MAX_BLOCKS];
};

static int compare_ticks(const void *a, const void *b)
{
	return *(const u64 *)a < *(const u64 *)b ? -1 : *(const u64 *)a > *(const u64 *)b;
}

/* The mean of the middle half. */
static double middle(u64 *ticks, u32 n)
{
	u32 from = n / 4, to = n - n / 4, i;
	double sum = 0;

	qsort(ticks, n, sizeof(*ticks), compare_ticks);
	for (i = from; i < to; i++)
		sum += ticks[i];
	return sum / (to - from);
}

/* What all walks with this body add up to. */
static u64 sum_of_walk(const struct caches *c, enum body body)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < c->nr_vcpus; i++) {
		if (body == BODY_NOTHING)
			sum += (unsigned long)c->vcpus[i];
		else if (body == BODY_ID)
			sum += c->ids[i];
		else if (body == BODY_ARCH)
			sum += arch_value(i);
		else
			sum++;
	}
	return sum;
}

static void check_requests(struct caches *c)
{
	u32 i;

	for (i = 0; i < c->nr_vcpus; i++) {
		if (!c->wrong && c->vcpus[i]->requests != 1 << REQUEST)
			c->wrong = "a walk did not set a vCPU's request bit";
		c->vcpus[i]->requests = 0;
	}
}

/* So many that a block takes about as long for all sizes of VMs. */
static u32 visits_of(const struct caches *c, u32 op)
{
	return op == VCPULOOPS_WALK ? max(min(4096 / c->nr_vcpus, (u32)MAX_VISITS), 12u) : 48;
}

static int number_of(const struct caches *c, u32 op, u32 index)
{
	return op == VCPULOOPS_GET ? (int)index : c->ids[index];
}

/* Make the visits of a block, and verify what they find. */
static void run_block(struct caches *c, struct visits *v, u32 block)
{
	visit_fn fn = v->op == VCPULOOPS_WALK ? walks[v->body] : v->op == VCPULOOPS_GET ? visit_get : visit_by_id;
	struct visit visit = { .fn = fn, .warm = fn };
	u32 n = visits_of(c, v->op), i, index;
	u64 ticks[MAX_VISITS], found, sum = 0, expected = 0;

	for (i = 0; i < n && !c->wrong; i++) {
		if (v->op != VCPULOOPS_WALK) {
			index = random_number(c->nr_vcpus);
			visit.number = number_of(c, v->op, index);
			visit.warm_number = number_of(c, v->op, random_number(c->nr_vcpus));
			expected += (unsigned long)c->vcpus[index];
		}
		ticks[i] = make_visit(c, v->state, &visit, &found);
		sum += found;
		if (v->state == WRITTEN)
			check_written(c);
	}
	if (v->op == VCPULOOPS_WALK)
		expected = n * sum_of_walk(c, v->body);
	if (!c->wrong && sum != expected)
		c->wrong = "wrong checksum: a lookup or a walk found the wrong vCPU";
	if (v->op == VCPULOOPS_WALK && v->body == BODY_REQUEST)
		check_requests(c);
	v->block[block] = middle(ticks, n);
}

/* What the time of a visit has besides. */
static double own_ticks(struct caches *c)
{
	u64 ticks[MAX_VISITS], found;
	u32 i;

	for (i = 0; i < MAX_VISITS; i++)
		ticks[i] = ticks_of(c, visit_none, 0, &found);
	return middle(ticks, MAX_VISITS);
}
