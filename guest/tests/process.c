/*
 * process.c [HOW ARG…]: the process: ids, limits, random bytes, signals' own
 * tables, and how it was started; with HOW "exit" or "exit_group" and a number
 * it ends with that status, with "raise" by that signal, with "unblock" by that
 * signal after it waited; with "limits" it prints each limit.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "show.h"

extern char **environ;

static void ids(void)
{
	unsigned r = 7, e = 7, s = 7;

	SHOW_OK(getpid());
	SHOW(syscall(SYS_gettid) == getpid());
	SHOW_OK(getppid());
	SHOW_OK(getpgrp());
	SHOW(setpriority(PRIO_PROCESS, 0, 5));
	SHOW(getpriority(PRIO_PROCESS, getpid()));
	SHOW(setpriority(PRIO_PROCESS, 0, 100));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(getpriority(PRIO_PROCESS, 0x7ffffff0));
	SHOW(getpriority(3, 0));
	SHOW(setpriority(-1, 0, 0));
	SHOW(getpgid(0) == getpgrp());
	SHOW(getpgid(0x7ffffff0));
	SHOW(getpgid(-1));
	SHOW_OK(getsid(0));
	SHOW(getsid(0x7ffffff0));
	SHOW(getsid(-1));
	SHOW(getuid());
	SHOW(geteuid());
	SHOW(getgid());
	SHOW(getegid());
	SHOW(syscall(SYS_getresuid, &r, &e, &s));
	SHOW(r == getuid() && e == getuid() && s == getuid());
	SHOW(syscall(SYS_getresgid, &r, &e, 0x1000));
	SHOW(syscall(SYS_set_tid_address, 0x1000) == getpid());
	SHOW(syscall(SYS_set_robust_list, 0, 24));
	SHOW(syscall(SYS_set_robust_list, 0, 23));
}

static void system_wide(void)
{
	struct utsname name;
	struct sysinfo info;
	unsigned long set[16];

	SHOW(uname(&name));
	printf("%s %s\n", name.sysname, name.machine);
	SHOW(name.release[0] >= '3' && strchr(name.release, '.') != 0);
	SHOW(name.nodename[0] != 0 && name.version[0] != 0);
	SHOW(uname((void *)0x1000));
	SHOW(sysinfo(&info));
	SHOW(info.totalram > 0 && info.freeram <= info.totalram);
	SHOW(info.mem_unit > 0 && info.procs > 0);
	SHOW(sysinfo((void *)0x1000));
	SHOW(sched_yield());
	SHOW_OK(syscall(SYS_sched_getaffinity, 0, sizeof set, set));
	SHOW((set[0] & 0xffff) != 0);
	SHOW(syscall(SYS_sched_getaffinity, 0, 0, set));
	SHOW(syscall(SYS_sched_getaffinity, 0, 12, set));
	SHOW(syscall(SYS_sched_getaffinity, 0x7ffffff0, sizeof set, set));
	SHOW(syscall(SYS_sched_getaffinity, -1, sizeof set, set));
	SHOW(syscall(SYS_sched_getaffinity, 0, sizeof set, 0x1000));
	unsigned cpu = 99, node = 99;
	SHOW(syscall(SYS_getcpu, &cpu, &node, 0));
	SHOW(cpu < 99 && node < 99);
	SHOW(syscall(SYS_getcpu, 0, 0, 0));
	SHOW(syscall(SYS_getcpu, 0x1000, 0, 0));
}

static void limits(void)
{
	struct rlimit one, two;

	/* What a limit is depends on who started the program. */
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, &one));
	SHOW(one.rlim_cur >= 65536 && one.rlim_cur <= one.rlim_max);
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_CORE, 0, &one));
	SHOW(one.rlim_cur <= one.rlim_max);
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, &one));
	SHOW(one.rlim_cur <= one.rlim_max);
	SHOW(syscall(SYS_prlimit64, 0, 16, 0, &one));
	SHOW(syscall(SYS_prlimit64, 0, -1, 0, &one));
	SHOW(syscall(SYS_prlimit64, getpid(), RLIMIT_STACK, 0, &one));
	SHOW(syscall(SYS_prlimit64, 0x7ffffff0, RLIMIT_STACK, 0, &one));
	SHOW(syscall(SYS_prlimit64, -1, RLIMIT_STACK, 0, &one));
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, 0x1000));
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0x1000, 0));
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, 0));
	SHOW(syscall(SYS_prlimit64, 0, 16, 0x1000, 0));
	SHOW(syscall(SYS_prlimit64, 0x7ffffff0, RLIMIT_STACK, 0x1000, 0));
	one = (struct rlimit){ 100, 50 };
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_CPU, &one, 0));
	one = (struct rlimit){ 1000000, 2000000 };
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_CPU, &one, &two));
	SHOW(two.rlim_cur > 0);
	SHOW(getrlimit(RLIMIT_CPU, &two));
	SHOW(two.rlim_cur + two.rlim_max);
	one = (struct rlimit){ 3000, 2000000 };
	SHOW(syscall(SYS_setrlimit, RLIMIT_CPU, &one));
	SHOW(syscall(SYS_getrlimit, RLIMIT_CPU, &two));
	SHOW(two.rlim_cur);
	SHOW(syscall(SYS_getrlimit, 99, &two));
	SHOW(syscall(SYS_getrlimit, RLIMIT_CPU, 0));
	SHOW(syscall(SYS_setrlimit, 99, &two));
	SHOW(syscall(SYS_setrlimit, RLIMIT_CPU, 0));
	struct rusage usage;
	SHOW(getrusage(RUSAGE_SELF, &usage));
	SHOW(usage.ru_utime.tv_sec >= 0 && usage.ru_utime.tv_usec < 1000000);
	SHOW(getrusage(RUSAGE_CHILDREN, &usage));
	SHOW(getrusage(1, &usage));
	SHOW(getrusage(2, &usage));
	SHOW(getrusage(-2, &usage));
	SHOW(syscall(SYS_getrusage, 0, 0x1000));
}

