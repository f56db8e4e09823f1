/*
 * cpu_time.c: timers, sleeps and clocks of CPU time.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "../scratchvm.h"
#include "signals.h"

static siginfo_t told;
static volatile int stop;
static pthread_barrier_t both;

static void note(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if (calls++ == 0)
		told = *info;
}

static void compute_until(int wanted)
{
	volatile uint64_t x = 1;

	while (calls < wanted)
		x = x * 3 + 1;
}

static int64_t ns(clockid_t clock)
{
	struct timespec t = { -1, 0 };

	return clock_gettime(clock, &t) ? -1 :
					  t.tv_sec * 1000000000LL + t.tv_nsec;
}

static timer_t made;

static int timer(clockid_t clock)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
				  .sigev_signo = SIGRTMIN + 1 };

	event.sigev_value.sival_int = 9;
	return timer_create(clock, &event, &made);
}

static int set(long wanted_ns, long interval_ns, int flags)
{
	struct itimerspec t = { { 0, interval_ns },
				{ wanted_ns / 1000000000,
				  wanted_ns % 1000000000 } };

	return timer_settime(made, flags, &t, 0);
}

static void *computes(void *arg)
{
	volatile uint64_t x = 1;

	pthread_barrier_wait(&both);
	while (!stop)
		x = x * 3 + 1;
	return arg;
}

static void timers(void)
{
	struct itimerspec left;
	clockid_t own;

	handle_info(SIGRTMIN + 1, note, 0);
	SHOW(timer(CLOCK_PROCESS_CPUTIME_ID));
	SHOW(set(20000000, 0, 0));
	compute_until(1);
	printf("code %d value %d\n", told.si_code, told.si_value.sival_int);
	SHOW(timer_gettime(made, &left));
	SHOW(left.it_value.tv_sec + left.it_value.tv_nsec);
	SHOW(set(5000000, 5000000, 0));
	compute_until(4);
	SHOW(timer_delete(made));
	calls = 0;
	SHOW(timer(CLOCK_THREAD_CPUTIME_ID));
	SHOW(set(ns(CLOCK_THREAD_CPUTIME_ID) + 200000000, 0, TIMER_ABSTIME));
	/* Asleep it has no CPU time. */
	usleep(400000);
	SHOW(calls);
	compute_until(1);
	SHOW(calls);
	timer_delete(made);
	SHOW(clock_getcpuclockid(0, &own));
	SHOW(timer(own));
	SHOW(set(1000000, 0, 0));
	compute_until(2);
	timer_delete(made);
	SHOW(timer(CLOCK_MONOTONIC_RAW));
	SHOW(timer(-1));
}

static void clocks(void)
{
	pthread_t thread;
	clockid_t own, other;
	struct rusage self, one;
	struct tms tms;
	struct timespec res, wanted = { 0, 30000000 };
	int64_t before;

	pthread_barrier_init(&both, 0, 2);
	SHOW(pthread_getcpuclockid(pthread_self(), &own));
	SHOW(ns(own) > 0);
	SHOW(clock_getres(own, &res));
	SHOW(syscall(SYS_clock_gettime, ~99999 * 8 | 2, &res));
	SHOW(syscall(SYS_clock_gettime, -1, &res));
	pthread_create(&thread, 0, computes, 0);
	pthread_barrier_wait(&both);
	pthread_getcpuclockid(thread, &other);
	/* Until the other one has had so much. */
	before = ns(other);
	SHOW(syscall(SYS_clock_nanosleep, other, 0, &wanted, 0));
	SHOW(ns(other) - before >= 30000000);
	before = ns(CLOCK_PROCESS_CPUTIME_ID);
	SHOW(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0,
		     &wanted, 0));
	SHOW(ns(CLOCK_PROCESS_CPUTIME_ID) - before >= 30000000);
	SHOW(syscall(SYS_clock_nanosleep, own, 0, &wanted, 0));
	SHOW(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &wanted,
		     0));
	wanted.tv_nsec = 1;
	SHOW(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID,
		     TIMER_ABSTIME, &wanted, 0));
	wanted.tv_nsec = -1;
	SHOW(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &wanted,
		     0));
	stop = 1;
	pthread_join(thread, 0);
	SHOW(getrusage(RUSAGE_SELF, &self));
	SHOW(getrusage(RUSAGE_THREAD, &one));
	int64_t all_us = (self.ru_utime.tv_sec + self.ru_stime.tv_sec) *
			 1000000LL + self.ru_utime.tv_usec +
			 self.ru_stime.tv_usec;
	int64_t own_us = (one.ru_utime.tv_sec + one.ru_stime.tv_sec) *
			 1000000LL + one.ru_utime.tv_usec +
			 one.ru_stime.tv_usec;
	SHOW(all_us >= own_us + 50000);
	SHOW_OK(times(&tms));
	SHOW(tms.tms_utime + tms.tms_stime >= 5);
}

/* Timers and sleeps of CPU time go on behind a save where they were. */
static void saved(void)
{
	pthread_t thread;
	struct timespec wanted = { 0, 300000000 };
	int64_t before;

	handle_info(SIGRTMIN + 1, note, 0);
	SHOW(timer(CLOCK_THREAD_CPUTIME_ID));
	SHOW(set(30000000, 0, 0));
	SAVE();
	compute_until(1);
	printf("code %d value %d\n", told.si_code, told.si_value.sival_int);
	before = ns(CLOCK_PROCESS_CPUTIME_ID);
	SAVE();
	SHOW(ns(CLOCK_PROCESS_CPUTIME_ID) >= before);
	pthread_barrier_init(&both, 0, 2);
	SHOW(pthread_create(&thread, 0, computes, 0));
	pthread_barrier_wait(&both);
	SHOW(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0,
		     &wanted, 0));
	SHOW(ns(CLOCK_PROCESS_CPUTIME_ID) - before >= 300000000);
	stop = 1;
	pthread_join(thread, 0);
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "timers", timers }, { "clocks", clocks },
		{ "saved", saved }, { 0, 0 },
	};

	return run_parts(parts, argc, argv);
}
