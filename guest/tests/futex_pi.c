/*
 * futex_pi.c: futexes that have an owner.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../scratchvm.h"
#include "signals.h"

/* linux/futex.h, which not every libc comes with. */
#define FUTEX_LOCK_PI 6
#define FUTEX_UNLOCK_PI 7
#define FUTEX_TRYLOCK_PI 8
#define FUTEX_LOCK_PI2 13
#define FUTEX_WAITERS 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK 0x3fffffffu

static uint32_t word;
static pthread_mutex_t mutex;
static int order[8], got, results[3];
static volatile int ready;

static int futex(uint32_t *at, int operation, struct timespec *until)
{
	return (int)syscall(SYS_futex, at, operation, 0, until, 0, 0);
}

static int own(void)
{
	return (word & FUTEX_TID_MASK) == (uint32_t)syscall(SYS_gettid);
}

/* Waits until somebody else waits for the word. */
static void until_waited(void)
{
	while (!(*(volatile uint32_t *)&word & FUTEX_WAITERS))
		usleep(1000);
}

static void *takes(void *arg)
{
	results[0] = futex(&word, FUTEX_LOCK_PI, 0);
	results[1] = own();
	results[2] = futex(&word, FUTEX_UNLOCK_PI, 0);
	return arg;
}

static void *takes_and_ends(void *arg)
{
	futex(&word, FUTEX_LOCK_PI, 0);
	while (!ready)
		usleep(1000);
	return arg;
}

static void lets_go(int signal)
{
	(void)signal;
	ready = 1;
}

static void raw(void)
{
	pthread_t thread;
	struct timespec past = { 1, 0 }, soon, wrong = { 0, -1 };
	sigset_t alarms;

	SHOW(futex((uint32_t *)1, FUTEX_LOCK_PI, 0));
	SHOW(futex((uint32_t *)0x1000, FUTEX_LOCK_PI, 0));
	SHOW(futex(&word, FUTEX_UNLOCK_PI, 0));
	SHOW(futex(&word, FUTEX_LOCK_PI, &wrong));
	SHOW(futex(&word, FUTEX_LOCK_PI, 0));
	SHOW(own());
	SHOW(futex(&word, FUTEX_LOCK_PI, 0));
	SHOW(futex(&word, FUTEX_TRYLOCK_PI, 0));
	pthread_create(&thread, 0, takes, 0);
	until_waited();
	SHOW(futex(&word, FUTEX_UNLOCK_PI, 0));
	pthread_join(thread, 0);
	for (int i = 0; i < 3; i++)
		SHOW(results[i]);
	SHOW(word);
	word = 0x3ffffff;
	SHOW(futex(&word, FUTEX_LOCK_PI, 0));
	SHOW(futex(&word, FUTEX_TRYLOCK_PI, 0));
	SHOW(futex(&word, FUTEX_UNLOCK_PI, 0));
	/* Time passes while another has it, and that one ends with it. */
	word = 0;
	pthread_create(&thread, 0, takes_and_ends, 0);
	while (!*(volatile uint32_t *)&word)
		usleep(1000);
	SHOW(futex(&word, FUTEX_TRYLOCK_PI, 0));
	SHOW(futex(&word, FUTEX_LOCK_PI, &past));
	clock_gettime(CLOCK_MONOTONIC, &soon);
	soon.tv_sec += 1;
	SHOW(futex(&word, FUTEX_LOCK_PI2, &soon));
	handle(SIGALRM, count, 0);
	alarm(1);
	ready = 0;
	SAVE();
	clock_gettime(CLOCK_MONOTONIC, &soon);
	soon.tv_sec += 2;
	/* A signal does not end it. */
	SHOW(futex(&word, FUTEX_LOCK_PI2, &soon));
	SHOW(calls);
	/* The other takes it, late enough that this one waits by then. */
	handle(SIGALRM, lets_go, 0);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarms, 0);
	alarm(3);
	SHOW(futex(&word, FUTEX_LOCK_PI, 0));
	SHOW(own());
	SHOW((word & FUTEX_OWNER_DIED) != 0);
	pthread_join(thread, 0);
}

static void *in_turn(void *arg)
{
	pthread_mutex_lock(&mutex);
	order[got++] = (int)(intptr_t)arg;
	pthread_mutex_unlock(&mutex);
	return 0;
}

static void *saves(void *arg)
{
	usleep(50000);
	SAVE();
	usleep(20000);
	pthread_mutex_unlock(&mutex);
	return arg;
}

static void *locks_and_saves(void *arg)
{
	pthread_mutex_lock(&mutex);
	ready = 2;
	return saves(arg);
}

static void mutexes(void)
{
	pthread_mutexattr_t attributes;
	pthread_t threads[4], saver;

	pthread_mutexattr_init(&attributes);
	SHOW(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT));
	SHOW(pthread_mutex_init(&mutex, &attributes));
	pthread_create(&saver, 0, locks_and_saves, 0);
	while (ready != 2)
		usleep(1000);
	SHOW(pthread_mutex_trylock(&mutex) != 0);
	for (intptr_t i = 0; i < 4; i++) {
		pthread_create(&threads[i], 0, in_turn, (void *)i);
		usleep(2000);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], 0);
	pthread_join(saver, 0);
	SHOW(got);
	SHOW(order[0] + order[1] + order[2] + order[3]);
	SHOW(pthread_mutex_lock(&mutex));
	SHOW(pthread_mutex_unlock(&mutex));
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "raw", raw }, { "mutexes", mutexes }, { 0, 0 },
	};

	return run_parts(parts, argc, argv);
}
