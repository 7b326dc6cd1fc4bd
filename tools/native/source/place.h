/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory for vCPUs, as kvm_vcpu_cache has it: objects of the kernel's size and
 * alignment one after the other in slabs of 32 KiB.  The slabs are at random places
 * in huge pages if there are any, as the kernel's mapping of all memory consists of
 * these.  A VM's vCPUs have random objects of them.
 */
#include <sys/mman.h>
#include <sys/random.h>

#define LINE			64UL
#define SLAB			32768UL
#define HUGE			(2UL << 20)
/* So many times as many slabs as are needed. */
#define SPREAD			3

#define round_to(n, align)	(((n) + (align) - 1) / (align) * (align))

/* With SLAB_HWCACHE_ALIGN an object as large as these begins at a cache line. */
#ifdef VCPU_HWCACHE_ALIGN
#define VCPU_ALIGN		(VCPU_OBJECT_ALIGN > LINE ? VCPU_OBJECT_ALIGN : LINE)
#else
#define VCPU_ALIGN		(VCPU_OBJECT_ALIGN > 8UL ? VCPU_OBJECT_ALIGN : 8UL)
#endif
#define VCPU_OBJECT		round_to(VCPU_OBJECT_SIZE, VCPU_ALIGN)

struct place {
	char *memory;
	u64 size;
	struct kvm_vcpu **vcpus;	/* by index */
	u32 nr_vcpus;
	bool huge;
};

static u64 random_state;

/* Marsaglia's xorshift64*. */
static u64 random_number(u64 below)
{
	while (!random_state)
		(void)!getrandom(&random_state, sizeof(random_state), 0);
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 2685821657736338717ULL >> 11) % below;
}

#define shuffle(all, n)							\
	do {								\
		for (u64 __i = (n); __i > 1; __i--) {			\
			u64 __with = random_number(__i);		\
			typeof((all)[0]) __one = (all)[__i - 1];	\
									\
			(all)[__i - 1] = (all)[__with];			\
			(all)[__with] = __one;				\
		}							\
	} while (0)

static void free_place(struct place *p)
{
	if (p->memory)
		munmap(p->memory, p->size);
	free(p->vcpus);
	memset(p, 0, sizeof(*p));
}

/* Find memory for so many vCPUs, zeroed. */
static bool make_place(struct place *p, u32 nr_vcpus)
{
	const u32 each = SLAB / VCPU_OBJECT, needed = (nr_vcpus + each - 1) / each;
	u64 slabs = round_to(needed * SPREAD * SLAB, HUGE) / SLAB, i, n;
	char **all = calloc(slabs, sizeof(*all)), **objects = calloc(needed * each, sizeof(*objects));

	p->size = (slabs * SLAB) + HUGE;
	p->memory = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p->vcpus = calloc(nr_vcpus, sizeof(*p->vcpus));
	if (p->memory == MAP_FAILED)
		p->memory = NULL;
	if (!p->memory || !p->vcpus || !all || !objects) {
		free(all);
		free(objects);
		return false;
	}

	p->huge = !madvise(p->memory, p->size, MADV_HUGEPAGE);
	for (i = 0; i < slabs; i++)
		all[i] = (char *)round_to((unsigned long)p->memory, HUGE) + i * SLAB;
	shuffle(all, slabs);
	for (i = 0; i < needed; i++) {
		memset(all[i], 0, SLAB);
		for (n = 0; n < each; n++)
			objects[i * each + n] = all[i] + n * VCPU_OBJECT;
	}
	shuffle(objects, needed * each);
	for (i = 0; i < nr_vcpus; i++)
		p->vcpus[i] = (struct kvm_vcpu *)objects[i];
	p->nr_vcpus = nr_vcpus;
	free(all);
	free(objects);
	return true;
}