static long wait_id(int which, int id, void *info, int options)
{
	return syscall(SYS_waitid, which, id, info, options, 0);
}

/* There are none: it is told whatever else is asked. */
static void children(void)
{
	static const int odd[] = { 4, 16, 32, 1 << 23, 1 << 24, 1 << 25,
				   1 << 28, 1 << 29, 1 << 30, 1 << 31 };
	unsigned char info[128];
	int status = 7;
	unsigned sum = 0;

	SHOW(wait(&status));
	SHOW(status);
	SHOW(waitpid(-1, (int *)0x1000, WNOHANG));
	SHOW(waitpid(0, 0, WUNTRACED | WCONTINUED));
	SHOW(waitpid(getpid(), 0, 0));
	SHOW(waitpid(1, 0, 0));
	SHOW(waitpid(-7, 0, 0));
	SHOW(syscall(SYS_wait4, 0x80000000, 0, 0, 0));
	SHOW(syscall(SYS_wait4, 0x80000000, 0, 4, 0));
	SHOW(syscall(SYS_wait4, -1, 0, 0, 0x1000));
	for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
		SHOW((status = odd[i], syscall(SYS_wait4, -1, 0, status, 0)));
		SHOW(wait_id(P_ALL, 0, 0, status | WEXITED));
		SHOW(wait_id(P_ALL, 0, 0, status));
	}
	memset(info, 7, sizeof info);
	SHOW(wait_id(P_ALL, 0, info, WEXITED | WNOHANG));
	for (int i = 0; i < 128; i++)
		sum = sum * 3 + info[i];
	SHOW(sum);
	memset(info, 7, sizeof info);
	SHOW(wait_id(P_ALL, 0, info, 0));
	SHOW(info[0] + info[12] + info[27] + info[28]);
	SHOW(wait_id(P_PID, getpid(), 0, WEXITED));
	SHOW(wait_id(P_PID, 0, 0, WEXITED));
	SHOW(wait_id(P_PID, -1, 0, WEXITED));
	SHOW(wait_id(P_PGID, 0, 0, WSTOPPED));
	SHOW(wait_id(P_PGID, 1, 0, WCONTINUED));
	SHOW(wait_id(P_PGID, -1, 0, WEXITED));
	SHOW(wait_id(3, -1, 0, WEXITED));
	SHOW(wait_id(3, 1, 0, WEXITED));
	SHOW(wait_id(3, 99, 0, WEXITED));
	SHOW(wait_id(4, 0, 0, WEXITED));
	SHOW(wait_id(-1, 0, 0, WEXITED));
	SHOW(wait_id(P_ALL, 0, (void *)0x1000, WEXITED));
	SHOW(wait_id(P_ALL, 0, (void *)0x1000, 0));
	SHOW(wait_id(P_ALL, 0, (void *)-4096, WEXITED));
}

