/*
 * Makes system calls that mean nothing, with arguments at random: by number,
 * pointer, length and flags. `hostile_calls SEED ROUNDS [race]`; with "race" a
 * thread changes what the arguments point to all the time: paths, structures,
 * arrays of buffers, and whether the pages are there at all.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL
#define PAGES 64UL

static char *arena;
static uint64_t state;

static uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* What ends or stops this program, or would wait for ever. */
static const int left_out[] = {
	SYS_exit,	  SYS_exit_group,     SYS_execve,
	SYS_execveat,	  SYS_pause,	      SYS_rt_sigreturn,
	SYS_rt_sigsuspend, SYS_kill,	      SYS_tkill,
	SYS_tgkill,	  SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
	SYS_alarm,	  SYS_setitimer,      SYS_timer_create,
	SYS_nanosleep,	  SYS_clock_nanosleep, SYS_poll,
	SYS_ppoll,	  SYS_select,	      SYS_pselect6,
	SYS_epoll_wait,	  SYS_epoll_pwait,    SYS_epoll_pwait2,
	SYS_futex,	  SYS_futex_waitv,    SYS_rt_sigtimedwait,
	SYS_clone,	  SYS_clone3,	      SYS_fork,
	SYS_vfork,	  SYS_rt_sigaction,   SYS_rt_sigprocmask,
	SYS_sigaltstack,  SYS_arch_prctl,     SYS_set_robust_list,
	SYS_rseq,	  SYS_prlimit64,      SYS_setrlimit,
	SYS_mprotect,	  SYS_munmap,	      SYS_mremap,
	SYS_pipe,	  SYS_accept,	      SYS_accept4,
	SYS_recvfrom,	  SYS_recvmsg,	      SYS_recvmmsg,
	SYS_flock,	  SYS_wait4,	      SYS_waitid,
	SYS_ptrace,	  SYS_reboot,	      SYS_seccomp,
	SYS_chroot,	  SYS_set_tid_address, SYS_brk,
	SYS_pkey_mprotect, SYS_modify_ldt,
};

static int is_left_out(int number)
{
	for (unsigned i = 0; i < sizeof left_out / sizeof *left_out; i++)
		if (left_out[i] == number)
			return 1;
	return 0;
}

static void *somewhere(uint64_t *s)
{
	return arena + next(s) % (PAGES * PAGE);
}

static uint64_t pick(uint64_t *s)
{
	static const uint64_t edges[] = {
		0, 1, 2, 3, 4, 5, 7, 8, 16, 255, 4095, 4096, 4097, 65536,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
		0x7fffffffffff, 0x800000000000, 0x7fffffffffffffff,
		0x8000000000000000, -1UL, -2UL, -4096UL, 0x7fffffffe000,
		0x7ffffffff000, 0xffff800000000000, 0xffff800000002000,
		0x4000000000, 0x1ff000, 0x20000000000000,
	};

	switch (next(s) % 8) {
	case 0:
	case 1:
	case 2:
		return (uint64_t)somewhere(s);
	case 3:
		return edges[next(s) % (sizeof edges / sizeof *edges)];
	case 4:
		return next(s) % 64;
	case 5:
		return 1UL << next(s) % 64;
	case 6:
		return next(s) % (1 << 20);
	default:
		return next(s);
	}
}

/* A word of what structures, arrays of buffers and paths are made of. */
static void scribble(uint64_t *s)
{
	static const char *const paths[] = {
		"a", "b", "d", "d/a", "..", "../canary", "/etc/passwd", ".",
		"/proc/self/mem", "/proc/self/fd/3", "../../canary", "d/../..",
		"/dev/tty", "/", "link", "d/link/canary", "/proc/self/maps",
	};
	uint64_t *word = (uint64_t *)((uint64_t)somewhere(s) & ~7UL);
	char *at = somewhere(s);

	switch (next(s) % 3) {
	case 0:
		*word = pick(s);
		break;
	case 1: {
		const char *path =
			paths[next(s) % (sizeof paths / sizeof *paths)];

		if (at + 32 < arena + PAGES * PAGE)
			strcpy(at, path);
		break;
	}
	default:
		*at = (char)next(s);
	}
}

