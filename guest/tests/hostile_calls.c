/*
 * Makes system calls that mean nothing, with arguments at random: by number,
 * pointer, length and flags. `hostile_calls SEED ROUNDS [race|look]`; with
 * "race" a thread changes what the arguments point to all the time: paths,
 * structures, arrays of buffers, and whether the pages are there at all; most
 * calls then are such as wait. It ends with how often anything outside was
 * read. With "look" it reads what is outside itself, if it may.
 */
#define _GNU_SOURCE
#include "hostile_canary.h"
#include "hostile_tame.h"
#include "hostile_waits.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>

static uint64_t state;

/* No call waits for longer than to the next of these signals. */
static const struct itimerval often = { { 0, 20000 }, { 0, 20000 } };

/* In memory, in what is open, and below the folders that are open. */
static long canaries(void)
{
	long found = canaries_in(arena, PAGES * PAGE);

	for (int fd = 2; fd < 40; fd++) {
		/* Below 3: the current folder. */
		int below = openat(fd < 3 ? AT_FDCWD : fd, "canary",
				   O_RDONLY | O_NONBLOCK);

		if (fd > 2)
			found += canaries_at(fd);
		if (below < 0)
			continue;
		found += canaries_at(below);
		close(below);
	}
	return found;
}

/* A page that comes, goes, or may not be used. */
static void flip(uint64_t *s)
{
	char *page = arena + (PAGES + next(s) % FLEETING) * PAGE;

	switch (next(s) % 4) {
	case 0:
		munmap(page, PAGE);
		break;
	case 1:
		mprotect(page, PAGE, (int)(next(s) % 4));
		break;
	default:
		mmap(page, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
}

static void *race(void *seed)
{
	uint64_t s = (uint64_t)seed;
	int fds[2];

	/* Where nothing at random finds them. */
	if (pipe2(fds, O_NONBLOCK) || dup2(fds[0], 900) < 0 ||
	    dup2(fds[1], 901) < 0)
		_exit(4);
	for (;;) {
		for (int i = 0; i < 200; i++)
			scribble(&s);
		scribble_masks(&s);
		scribble_events(&s);
		flip(&s);
		for (int i = 0; i < 3; i++)
			wake(&s);
		sched_yield();
	}
	return 0;
}

static void ignore(int number)
{
	(void)number;
}

/* Everything fresh, at the same descriptors each time. */
static void open_all(void)
{
	int fds[2];

	syscall(SYS_close_range, 3, 800, 0);
	syscall(SYS_open, "a", O_RDWR | O_CREAT | O_TRUNC, 0644);
	pipe2(fds, O_NONBLOCK);
	syscall(SYS_eventfd2, 1, O_NONBLOCK);
	syscall(SYS_socketpair, 1, 1 | O_NONBLOCK, 0, fds);
	syscall(SYS_epoll_create1, 0);
	syscall(SYS_open, ".", O_RDONLY | O_DIRECTORY);
	syscall(SYS_timerfd_create, 1, O_NONBLOCK);
	syscall(SYS_memfd_create, "m", 0);
	syscall(SYS_ftruncate, 3, 100000);
	open_waiting();
	for (int timer = 0; timer < 64; timer++)
		syscall(SYS_timer_delete, timer);
}

/*
 * The call itself. A thread that it makes ends at once: it has no stack that
 * could be used, and takes no signals.
 */
static long make(int number, const uint64_t *a)
{
	static const uint64_t all = -1UL, none;
	long result;
	int makes = number == SYS_clone || number == SYS_clone3 ||
		    number == SYS_fork || number == SYS_vfork;
	register long a3 __asm__("r10") = (long)a[3];
	register long a4 __asm__("r8") = (long)a[4];
	register long a5 __asm__("r9") = (long)a[5];

	if (!makes) {
		__asm__ volatile("syscall"
				 : "=a"(result)
				 : "a"(number), "D"(a[0]), "S"(a[1]),
				   "d"(a[2]), "r"(a3), "r"(a4), "r"(a5)
				 : "rcx", "r11", "memory");
		return result;
	}
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
	a3 = (long)a[3];
	a4 = (long)a[4];
	a5 = (long)a[5];
	/* What ends walks the list of its futexes, which is any memory. */
	__asm__ volatile("syscall\n"
			 "test %%rax, %%rax\n"
			 "jnz 1f\n"
			 "mov %[list], %%rdi\n"
			 "mov $24, %%esi\n"
			 "mov %[set_list], %%eax\n"
			 "syscall\n"
			 "mov %[yield], %%eax\n"
			 "syscall\n"
			 "xor %%edi, %%edi\n"
			 "mov %[exit], %%eax\n"
			 "syscall\n"
			 "1:"
			 : "=a"(result)
			 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]),
			   "r"(a3), "r"(a4), "r"(a5),
			   [list] "b"(anywhere(&state)),
			   [set_list] "i"(SYS_set_robust_list),
			   [yield] "i"(SYS_sched_yield), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory", "cc");
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
	return result;
}

/* What a call changed that the next ones need. */
static void put_back(int number, const uint64_t *a, long r, void *end)
{
	static const struct itimerval never;
	static const uint64_t none;

	switch (number) {
	case SYS_mmap:
		/* A mapping that was made is not kept. */
		if ((a[3] & 0x100010) == 0 && r > 0)
			munmap((void *)r, a[1]);
		break;
	case SYS_mremap:
		if (r > 0 && ((uint64_t)r < (uint64_t)arena ||
			      (uint64_t)r >= FLEETING_END))
			munmap((void *)r, a[2]);
		break;
	case SYS_brk:
		syscall(SYS_brk, end);
		break;
	case SYS_rt_sigprocmask:
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
		break;
	case SYS_alarm:
	case SYS_setitimer:
		setitimer(ITIMER_VIRTUAL, &never, 0);
		setitimer(ITIMER_PROF, &never, 0);
		setitimer(ITIMER_REAL, &often, 0);
	}
}

/* Reads what is outside: in memory, by a descriptor, and below a folder. */
static int look(void)
{
	int fd = open("../canary", O_RDONLY);

	read(fd, arena, 100);
	if (chdir(".."))
		return 3;
	dprintf(1, "%ld outside\n", canaries());
	return 0;
}

static void prepare(void)
{
	struct sigaction action = { .sa_handler = ignore };
	size_t length;

	arena = mmap((void *)ARENA, (PAGES + FLEETING) * PAGE,
		     PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	mkdirat(AT_FDCWD, "d", 0755);
	symlinkat("a", AT_FDCWD, "link");
	if (!getcwd(beside, sizeof beside - 12))
		*beside = 0;
	length = strlen(beside);
	strcpy(beside + length, "/../canary");
	for (int i = 1; i <= 64; i++)
		if (i != SIGSEGV && i != SIGBUS && i != SIGILL)
			sigaction(i, &action, 0);
}

int main(int argc, char **argv)
{
	const char *how = argc > 3 ? argv[3] : "";
	int races = !strcmp(how, "race");
	long outside = 0;
	sigset_t all;
	pthread_t thread;

	if (argc < 3)
		return 2;
	state = strtoull(argv[1], 0, 0) * 0x9e3779b97f4a7c15 | 1;
	long rounds = atol(argv[2]);

	prepare();
	if (!strcmp(how, "look"))
		return look();
	void *end = sbrk(0);

	for (int i = 0; i < 20000; i++)
		scribble(&state);
	for (int i = 0; i < 100; i++) {
		scribble_masks(&state);
		scribble_events(&state);
	}
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, 0);
	if (races)
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
			a[0] = 3 + next(&state) % 20;
		if (done % 64 == 0) {
			outside += done > 0 ? canaries() : 0;
			open_all();
		}
		if (next(&state) % (races ? 2 : 16) == 0)
			number = waiting_call(&state, a);
		else if (!tame(&state, number, a))
			continue;
		for (int i = 0; i < 20; i++)
			scribble(&state);
		if (next(&state) % 16 == 0)
			flip(&state);
		put_back(number, a, make(number, a), end);
	}
	outside += canaries();
	dprintf(1, "%ld rounds, %ld outside\n", rounds, outside);
	_exit(0);
}
