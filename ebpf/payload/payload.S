/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vCPUs run, in 32-bit protected mode with flat segments and without
 * paging: operations for which KVM looks vCPUs up, and a loop of exits that
 * looks how long each took.
 *
 * The addresses are in payload.go, too.
 */
#define DATA_STARTED	0x2000		/* times that a vCPU passed by the first entry */
#define DATA_COUNT	0x2004		/* operations left to do, by the host */
#define DATA_DONE	0x2008		/* operations that succeeded */
#define DATA_STEP	0x200c		/* where to add 1 after an operation, by the host */
#define DATA_AX		0x2010		/* registers of a hypercall, by the host */
#define DATA_BX		0x2014
#define DATA_CX		0x2018
#define DATA_DX		0x201c
#define DATA_SI		0x2020
#define DATA_DI		0x2024
#define DATA_PHASE	0x2028		/* which record to write, by the host */
#define DATA_STOP	0x202c		/* nonzero: leave the loop, by the host */
#define DATA_NR		0x2030		/* number of values to sort */
#define VALUES		0x5000		/* to sort, 32 bits each */
#define RECORDS		0x6000		/* one a phase, 1 << RECORD_SHIFT bytes */
#define RECORD_SHIFT	9
#define RECORD_COUNT	0x000		/* 64 bits */
#define RECORD_LARGEST	0x008		/* 32 bits */
#define RECORD_BUCKETS	0x010		/* 32 of them, 64 bits each */
#define PORT		0x10		/* that tells the host of an end */
#define APIC_SPIV	0xfee000f0
#define APIC_ICR	0xfee00300
#define APIC_ENABLED	0x1ff
#define PAGE_SIZE	0x1000

	.code32
	.text

	/* Entry 0: turn the local APIC on, and stop each time the vCPU runs. */
	movl	$APIC_ENABLED, APIC_SPIV
1:	incl	DATA_STARTED
	out	%al, $PORT
	jmp	1b

	.org	0x40
	/* Entry 0x40: send IPIs, each with a vector of its own. */
	mov	DATA_AX, %eax
1:	mov	%eax, APIC_ICR
	inc	%eax
	incl	DATA_DONE
	decl	DATA_COUNT
	jnz	1b
	out	%al, $PORT

	.org	0x80
	/*
	 * Entry 0x80: do hypercalls; 0 in %ax is success.  KVM replaces the
	 * instruction by the processor's own if it is the wrong one.
	 */
1:	mov	DATA_AX, %eax
	mov	DATA_BX, %ebx
	mov	DATA_CX, %ecx
	mov	DATA_DX, %edx
	mov	DATA_SI, %esi
	mov	DATA_DI, %edi
	vmmcall
	test	%ax, %ax
	jnz	2f
	incl	DATA_DONE
2:	mov	DATA_STEP, %ebx
	incl	(%ebx)
	decl	DATA_COUNT
	jnz	1b
	out	%al, $PORT

	.org	0xe0
	/* Entry 0xe0: write to pages, and stop after each. */
	mov	DATA_AX, %ebx
1:	incl	(%ebx)
	add	$PAGE_SIZE, %ebx
	incl	DATA_DONE
	out	%al, $PORT
	jmp	1b

	.org	0x100
	/* Entry 0x100: replace each value by its bucket. */
	mov	$VALUES, %esi
	mov	DATA_NR, %edi
1:	mov	(%esi), %eax
	call	bucket
	mov	%ecx, (%esi)
	add	$4, %esi
	dec	%edi
	jnz	1b
	out	%al, $PORT

	.org	0x140
	/*
	 * Entry 0x140: exit with CPUID, which KVM handles in the kernel, and
	 * look how much time has passed since the exit before.
	 */
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
