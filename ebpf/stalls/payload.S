/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a vCPU runs while it is watched, in 32-bit protected mode with flat
 * segments.  It does not know where it is loaded: it only jumps.
 *
 * Its data is described by payload.go.  All counters have 64 bits.
 */
#define DATA_PHASE	0x2000		/* which record to write, by the host */
#define DATA_STOP	0x2004		/* nonzero: leave, by the host */
#define DATA_NR		0x2008		/* values to sort */
#define RECORDS		0x3000		/* one a phase, 1 << RECORD_SHIFT bytes */
#define RECORD_SHIFT	9
#define RECORD_COUNT	0x000
#define RECORD_LARGEST	0x008		/* 32 bits */
#define RECORD_BUCKETS	0x010		/* 32 of them */
#define VALUES		0x5000		/* to sort, 32 bits each */
#define PORT		0x10		/* that tells the host of an end */

	.code32
	.text

	/*
	 * Entry 0: exit with CPUID, which KVM handles in the kernel, and look
	 * at how much time has passed since the exit before.
	 */
	jmp	spin
	.org	0x10
	/* Entry 0x10: replace each value by its bucket. */
sort:
	mov	$VALUES, %esi
	mov	DATA_NR, %edi
1:	mov	(%esi), %eax
	call	bucket
	mov	%ecx, (%esi)
	add	$4, %esi
	dec	%edi
	jnz	1b
	out	%al, $PORT

spin:
	rdtsc
	mov	%eax, %esi		/* edi:esi: the time of the exit before */
	mov	%edx, %edi
next:
	xor	%eax, %eax
	xor	%ecx, %ecx
	cpuid
	rdtsc
	mov	%eax, %ecx
	mov	%edx, %ebx
	sub	%esi, %eax		/* edx:eax: the gap */
	sbb	%edi, %edx
	mov	%ecx, %esi
	mov	%ebx, %edi
	jz	1f
	mov	$-1, %eax		/* as large as fits */
1:	mov	DATA_PHASE, %ebp
	shl	$RECORD_SHIFT, %ebp
	call	bucket
	addl	$1, RECORDS + RECORD_BUCKETS(%ebp, %ecx, 8)
	adcl	$0, RECORDS + RECORD_BUCKETS + 4(%ebp, %ecx, 8)
	addl	$1, RECORDS + RECORD_COUNT(%ebp)
	adcl	$0, RECORDS + RECORD_COUNT + 4(%ebp)
	cmp	RECORDS + RECORD_LARGEST(%ebp), %eax
	jbe	2f
	mov	%eax, RECORDS + RECORD_LARGEST(%ebp)
2:	cmpl	$0, DATA_STOP
	je	next
	out	%al, $PORT
	jmp	spin

	/* %ecx = the power of two that %eax has reached, 0 for 0. */
bucket:
	mov	%eax, %ecx
	or	$1, %ecx
	bsr	%ecx, %ecx
	ret
