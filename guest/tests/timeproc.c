/*
 * timeproc.c: clocks and sleeps: every clock, those that are not there, times
 * that never go back, sleeps with wrong arguments.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "show.h"

static long gettime(long clock, void *at)
{
	return syscall(SYS_clock_gettime, clock, at);
}

static long nap(long seconds, long ns)
{
	struct timespec t = { seconds, ns };

	return syscall(SYS_nanosleep, &t, 0);
}

static long nap_on(long clock, long flags, long seconds, long ns)
{
	struct timespec t = { seconds, ns };

	return syscall(SYS_clock_nanosleep, clock, flags, &t, 0);
}

static double now(int clock)
{
	struct timespec t = { 0, 0 };

	gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void clocks(void)
{
	static const int all[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
				   10, 12, 15, 16, 100, -1, INT_MAX, INT_MIN };
	struct timespec t;

	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		/* TAI and the alarm clocks, 8, 9 and 11, depend on the machine. */
		if (all[i] == 8 || all[i] == 9 || all[i] == 11)
			continue;
		t = (struct timespec){ -1, -1 };
		printf("clock %d\n", all[i]);
		SHOW(gettime(all[i], &t));
		SHOW(t.tv_nsec < 1000000000L);
		SHOW(gettime(all[i], 0));
		SHOW(gettime(all[i], (void *)0x1000));
		SHOW(syscall(SYS_clock_getres, all[i], &t));
		SHOW(syscall(SYS_clock_getres, all[i], 0));
		SHOW(syscall(SYS_clock_getres, all[i], 0x1000));
		SHOW(nap_on(all[i], 0, 0, -1));
		SHOW(nap_on(all[i], 0, 0, 1000000000L));
	}
}

static void forward(void)
{
	static const int same[] = { 1, 4, 6, 7 };
	struct timeval tv;
	long back = 0;

	for (unsigned c = 0; c < 4; c++) {
		double last = now(same[c]);

		for (int i = 0; i < 1000; i++) {
			double next = now(same[c]);

			back += next < last;
			last = next;
		}
	}
	SHOW(back);
	double before = now(CLOCK_PROCESS_CPUTIME_ID);
	for (volatile int i = 0; i < 20000000; i++)
		;
	SHOW(now(CLOCK_PROCESS_CPUTIME_ID) > before);
	SHOW(now(CLOCK_MONOTONIC) >= 0);
	SHOW(gettimeofday(&tv, 0));
	SHOW((double)tv.tv_sec - now(CLOCK_REALTIME) < 2);
	SHOW(now(CLOCK_REALTIME) - (double)tv.tv_sec < 60);
	SHOW(now(CLOCK_REALTIME) > 1.6e9);
	long seconds = 0;
	SHOW(syscall(SYS_time, &seconds) == seconds);
	SHOW(seconds - tv.tv_sec < 60 && seconds >= tv.tv_sec);
	SHOW_OK(syscall(SYS_time, 0));
	SHOW(syscall(SYS_time, 0x1000));
	SHOW(syscall(SYS_gettimeofday, 0, 0));
	SHOW(syscall(SYS_gettimeofday, 0x1000, 0));
	SHOW(syscall(SYS_gettimeofday, 0, 0x1000));
	struct timezone zone = { 7, 7 };
	SHOW(syscall(SYS_gettimeofday, 0, &zone));
	SHOW(zone.tz_dsttime);
	SHOW_OK(syscall(SYS_times, 0));
	SHOW(syscall(SYS_times, 0x1000));
}

static void sleeping(void)
{
	struct timespec t = { 7, 7 };
	double start = now(CLOCK_MONOTONIC);

	SHOW(nap(0, 0));
	SHOW(nap(0, 2000000));
	SHOW(now(CLOCK_MONOTONIC) - start >= 0.002);
	SHOW(nap(-1, 0));
	SHOW(nap(0, -1));
	SHOW(nap(0, 1000000000L));
	SHOW(nap(LONG_MIN, 0));
	SHOW(nap(-1, 999999999L));
	SHOW(syscall(SYS_nanosleep, 0, 0));
	SHOW(syscall(SYS_nanosleep, 0x1000, 0));
	SHOW(syscall(SYS_nanosleep, -8, 0));
	t = (struct timespec){ 0, 1000 };
	SHOW(syscall(SYS_nanosleep, &t, 0x1000));
	SHOW(nap_on(CLOCK_MONOTONIC, 0, 0, 1000000));
	SHOW(nap_on(CLOCK_REALTIME, 0, 0, 1000000));
	SHOW(nap_on(CLOCK_BOOTTIME, 0, 0, 1000000));
	SHOW(nap_on(CLOCK_MONOTONIC, TIMER_ABSTIME, 0, 0));
	SHOW(nap_on(CLOCK_REALTIME, TIMER_ABSTIME, 1, 0));
	SHOW(nap_on(CLOCK_MONOTONIC, TIMER_ABSTIME, -1, 0));
	SHOW(nap_on(CLOCK_MONOTONIC, 2, 0, 1000));
	SHOW(nap_on(3, 0, 0, 1000));
	SHOW(nap_on(4, 0, 0, 1000));
	SHOW(nap_on(5, 0, 0, 1000));
	SHOW(nap_on(6, 0, 0, 1000));
	SHOW(nap_on(99, 0, 0, 1000));
	SHOW(nap_on(-1, 0, 0, 1000));
	SHOW(syscall(SYS_clock_nanosleep, 1, 0, 0, 0));
	SHOW(syscall(SYS_clock_nanosleep, 1, 0, 0x1000, 0));
	start = now(CLOCK_MONOTONIC);
	gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += 5000000;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	SHOW(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0));
	SHOW(now(CLOCK_MONOTONIC) - start >= 0.004);
}

/* Time that is slept is no CPU time. */
static void cpu_time(void)
{
	struct timespec from[2], to[2], nap = { .tv_nsec = 200000000 };
	long long passed[2];

	for (int i = 0; i < 2; i++)
		clock_gettime(i ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC,
			      &from[i]);
	nanosleep(&nap, 0);
	for (int i = 0; i < 2; i++) {
		clock_gettime(i ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC,
			      &to[i]);
		passed[i] = (to[i].tv_sec - from[i].tv_sec) * 1000000000ll +
			    to[i].tv_nsec - from[i].tv_nsec;
	}
	printf("slept %d, with less than half as much CPU time %d\n",
	       passed[0] >= 200000000, passed[1] * 2 < passed[0]);
}

int main(void)
{
	cpu_time();
	clocks();
	forward();
	sleeping();
	return 0;
}