static void randomness(void)
{
	static unsigned char bytes[100000];
	unsigned long sum = 0;

	SHOW(syscall(SYS_getrandom, bytes, 16, 0));
	SHOW(syscall(SYS_getrandom, bytes, 256, 1));
	SHOW(syscall(SYS_getrandom, bytes, 16, 2));
	SHOW(syscall(SYS_getrandom, bytes, 16, 4));
	SHOW(syscall(SYS_getrandom, bytes, 16, 6));
	SHOW(syscall(SYS_getrandom, bytes, 16, 8));
	SHOW(syscall(SYS_getrandom, bytes, 0, 0));
	SHOW(syscall(SYS_getrandom, 0x1000, 0, 0));
	SHOW(syscall(SYS_getrandom, 0x1000, 16, 0));
	SHOW(syscall(SYS_getrandom, 0x1000, 16, 8));
	SHOW(syscall(SYS_getrandom, bytes, sizeof bytes, 0));
	for (unsigned i = 0; i < sizeof bytes; i++)
		sum += bytes[i];
	SHOW(sum > sizeof bytes * 120 && sum < sizeof bytes * 135);
}

static void registers(void)
{
	unsigned long fs = 0, gs = 7;

	SHOW(syscall(SYS_arch_prctl, 0x1003, &fs));
	SHOW(fs != 0);
	SHOW(syscall(SYS_arch_prctl, 0x1004, &gs));
	SHOW(gs);
	SHOW(syscall(SYS_arch_prctl, 0x1001, 0x12345000));
	SHOW(syscall(SYS_arch_prctl, 0x1004, &gs));
	SHOW(gs);
	SHOW(syscall(SYS_arch_prctl, 0x1001, 0x800000000000));
	SHOW(syscall(SYS_arch_prctl, 0x1001, -1));
	SHOW(syscall(SYS_arch_prctl, 0x1002, 0xffff800000000000));
	SHOW(syscall(SYS_arch_prctl, 0x1003, 0x1000));
	SHOW(syscall(SYS_arch_prctl, 0x1001, 0));
	SHOW(syscall(SYS_arch_prctl, 0x9999, 0));
	SHOW(syscall(SYS_arch_prctl, -1, 0));
}

/* struct sigaction as the kernel has it. */
struct action {
	unsigned long handler, flags, restorer, mask;
};

static long action(long signal, void *set, void *old, long size)
{
	return syscall(SYS_rt_sigaction, signal, set, old, size);
}

