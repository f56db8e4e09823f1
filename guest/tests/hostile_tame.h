/*
 * hostile_tame.h: keeps calls at random from what would end or stop the
 * program, replace its handlers, or unmap the program itself.
 */
#ifndef HOSTILE_TAME_H
#define HOSTILE_TAME_H

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"
#include "hostile_waits.h"

#define ARENA 0x200000000000UL
#define FLEETING_START (ARENA + PAGES * PAGE)
#define FLEETING_END (FLEETING_START + FLEETING * PAGE)

/* What ends this program, stops it, or takes its registers or its root. */
static const int left_out[] = {
	SYS_exit,   SYS_exit_group, SYS_rt_sigreturn, SYS_rseq,
	SYS_ptrace, SYS_reboot,	    SYS_seccomp,      SYS_chroot,
};

static int is_left_out(int number)
{
	for (unsigned i = 0; i < sizeof left_out / sizeof *left_out; i++)
		if (left_out[i] == number)
			return 1;
	return 0;
}

/* What timers of the program send: nothing that ends it. */
static struct sigevent events[4];

static void scribble_events(uint64_t *s)
{
	static const int notify[] = { SIGEV_SIGNAL, SIGEV_NONE, 4, 99 };
	static const int signals[] = { SIGUSR1, SIGALRM, SIGIO, 40, 0 };
	struct sigevent *event = &events[next(s) % 4];

	event->sigev_notify = notify[next(s) % 4];
	event->sigev_signo = signals[next(s) % 5];
	event->sigev_value.sival_ptr = (void *)next(s);
	/* sigev_notify_thread_id */
	((int *)event)[4] = next(s) % 4 ? getpid() : (int)pick(s);
}

/* A signal that has a handler, or none. */
static uint64_t harmless(uint64_t *s)
{
	static const unsigned char signals[] = {
		0,  1,	2,  3,	5,  6,	8,  10, 12, 13, 14, 15, 16,
		17, 18, 20, 21, 22, 23, 28, 29, 34, 35, 64, 65,
	};

	return signals[next(s) % sizeof signals];
}

static uint64_t someone(uint64_t *s)
{
	return next(s) % 4 ? (uint64_t)getpid() + next(s) % 2 : pick(s);
}

/* A range of the pages that come and go, in two arguments. */
static uint64_t range(uint64_t *s, uint64_t *start)
{
	uint64_t page = next(s) % FLEETING;

	*start = FLEETING_START + page * PAGE + (next(s) % 16 == 0);
	return (1 + next(s) % (FLEETING - page)) * PAGE - *start % PAGE;
}

/* A futex with an owner: nobody, or this thread. Others would be waited for. */
static uint32_t owned[4];

static void tame_futex(uint64_t *s, uint64_t *a)
{
	switch (a[1] & 0x7f) {
	case FUTEX_WAIT_REQUEUE_PI:
		a[1] ^= FUTEX_WAIT_REQUEUE_PI ^ FUTEX_CMP_REQUEUE_PI;
		break;
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		a[0] = (uint64_t)&owned[next(s) % 4];
		*(uint32_t *)a[0] = next(s) % 2 ? 0 : (uint32_t)getpid();
	}
}

static void tame_memory(uint64_t *s, int number, uint64_t *a)
{
	uint64_t start;

	switch (number) {
	case SYS_mmap:
		if (a[3] & 0x100010)
			a[1] = range(s, &a[0]);
		break;
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_pkey_mprotect:
	case SYS_madvise:
		a[1] = range(s, &a[0]);
		break;
	case SYS_mremap:
		a[1] = range(s, &a[0]);
		a[3] = next(s) % 8;
		a[2] = range(s, &a[4]);
		start = a[0] > a[4] ? a[0] : a[4];
		if (start + a[2] > FLEETING_END)
			a[2] = FLEETING_END - start;
	}
}

