/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vCPUs run whose KVM is watched as it looks vCPUs up, in 32-bit protected
 * mode with flat segments and without paging.
 *
 * The places of its data are in payload.go, too.
 */
#define DATA_STARTED	0x2000		/* times that a vCPU passed by the first entry */
#define DATA_COUNT	0x2004		/* operations left to do, by the host */
#define DATA_DONE	0x2008		/* operations that went well */
#define DATA_STEP	0x200c		/* where to add 1 after an operation, by the host */
#define DATA_AX		0x2010		/* registers of a hypercall, by the host */
#define DATA_BX		0x2014
#define DATA_CX		0x2018
#define DATA_DX		0x201c
#define DATA_SI		0x2020
#define DATA_DI		0x2024
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