static void signals(void)
{
	struct action set = { 1, SA_RESTART, 0, -1UL }, old = { 7, 7, 7, 7 };
	unsigned long mask = -1UL, was = 7;
	stack_t stack = { 0 }, before;
	static char space[65536];

	SHOW(action(SIGUSR1, 0, &old, 8));
	SHOW(old.handler | old.flags | old.mask);
	SHOW(action(SIGUSR1, &set, 0, 8));
	SHOW(action(SIGUSR1, 0, &old, 8));
	SHOW(old.handler);
	SHOW(old.flags);
	SHOW(old.mask);
	SHOW(action(SIGKILL, 0, &old, 8));
	SHOW(action(SIGKILL, &set, &old, 8));
	SHOW(action(SIGSTOP, &set, 0, 8));
	SHOW(action(0, &set, 0, 8));
	SHOW(action(64, &set, 0, 8));
	SHOW(action(65, &set, 0, 8));
	SHOW(action(-1, 0, 0, 8));
	SHOW(action(SIGUSR1, &set, 0, 4));
	SHOW(action(SIGUSR1, 0, 0, 16));
	SHOW(action(SIGUSR1, (void *)0x1000, 0, 8));
	SHOW(action(SIGUSR1, 0, (void *)0x1000, 8));
	SHOW(kill(getpid(), SIGUSR1));
	SHOW(kill(getpid(), 0));
	SHOW(kill(getpid(), 65));
	SHOW(kill(getpid(), -1));
	SHOW(kill(0x7ffffff0, 0));
	SHOW(syscall(SYS_tgkill, getpid(), getpid(), 0));
	SHOW(syscall(SYS_tgkill, getpid(), getpid(), 99));
	SHOW(syscall(SYS_tgkill, 0, getpid(), 0));
	SHOW(syscall(SYS_tgkill, getpid(), 0x7ffffff0, 0));
	SHOW(syscall(SYS_tkill, getpid(), 0));
	SHOW(syscall(SYS_tkill, -1, 0));
	SHOW(kill(getpid(), SIGCHLD));
	SHOW(kill(getpid(), SIGWINCH));
	SHOW(syscall(SYS_rt_sigprocmask, 0, 0, &was, 8));
	SHOW(was);
	SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8));
	SHOW(syscall(SYS_rt_sigprocmask, 99, 0, &was, 8));
	SHOW(was);
	mask = 0xff;
	SHOW(syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &mask, &was, 8));
	SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, &was, 8));
	SHOW(was);
	SHOW(syscall(SYS_rt_sigprocmask, 99, &mask, 0, 8));
	SHOW(syscall(SYS_rt_sigprocmask, 0, &mask, 0, 4));
	SHOW(syscall(SYS_rt_sigprocmask, 0, 0x1000, 0, 8));
	SHOW(syscall(SYS_rt_sigprocmask, 99, 0x1000, 0, 8));
	SHOW(syscall(SYS_rt_sigprocmask, 0, 0, 0x1000, 8));
	mask = 0;
	SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8));
	SHOW(syscall(SYS_rt_sigpending, &was, 8));
	SHOW(was);
	SHOW(syscall(SYS_rt_sigpending, &was, 16));
	SHOW(sigaltstack(0, &before));
	SHOW(before.ss_flags);
	stack.ss_sp = space;
	stack.ss_size = 100;
	SHOW(syscall(SYS_sigaltstack, &stack, 0));
	stack.ss_size = sizeof space;
	stack.ss_flags = 8;
	SHOW(syscall(SYS_sigaltstack, &stack, 0));
	stack.ss_flags = 0;
	SHOW(syscall(SYS_sigaltstack, &stack, 0));
	SHOW(syscall(SYS_sigaltstack, 0, &before));
	SHOW(before.ss_sp == space && before.ss_size == sizeof space);
	SHOW(before.ss_flags);
	SHOW(syscall(SYS_sigaltstack, 0x1000, 0));
	SHOW(syscall(SYS_sigaltstack, 0, 0x1000));
	stack.ss_flags = SS_DISABLE;
	SHOW(syscall(SYS_sigaltstack, &stack, &before));
	SHOW(syscall(SYS_sigaltstack, 0, &before));
	SHOW(before.ss_flags);
}

/* Signals that are raised while blocked wait. */
static void blocked(void)
{
	struct action ignored = { 1, 0, 0, 0 }, usual = { 0, 0, 0, 0 };
	unsigned long mask = 1UL << (SIGUSR2 - 1) | 1UL << (SIGCHLD - 1), was;

	SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8));
	SHOW(kill(getpid(), SIGUSR2));
	SHOW(kill(getpid(), SIGCHLD));
	SHOW(syscall(SYS_rt_sigpending, &was, 8));
	SHOW(was);
	was = 0;
	SHOW(syscall(SYS_rt_sigpending, &was, 2));
	SHOW(was);
	SHOW(action(SIGUSR2, &ignored, 0, 8));
	SHOW(action(SIGCHLD, &usual, 0, 8));
	SHOW(syscall(SYS_rt_sigpending, &was, 8));
	SHOW(was);
	SHOW(kill(getpid(), SIGUSR2));
	SHOW(syscall(SYS_rt_sigpending, &was, 8));
	SHOW(was);
	mask = 0;
	SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8));
	SHOW(syscall(SYS_rt_sigpending, &was, 8));
	SHOW(was);
	SHOW(action(SIGUSR2, &usual, 0, 8));
}