static void *race(void *seed)
{
	uint64_t s = (uint64_t)seed;

	for (;;) {
		for (int i = 0; i < 200; i++)
			scribble(&s);
		/* The last pages come and go. */
		char *page = arena + (PAGES + next(&s) % 8) * PAGE;

		if (next(&s) % 2)
			mmap(page, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		else
			munmap(page, PAGE);
		sched_yield();
	}
	return 0;
}

/* A new mapping must not take the place of the program itself. */
static int harms(int number, const uint64_t *a)
{
	uint64_t at = (uint64_t)arena;

	if (number == SYS_mmap)
		return (a[3] & 0x100010) != 0;
	if (number == SYS_madvise)
		return a[0] < at || a[0] + a[1] > at + PAGES * PAGE ||
		       a[1] > PAGES * PAGE;
	if (number == SYS_prctl)
		return 1;
	/* Standard output says that all is well at the end. */
	if (number == SYS_close || number == SYS_dup2 || number == SYS_dup3)
		return (int)a[0] < 3 || (int)a[1] < 3;
	if (number == SYS_close_range)
		return (unsigned)a[0] < 3;
	return 0;
}

static void ignore(int number)
{
	(void)number;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	state = strtoull(argv[1], 0, 0) * 0x9e3779b97f4a7c15 | 1;
	long rounds = atol(argv[2]);
	pthread_t thread;

	arena = mmap((void *)0x200000000000, (PAGES + 8) * PAGE,
		     PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	mkdirat(AT_FDCWD, "d", 0755);
	symlinkat("a", AT_FDCWD, "link");
	for (int i = 0; i < 20000; i++)
		scribble(&state);
	/* No call waits for longer than to the next of these signals. */
	struct sigaction action = { .sa_handler = ignore };
	struct itimerval often = { { 0, 300000 }, { 0, 300000 } };
	sigset_t all;

	for (int i = 1; i <= 31; i++)
		if (i != SIGSEGV && i != SIGBUS && i != SIGILL)
			sigaction(i, &action, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, 0);
	if (argc > 3)
		pthread_create(&thread, 0, race, (void *)next(&state));
	pthread_sigmask(SIG_UNBLOCK, &all, 0);
	setitimer(ITIMER_REAL, &often, 0);
	for (long done = 0; done < rounds; done++) {
		int number = (int)(next(&state) % 470);
		uint64_t a[6];

		for (int i = 0; i < 6; i++)
			a[i] = pick(&state);
		/* Often something that is open. */
		if (next(&state) % 2)
			a[0] = 3 + next(&state) % 12;
		if (done % 64 == 0) {
			int fds[2];

			close_range(3, ~0U, 0);
			syscall(SYS_open, "a", O_RDWR | O_CREAT | O_TRUNC, 0644);
			pipe2(fds, O_NONBLOCK);
			syscall(SYS_eventfd2, 1, O_NONBLOCK);
			syscall(SYS_socketpair, 1, 1 | O_NONBLOCK, 0, fds);
			syscall(SYS_epoll_create1, 0);
			syscall(SYS_open, ".", O_RDONLY | O_DIRECTORY);
			syscall(SYS_timerfd_create, 1, O_NONBLOCK);
			syscall(SYS_memfd_create, "m", 0);
			syscall(SYS_ftruncate, 3, 100000);
		}
		if (is_left_out(number) || harms(number, a))
			continue;
		/* No file of any size. */
		if (number == SYS_lseek)
			a[1] %= 1 << 20;
		if (number == SYS_pwrite64 || number == SYS_pwritev ||
		    number == SYS_pwritev2)
			a[3] %= 1 << 20;
		if ((number == SYS_fallocate || number == SYS_ftruncate ||
		     number == SYS_truncate) && a[1] > 1 << 20)
			continue;
		if (number == SYS_fallocate)
			continue;
		for (int i = 0; i < 20; i++)
			scribble(&state);
		long r = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
		/* A mapping that was made is not kept. */
		if (number == SYS_mmap && r != -1)
			munmap((void *)r, a[1]);
	}
	dprintf(1, "%ld rounds\n", rounds);
	_exit(0);
}
