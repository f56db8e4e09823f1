/*
 * Has what Linux keeps of a process that is neither memory nor a file of the
 * host's, and saves it: threads that wait, signals, timers, and files that are
 * the VM's own. Then says whether all of it is as it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "scratchvm.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int go, ends[2];
static volatile sig_atomic_t handled;

static int say(const char *what)
{
	puts(what);
	return 1;
}

static void handler(int signal)
{
	handled = signal;
}

/* Waits at a futex. */
static void *at_futex(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "at futex");
	pthread_mutex_lock(&lock);
	while (!go)
		pthread_cond_wait(&condition, &lock);
	pthread_mutex_unlock(&lock);
	return "futex";
}

/* Waits for a pipe. */
static void *at_pipe(void *unused)
{
	static char text[8];

	(void)unused;
	prctl(PR_SET_NAME, "at pipe");
	return read(ends[0], text, sizeof text - 1) == 4 ? text : 0;
}

int main(void)
{
	static char stack[16384];
	stack_t own = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction action = { .sa_handler = handler,
				    .sa_flags = SA_ONSTACK | SA_RESTART };
	struct itimerval alarm = { .it_value = { .tv_sec = 100000 } };
	struct itimerspec later = { .it_value = { .tv_sec = 100000 } };
	struct rlimit limit = { 100, 200 };
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 77 };
	struct signalfd_siginfo info;
	pthread_t futex, pipe_reader;
	sigset_t set;
	timer_t timer;
	uint64_t count = 5;
	char text[8] = "";
	void *result;
	int pair[2], polled, events, clock_file, signals;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGHUP);
	if (sigaltstack(&own, 0) || sigaction(SIGUSR1, &action, 0)
	    || signal(SIGUSR2, SIG_IGN) == SIG_ERR
	    || sigprocmask(SIG_BLOCK, &set, 0) || raise(SIGHUP)
	    || sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 42 })
	    || setitimer(ITIMER_REAL, &alarm, 0)
	    || timer_create(CLOCK_MONOTONIC, 0, &timer)
	    || timer_settime(timer, 0, &later, 0)
	    || setrlimit(RLIMIT_NOFILE, &limit))
		return say("cannot begin");
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	if (pipe2(ends, O_CLOEXEC)
	    || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)
	    || (polled = epoll_create1(0)) < 0
	    || (events = eventfd(0, EFD_SEMAPHORE)) < 0
	    || (clock_file = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) < 0
	    || (signals = signalfd(-1, &set, SFD_NONBLOCK)) < 0
	    || timerfd_settime(clock_file, 0, &later, 0)
	    || epoll_ctl(polled, EPOLL_CTL_ADD, events, &event)
	    || write(events, &count, 8) != 8 || write(pair[1], "sock", 4) != 4)
		return say("cannot open");
	if (pthread_create(&futex, 0, at_futex, 0)
	    || pthread_create(&pipe_reader, 0, at_pipe, 0))
		return say("cannot make threads");
	/* Until they wait. */
	usleep(100000);
	if (SAVE() < 0 && errno != ENOSYS)
		return say("cannot save");
	if (raise(SIGUSR1) || handled != SIGUSR1 || raise(SIGUSR2))
		return say("a handler is lost");
	if (sigpending(&set) || !sigismember(&set, SIGHUP))
		return say("a pending signal is lost");
	if (read(signals, &info, sizeof info) != sizeof info
	    || info.ssi_int != 42)
		return say("a queued signal is lost");
	if (getitimer(ITIMER_REAL, &alarm) || alarm.it_value.tv_sec < 50000
	    || timer_gettime(timer, &later) || later.it_value.tv_sec < 50000
	    || timerfd_gettime(clock_file, &later)
	    || later.it_value.tv_sec < 50000)
		return say("a timer is lost");
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur != 100)
		return say("a limit is lost");
	memset(&event, 0, sizeof event);
	if (epoll_wait(polled, &event, 1, 0) != 1 || event.data.u64 != 77)
		return say("what was polled for is lost");
	if (read(events, &count, 8) != 8 || count != 1)
		return say("a count is lost");
	if (read(pair[0], text, 7) != 4 || strcmp(text, "sock"))
		return say("what a socket held is lost");
	pthread_mutex_lock(&lock);
	go = 1;
	pthread_cond_broadcast(&condition);
	pthread_mutex_unlock(&lock);
	if (pthread_join(futex, &result) || strcmp(result, "futex"))
		return say("a thread at a futex is lost");
	if (write(ends[1], "pipe", 4) != 4 || pthread_join(pipe_reader, &result)
	    || !result || strcmp(result, "pipe"))
		return say("a thread at a pipe is lost");
	puts("all is there");
	return 0;
}
