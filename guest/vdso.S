/*
 * vdso.S: what a program finds as its vDSO: the time, without leaving the VM.
 *
 * `deno task vdso` assembles it into src/linux/vdso/code.ts; `vm run` needs no
 * assembler. src/linux/vdso/layout.ts has the page that is read here, and the
 * numbers, too; src/linux/vdso/guest_clock.ts is the other side.
 *
 * The page says what time it was at one reading of the time-stamp counter, and
 * for how many ticks from there this may be used. Where it may not, the call
 * leaves as the system call that it stands for. If the VMM asks for it, it
 * leaves twice, with the counter before and after the first of the two: that
 * is how the VMM learns which of its own readings belongs to which tick.
 *
 * No function touches the stack or a register that its caller keeps.
 */
#define SYS_gettimeofday	96
#define SYS_time		201
#define SYS_clock_gettime	228
#define SYS_clock_getres	229
#define SYS_getcpu		309

/* The page of data: it lies before this image, whose code is at CODE_OFFSET. */
#define PAGE_BYTES	0x1000
#define CODE_OFFSET	0x400
#define SEQUENCE	0
#define ASKS		8
#define BASE_TSC	16
#define WINDOW_TICKS	24
#define MULTIPLIER	32
#define MONOTONIC	40
#define REALTIME	64
/* Of each of the two clocks: the time at BASE_TSC, and what was seen since. */
#define SECONDS		0
#define NANOSECONDS	8
#define FLOOR		16

/* Third argument of a call that brings readings of the counter. */
#define BEGIN		0x62637374	/* "tscb": the fourth is one from before it */
#define END		0x65637374	/* "tsce": so was the fourth; the fifth is from after it */

#define NS_PER_SECOND	1000000000

/* CLOCK_REALTIME 0, MONOTONIC 1, MONOTONIC_RAW 4, both COARSE 5 6, BOOTTIME 7 */
#define CLOCKS		0xf3
#define CLOCKS_REALTIME	0x21

	.text
start:
	.set	vvar, start - CODE_OFFSET - PAGE_BYTES

/* The counter into %rax, not before what is above; %rdx is lost. */
	.macro	read_tsc
	lfence
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	.endm

/*
 * The time into %rcx (seconds) and %rax (nanoseconds), of the clock at %r10 in
 * the page at %r8; %rdx and %r9 are lost. To \leave if the page does not say.
 *
 * The sequence is odd while the page says nothing, and is another one whenever
 * it speaks again. So what was read together belongs together, even if this VM
 * was frozen in between and goes on where the counter shows something else.
 */
	.macro	read_time leave
1:	mov	SEQUENCE(%r8), %r9d
	test	$1, %r9b
	jnz	\leave
	read_tsc
	sub	BASE_TSC(%r8), %rax
	cmp	WINDOW_TICKS(%r8), %rax		/* unsigned: also one from before */
	jae	\leave
	imul	MULTIPLIER(%r8), %rax
	shr	$32, %rax
	mov	FLOOR(%r10), %rdx
	cmp	%rdx, %rax
	cmovb	%rdx, %rax
	add	NANOSECONDS(%r10), %rax
	mov	SECONDS(%r10), %rcx
	cmp	%r9d, SEQUENCE(%r8)
	jne	1b
	cmp	$NS_PER_SECOND, %rax
	jb	2f
	sub	$NS_PER_SECOND, %rax
	inc	%rcx
2:
	.endm

/* Returns what system call \number gives, whose arguments are in place. */
	.macro	leave number
	mov	$\number, %eax
	syscall
	ret
	.endm

/* The same, with readings of the counter if the page at %r8 asks for them. */
	.macro	leave_with_tsc number
	cmpl	$0, ASKS(%r8)
	mov	$0, %edx
	je	3f
	read_tsc
	mov	%rax, %r10
	mov	$BEGIN, %edx
	mov	$\number, %eax
	syscall
	test	%rax, %rax
	js	4f
	read_tsc
	mov	%rax, %r8
	mov	$END, %edx
3:	mov	$\number, %eax
	syscall
4:	ret
	.endm

/* int __vdso_clock_gettime(clockid_t, struct timespec *) */
	.globl	__vdso_clock_gettime
	.balign	16, 0xcc
__vdso_clock_gettime:
	cmp	$7, %edi			/* unsigned: also negative ones */
	ja	other_clock
	mov	$CLOCKS, %eax
	bt	%edi, %eax
	jnc	other_clock
	lea	vvar(%rip), %r8
	lea	MONOTONIC(%r8), %r10
	lea	REALTIME(%r8), %rcx
	mov	$CLOCKS_REALTIME, %eax
	bt	%edi, %eax
	cmovc	%rcx, %r10
	read_time clock_gettime
	mov	%rcx, (%rsi)
	mov	%rax, 8(%rsi)
	xor	%eax, %eax
	ret
clock_gettime:
	leave_with_tsc SYS_clock_gettime
other_clock:
	leave	SYS_clock_gettime

/* int __vdso_gettimeofday(struct timeval *, struct timezone *) */
	.globl	__vdso_gettimeofday
	.balign	16, 0xcc
__vdso_gettimeofday:
	test	%rdi, %rdi
	jz	with_zone
	test	%rsi, %rsi
	jnz	with_zone
	lea	vvar(%rip), %r8
	lea	REALTIME(%r8), %r10
	read_time gettimeofday
	imul	$274877907, %rax, %rax		/* 2^38 / 1000, rounded up */
	shr	$38, %rax
	mov	%rcx, (%rdi)
	mov	%rax, 8(%rdi)
	xor	%eax, %eax
	ret
gettimeofday:
	leave_with_tsc SYS_gettimeofday
with_zone:
	leave	SYS_gettimeofday

/* time_t __vdso_time(time_t *) */
	.globl	__vdso_time
	.balign	16, 0xcc
__vdso_time:
	lea	vvar(%rip), %r8
	lea	REALTIME(%r8), %r10
	read_time time
	test	%rdi, %rdi
	jz	5f
	mov	%rcx, (%rdi)
5:	mov	%rcx, %rax
	ret
time:
	leave_with_tsc SYS_time

/* int __vdso_clock_getres(clockid_t, struct timespec *) */
	.globl	__vdso_clock_getres
	.balign	16, 0xcc
__vdso_clock_getres:
	leave	SYS_clock_getres

/* int __vdso_getcpu(unsigned *, unsigned *, void *) */
	.globl	__vdso_getcpu
	.balign	16, 0xcc
__vdso_getcpu:
	leave	SYS_getcpu
