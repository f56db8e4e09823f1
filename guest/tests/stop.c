/*
 * stop.c: signals that stop a program, and SIGCONT.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "signals.h"

static volatile int continued;

static void goes_on(int signal)
{
	(void)signal;
	continued++;
}

/* Stops all of it, and has SIGCONT sent a little later. */
static int stop(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
				  .sigev_signo = SIGCONT };
	struct itimerspec later = { { 0, 0 }, { 0, 300000000 } };
	timer_t timer;
	int result;

	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &later, 0);
	result = raise(SIGSTOP);
	timer_delete(timer);
	return result;
}

static void itself(void)
{
	sigset_t set = set_of(SIGCONT);

	handle(SIGCONT, goes_on, 0);
	SHOW(stop());
	SHOW(continued);
	/* One that is blocked, and one that does nothing, continue as well. */
	sigprocmask(SIG_BLOCK, &set, 0);
	SHOW(stop());
	handle(SIGCONT, SIG_DFL, 0);
	SHOW(stop());
}

static void *stops(void *arg)
{
	usleep(50000);
	stop();
	return arg;
}

static void waiting(void)
{
	pthread_t thread;
	struct epoll_event event;
	struct timespec half = { 0, 500000000 }, left = { 0, 0 };
	struct timespec second = { 1, 0 };
	sigset_t set = set_of(SIGUSR1);
	int epoll = epoll_create1(0);

	pthread_create(&thread, 0, stops, 0);
	SHOW(epoll_wait(epoll, &event, 1, 5000));
	pthread_join(thread, 0);
	pthread_create(&thread, 0, stops, 0);
	SHOW(sigtimedwait(&set, 0, &second));
	pthread_join(thread, 0);
	pthread_create(&thread, 0, stops, 0);
	SHOW(poll(0, 0, 500));
	pthread_join(thread, 0);
	pthread_create(&thread, 0, stops, 0);
	SHOW(nanosleep(&half, &left));
	pthread_join(thread, 0);
}

static void pending(void)
{
	sigset_t set = set_of(SIGTSTP), now;

	sigprocmask(SIG_BLOCK, &set, 0);
	SHOW(raise(SIGTSTP));
	sigpending(&now);
	SHOW(sigismember(&now, SIGTSTP));
	/* The one takes the other back. */
	SHOW(raise(SIGCONT));
	sigpending(&now);
	SHOW(sigismember(&now, SIGTSTP));
	sigprocmask(SIG_UNBLOCK, &set, 0);
	handle(SIGTSTP, count, 0);
	handle(SIGTTOU, SIG_IGN, 0);
	SHOW(raise(SIGTSTP));
	SHOW(raise(SIGTTOU));
	SHOW(calls);
}

static void from_outside(void)
{
	handle(SIGCONT, goes_on, 0);
	SHOW(continued);
	SHOW(raise(SIGSTOP));
	SHOW(continued);
	/* SIGTSTP finds it computing. */
	while (continued < 2)
		;
	SHOW(continued);
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "itself", itself }, { "waiting", waiting },
		{ "pending", pending }, { "from_outside", from_outside },
		{ 0, 0 },
	};

	return run_parts(parts, argc, argv);
}
