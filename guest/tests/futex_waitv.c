/*
 * futex_waitv.c: waiting at many futexes at once.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../scratchvm.h"
#include "signals.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* linux/futex.h, which not every libc comes with. */
struct waiter {
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};

enum { WAKE = 1, REQUEUE = 3, U32 = 2, PRIVATE = 128, MANY = 128 };

static uint32_t words[MANY], other;
static struct waiter all[MANY + 1];
static int result, error;

static int waitv(struct waiter *at, unsigned count, unsigned flags,
		 struct timespec *until, int clock)
{
	return (int)syscall(SYS_futex_waitv, at, count, flags, until, clock);
}

static int wake(uint32_t *at, int count)
{
	return (int)syscall(SYS_futex, at, WAKE | PRIVATE, count, 0, 0, 0);
}

static void fill(void)
{
	for (int i = 0; i < MANY; i++)
		all[i] = (struct waiter){ words[i], (uintptr_t)&words[i],
					  U32 | PRIVATE, 0 };
}

static struct timespec after(int clock, long ms)
{
	struct timespec time;

	clock_gettime(clock, &time);
	time.tv_nsec += ms * 1000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

static void *waits(void *count)
{
	result = waitv(all, (unsigned)(intptr_t)count, 0, 0, 0);
	error = result < 0 ? errno : 0;
	return 0;
}

static void errors(void)
{
	struct timespec past = { 1, 0 }, wrong = { 0, -1 }, before = { -1, 0 };
	struct timespec soon;

	fill();
	SHOW(waitv(all, 0, 0, 0, 0));
	SHOW(waitv(all, MANY + 1, 0, 0, 0));
	SHOW(waitv(all, -1u, 0, 0, 0));
	SHOW(waitv(0, 1, 0, 0, 0));
	SHOW(waitv((struct waiter *)8, 1, 0, 0, 0));
	SHOW(waitv(all, 1, 1, 0, 0));
	SHOW(waitv(all, 1, 0, &past, 2));
	SHOW(waitv(all, 1, 0, &past, -1));
	SHOW(waitv(all, 1, 0, (struct timespec *)8, 1));
	SHOW(waitv(all, 1, 0, &wrong, 1));
	SHOW(waitv(all, 1, 0, &before, 1));
	SHOW(waitv(all, MANY, 0, &past, 0));
	SHOW(waitv(all, MANY, 0, &past, 1));
	soon = after(CLOCK_MONOTONIC, 20);
	SHOW(waitv(all, MANY, 0, &soon, CLOCK_MONOTONIC));
	soon = after(CLOCK_REALTIME, 20);
	SHOW(waitv(all, 2, 0, &soon, CLOCK_REALTIME));
	/* Nothing of it is left behind. */
	SHOW(wake(&words[0], 9) + wake(&words[127], 9));
	all[1].val = 1;
	SHOW(waitv(all, 2, 0, &past, 1));
	SHOW(waitv(all, 1, 0, &past, 1));
	fill();
	all[1].reserved = 1;
	SHOW(waitv(all, 2, 0, &past, 1));
	fill();
	for (unsigned flags = 0; flags < 4; flags++) {
		all[1].flags = flags | PRIVATE;
		SHOW(waitv(all, 2, 0, &past, 1));
	}
	all[1].flags = U32;
	SHOW(waitv(all, 2, 0, &past, 1));
	all[1].flags = U32 | 16;
	SHOW(waitv(all, 2, 0, &past, 1));
	all[1].flags = U32 | 1u << 31;
	SHOW(waitv(all, 2, 0, &past, 1));
	fill();
	all[1].uaddr = 0x1000;
	SHOW(waitv(all, 2, 0, &past, 1));
	all[0].val = 7;
	SHOW(waitv(all, 2, 0, &past, 1));
	all[1].uaddr = 0x1001;
	SHOW(waitv(all, 2, 0, &past, 1));
	all[1].uaddr = ~0ull;
	SHOW(waitv(all, 2, 0, &past, 1));
	all[1].uaddr = ~3ull;
	SHOW(waitv(all, 2, 0, &past, 1));
	all[1].uaddr = 0;
	SHOW(waitv(all, 2, 0, &past, 1));
}

/* Wakes one of the futexes as soon as somebody waits. */
static void until_woken(uint32_t *at)
{
	while (!wake(at, 9))
		usleep(1000);
}

static void woken(void)
{
	static const int which[] = { 0, 5, 127 };
	pthread_t thread;
	int got;

	fill();
	for (int i = 0; i < 3; i++) {
		pthread_create(&thread, 0, waits, (void *)MANY);
		until_woken(&words[which[i]]);
		pthread_join(thread, 0);
		SHOW(result);
		SHOW(wake(&words[0], 9) + wake(&words[127], 9));
	}
	/* The same futex twice: each is a wait of its own. */
	all[1] = all[0];
	pthread_create(&thread, 0, waits, (void *)2);
	while ((got = wake(&words[0], 1)) == 0)
		usleep(1000);
	SHOW(got);
	pthread_join(thread, 0);
	SHOW(result == 0 || result == 1);
	/* Moved to another. */
	fill();
	pthread_create(&thread, 0, waits, (void *)3);
	while (syscall(SYS_futex, &words[2], REQUEUE | PRIVATE, 0, 1, &other, 0)
	       != 1)
		usleep(1000);
	SHOW(wake(&words[2], 9));
	until_woken(&other);
	pthread_join(thread, 0);
	SHOW(result);
}

static void interrupted(void)
{
	struct timespec soon;

	fill();
	handle(SIGALRM, count, 0);
	alarm(1);
	SHOW(waitv(all, 3, 0, 0, 0));
	SHOW(calls);
	alarm(1);
	soon = after(CLOCK_MONOTONIC, 60000);
	SHOW(waitv(all, 3, 0, &soon, CLOCK_MONOTONIC));
	handle(SIGALRM, count, SA_RESTART);
	alarm(1);
	soon = after(CLOCK_MONOTONIC, 1500);
	SHOW(waitv(all, 3, 0, &soon, CLOCK_MONOTONIC));
	SHOW(calls);
	SHOW(wake(&words[0], 9) + wake(&words[2], 9));
}

static void *saves(void *arg)
{
	usleep(50000);
	SAVE();
	until_woken(&words[77]);
	return arg;
}

static void saved(void)
{
	struct timespec later = after(CLOCK_REALTIME, 300000), soon;
	pthread_t thread;

	fill();
	pthread_create(&thread, 0, saves, 0);
	SHOW(waitv(all, MANY, 0, &later, CLOCK_REALTIME));
	pthread_join(thread, 0);
	SHOW(wake(&words[0], 9) + wake(&words[127], 9));
	pthread_create(&thread, 0, waits, (void *)MANY);
	usleep(20000);
	SAVE();
	until_woken(&words[3]);
	pthread_join(thread, 0);
	SHOW(result);
	soon = after(CLOCK_MONOTONIC, 50);
	SHOW(waitv(all, MANY, 0, &soon, CLOCK_MONOTONIC));
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "errors", errors },
		{ "woken", woken },
		{ "interrupted", interrupted },
		{ "saved", saved },
		{ 0, 0 },
	};

	return run_parts(parts, argc, argv);
}