static void tame_signals(uint64_t *s, int number, uint64_t *a)
{
	switch (number) {
	case SYS_kill:
	case SYS_tkill:
	case SYS_rt_sigqueueinfo:
	case SYS_pidfd_send_signal:
		a[0] = someone(s);
		a[1] = harmless(s);
		break;
	case SYS_tgkill:
	case SYS_rt_tgsigqueueinfo:
		a[0] = getpid();
		a[1] = someone(s);
		a[2] = harmless(s);
		break;
	case SYS_rt_sigaction:
		/* Those that are not sent may be handled anyhow. */
		if (next(s) % 2)
			a[1] = 0;
		else
			a[0] = 41 + next(s) % 23;
		a[3] = 8;
		break;
	case SYS_rt_sigprocmask:
		a[0] = next(s) % 4;
		a[3] = 8;
		break;
	case SYS_rt_sigsuspend:
		a[0] = mask(s);
		a[1] = 8;
		break;
	case SYS_rt_sigtimedwait:
		a[3] = 8;
		break;
	case SYS_ppoll:
		a[3] = mask(s);
		a[4] = 8;
		break;
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
		a[4] = mask(s);
		a[5] = 8;
		break;
	case SYS_pselect6:
		a[5] = next(s) % 4 ? (uint64_t)packs[next(s) % 4] : 0;
		break;
	case SYS_timer_create:
		a[0] = next(s) % 8;
		a[1] = next(s) % 4 ? (uint64_t)&events[next(s) % 4] : 0;
	}
}

static void tame_threads(uint64_t *s, int number, uint64_t *a)
{
	/* CLONE_VM, _FS, _FILES, _SIGHAND, _THREAD, and what may go with them. */
	uint64_t flags = 0x10f00 | (next(s) & 0x1fc2000);
	uint64_t there, *at;

	if (next(s) % 4 == 0)
		return;
	if (number == SYS_clone)
		a[0] = flags;
	if (number != SYS_clone3)
		return;
	at = words(s, &there, 11);
	for (uint64_t i = 0; i < there; i++)
		at[i] = i == 0 ? flags & ~0x400000UL :
			i == 1 || i == 4 || i > 7 ? 0 :
						    anywhere(s);
	a[0] = (uint64_t)at;
	a[1] = 64 + next(s) % 4 * 8;
}

/* A limit that may be set: what this program does not need itself. */
static int may_set(uint64_t which)
{
	return which == RLIMIT_CORE || which == RLIMIT_RSS ||
	       which == RLIMIT_MEMLOCK || which == RLIMIT_LOCKS ||
	       which == RLIMIT_SIGPENDING || which == RLIMIT_MSGQUEUE;
}

/* Changes the arguments so that they do no harm here; whether they do none. */
static int tame(uint64_t *s, int number, uint64_t *a)
{
	/* ARCH_SET_GS, ARCH_GET_FS, ARCH_GET_GS, and none. */
	static const uint64_t codes[] = { 0x1001, 0x1003, 0x1004, 0x9999 };

	if (is_left_out(number))
		return 0;
	tame_memory(s, number, a);
	tame_signals(s, number, a);
	if (number == SYS_clone || number == SYS_clone3)
		tame_threads(s, number, a);
	switch (number) {
	case SYS_close:
	case SYS_dup2:
	case SYS_dup3:
		/* Standard output says that all is well at the end. */
		return (int)a[0] > 2 && (int)a[1] > 2;
	case SYS_close_range:
		return (unsigned)a[0] > 2;
	case SYS_futex:
		tame_futex(s, a);
		break;
	case SYS_arch_prctl:
		a[0] = codes[next(s) % 4];
		break;
	case SYS_prctl:
		/* Not PR_SET_MM, PR_SET_SECCOMP or system calls by signals. */
		a[0] %= 80;
		return a[0] != 35 && a[0] != 22 && a[0] != 59;
	case SYS_prlimit64:
		a[0] = someone(s);
		a[1] = next(s) % 20;
		if (!may_set(a[1]))
			a[2] = 0;
		break;
	case SYS_setrlimit:
		return may_set(a[0] = next(s) % 20);
	/* No file of any size. */
	case SYS_lseek:
		a[1] %= 1 << 20;
		break;
	case SYS_pwrite64:
	case SYS_pwritev:
	case SYS_pwritev2:
		a[3] %= 1 << 20;
		break;
	case SYS_ftruncate:
	case SYS_truncate:
		return a[1] <= 1 << 20;
	case SYS_fallocate:
		a[2] %= 1 << 20;
		a[3] %= 1 << 20;
	}
	return 1;
}

#endif