/* How it was started; addresses and what depends on the machine left out. */
static void start(int argc, char **argv)
{
	char **end = environ;
	unsigned long seen = 0;

	printf("argc %d, argv[argc] %p\n", argc, (void *)argv[argc]);
	for (int i = 1; i < argc; i++)
		printf("argv[%d] \"%s\"\n", i, argv[i]);
	SHOW(strstr(argv[0], "process") != 0);
	printf("MINE=%s\n", getenv("MINE") ? getenv("MINE") : "(none)");
	while (*end)
		end++;
	SHOW(end == environ || end[-1] != 0);
	SHOW((char *)environ == (char *)(argv + argc + 1));
	for (Elf64_auxv_t *a = (void *)(end + 1); a->a_type; a++) {
		unsigned long value = a->a_un.a_val;

		if (a->a_type < 64)
			seen |= 1UL << a->a_type;
		switch (a->a_type) {
		case AT_PAGESZ:
		case AT_PHENT:
		case AT_PHNUM:
		case AT_CLKTCK:
		case AT_SECURE:
		case AT_FLAGS:
		case AT_UID:
		case AT_EUID:
		case AT_GID:
		case AT_EGID:
			printf("auxv %lu = %lu\n", a->a_type, value);
			break;
		case AT_HWCAP:
			/* CPUID leaf 1, EDX, of which KVM shows a part: here
			   FPU, TSC, CX8, CMOV, MMX, FXSR, SSE, SSE2. */
			SHOW((value & 0x7808111) == 0x7808111);
			break;
		case AT_PLATFORM:
			printf("auxv platform %s\n", (char *)value);
			break;
		case AT_EXECFN:
			SHOW(strcmp((char *)value, argv[0]));
			break;
		case AT_RANDOM:
			SHOW(memcmp((char *)value, "\0\0\0\0\0\0\0", 8) != 0);
			break;
		case AT_ENTRY:
		case AT_PHDR:
			SHOW(value != 0);
			break;
		}
	}
	SHOW(seen >> AT_RANDOM & 1);
	SHOW((unsigned long)__builtin_frame_address(0) % 16);
}

int main(int argc, char **argv)
{
	int number = argc > 2 ? atoi(argv[2]) : 0;
	const char *how = argc > 1 ? argv[1] : "";

	if (!strcmp(how, "exit"))
		syscall(SYS_exit, number);
	if (!strcmp(how, "exit_group"))
		syscall(SYS_exit_group, number);
	if (!strcmp(how, "raise")) {
		struct action usual = { 0, 0, 0, 0 };

		/* Whoever started it may have it ignored, as nohup does. */
		action(number, &usual, 0, 8);
		kill(getpid(), number);
	}
	if (!strcmp(how, "limits")) {
		for (int which = 0; which < 16; which++) {
			struct rlimit limit;

			syscall(SYS_prlimit64, 0, which, 0, &limit);
			printf("%d %ld %ld\n", which, (long)limit.rlim_cur,
			       (long)limit.rlim_max);
		}
		return 0;
	}
	if (!strcmp(how, "unblock")) {
		unsigned long mask = 1UL << (number - 1);

		syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, 0, 8);
		kill(getpid(), number);
		printf("it waits\n");
		fflush(stdout);
		syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &mask, 0, 8);
		printf("it is gone\n");
		return 0;
	}
	if (!strcmp(how, "return"))
		return number;
	start(argc, argv);
	ids();
	system_wide();
	children();
	limits();
	randomness();
	registers();
	signals();
	blocked();
	return 0;
}
