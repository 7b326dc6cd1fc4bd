/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The buckets of a histogram: a power of two each, in 16 steps, so that a
 * bucket is at most a sixteenth of its values wide.  Values below 16 have one
 * of their own.  measure.Bucket() in Go does the same; tests compare the two at every
 * seam, and so does each measurement with this code as the kernel runs it.
 */
#ifndef BUCKETS_H
#define BUCKETS_H

#define BUCKET_STEPS	16	/* 1 << BUCKET_SHIFT */
#define BUCKET_SHIFT	4
#define NR_BUCKETS	((64 - BUCKET_SHIFT + 1) * BUCKET_STEPS)

static inline unsigned int bucket_of(unsigned long long v)
{
	unsigned int power;

	if (v < BUCKET_STEPS)
		return v;

	power = 63 - __builtin_clzll(v);

	return ((power - BUCKET_SHIFT + 1) << BUCKET_SHIFT) +
	       ((v >> (power - BUCKET_SHIFT)) & (BUCKET_STEPS - 1));
}

#endif
