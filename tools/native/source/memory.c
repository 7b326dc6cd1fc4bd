// SPDX-License-Identifier: GPL-2.0-only
//go:build ignore
/*
 * The memory of what holds a VM's vCPUs, which one thread allocates and frees,
 * and grace periods for another one, the only reader.
 */
#include "kvm.h"

#define POISON	0x6b

/* As large as the alignment of what follows it. */
struct block {
	struct block *prev, *next;
	size_t size;
} __attribute__((aligned(64)));

static struct block blocks = { &blocks, &blocks, 0 };

/* Zeroed, as all that KVM allocates for vCPUs. */
void *vm_alloc(size_t size)
{
	struct block *b = aligned_alloc(64, (sizeof(*b) + size + 63) / 64 * 64);

	if (!b)
		return NULL;

	memset(b + 1, 0, size);
	b->size = size;
	b->next = &blocks;
	b->prev = blocks.prev;
	b->prev->next = b;
	blocks.prev = b;
	return b + 1;
}

/* Who still uses it finds no vCPU there. */
void vm_free(void *p)
{
	struct block *b = (struct block *)p - 1;

	if (!p)
		return;

	b->prev->next = b->next;
	b->next->prev = b->prev;
	memset(p, POISON, b->size);
	barrier();
	free(b);
}

/*
 * Counts the times that the reader was outside of all read-side critical sections.
 * It does that with an atomic exchange, so that what it reads from then on is
 * read after it: a table that was replaced before rcu_quiescent was read is not
 * used any more once rcu_quiescent has changed.  There are no readers while the thread that
 * would read does something else, as it does if there's only one.
 */
unsigned int rcu_quiescent;
bool rcu_other_reader;

static struct {
	struct rcu_head *head;
	unsigned int since;
} waiting[64];
static unsigned int nr_waiting;

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	if (nr_waiting == sizeof(waiting) / sizeof(waiting[0]))
		abort();

	head->func = func;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	waiting[nr_waiting].head = head;
	waiting[nr_waiting++].since = __atomic_load_n(&rcu_quiescent, __ATOMIC_SEQ_CST);
}

/* Some kernels wait themselves. */
void synchronize_rcu(void)
{
	unsigned int since;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	since = __atomic_load_n(&rcu_quiescent, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&rcu_other_reader, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&rcu_quiescent, __ATOMIC_SEQ_CST) == since)
		__builtin_ia32_pause();
}

/* Call back whose grace period is over. */
void rcu_reap(void)
{
	unsigned int now = __atomic_load_n(&rcu_quiescent, __ATOMIC_SEQ_CST), i, left = 0;

	for (i = 0; i < nr_waiting; i++) {
		if (waiting[i].since != now)
			waiting[i].head->func(waiting[i].head);
		else
			waiting[left++] = waiting[i];
	}
	nr_waiting = left;
}

/* Tell of all that is allocated. */
void vm_each(void (*tell)(void *begin, size_t size, void *arg), void *arg)
{
	struct block *b;

	for (b = blocks.next; b != &blocks; b = b->next)
		tell(b + 1, b->size, arg);
}

/* The VM is gone, and with it all that looks vCPUs up. */
void vm_free_all(void)
{
	nr_waiting = 0;
	while (blocks.next != &blocks)
		vm_free(blocks.next + 1);
}
