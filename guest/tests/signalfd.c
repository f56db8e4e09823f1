/*
 * signalfd.c: signals that are read from a file.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../scratchvm.h"
#include "signals.h"

static struct signalfd_siginfo got[4];
static int fd;

static int signalfd4(int of, sigset_t *set, size_t bytes, int flags)
{
	return (int)syscall(SYS_signalfd4, of, set, bytes, flags);
}

static void block(int signal)
{
	sigset_t set = set_of(signal);

	sigprocmask(SIG_BLOCK, &set, 0);
}

static int readable(void)
{
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

static void show(int i)
{
	printf("signal %u code %d own %d uid %d int %d tid %u overrun %u\n",
	       got[i].ssi_signo, got[i].ssi_code,
	       got[i].ssi_pid == (uint32_t)getpid(),
	       got[i].ssi_uid == getuid(), got[i].ssi_int, got[i].ssi_tid,
	       got[i].ssi_overrun);
}

static int queue(int signal, int with)
{
	union sigval value = { .sival_int = with };

	return sigqueue(getpid(), signal, value);
}

static void errors(void)
{
	sigset_t set = set_of(SIGUSR1);

	block(SIGUSR1);
	SHOW((fd = (int)syscall(SYS_signalfd, -1, &set, 8)) > 0);
	SHOW(fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(syscall(SYS_signalfd, fd, &set, 7));
	close(fd);
	SHOW(signalfd4(-1, &set, 7, 0));
	SHOW(signalfd4(-1, (sigset_t *)0x1000, 8, 0));
	SHOW(signalfd4(-1, &set, 8, 1));
	SHOW(signalfd4(99, &set, 8, 0));
	SHOW(signalfd4(0, &set, 8, 0));
	SHOW((fd = signalfd4(-1, &set, 8, SFD_NONBLOCK | SFD_CLOEXEC)) > 0);
	SHOW(fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(signalfd4(fd, &set, 8, 0) == fd);
	SHOW(readable());
	SHOW(read(fd, got, sizeof got));
	SHOW(read(fd, got, 127));
	SHOW(read(fd, (void *)0x1000, 128));
	SHOW(write(fd, got, 128));
	SHOW(lseek(fd, 4, SEEK_SET));
	SHOW(pread(fd, got, 128, 0));
	SHOW(raise(SIGUSR1));
	SHOW(readable());
	SHOW(read(fd, (void *)0x1000, 128));
	SHOW(read(fd, got, 128));
	close(fd);
}

static void reads(void)
{
	sigset_t set = set_of(SIGUSR1);
	timer_t timer;
	struct sigevent event = { 0 };
	struct itimerspec soon = { { 0, 0 }, { 0, 1000000 } };

	block(SIGUSR1);
	block(SIGUSR2);
	block(SIGRTMIN);
	block(SIGCHLD);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGKILL);
	fd = signalfd4(-1, &set, 8, SFD_NONBLOCK);
	SHOW(queue(SIGRTMIN, 7));
	SHOW(queue(SIGRTMIN, 8));
	SHOW(raise(SIGUSR2));
	SHOW(kill(getpid(), SIGUSR1));
	SHOW(read(fd, got, sizeof got));
	show(0);
	show(1);
	show(2);
	SHOW(read(fd, got, sizeof got));
	/* Another set: what waits already can be read at once. */
	set = set_of(SIGUSR2);
	SHOW(signalfd4(fd, &set, 8, 0) == fd);
	SHOW(readable());
	SHOW(read(fd, got, 300));
	show(0);
	set = set_of(SIGCHLD);
	SHOW(signalfd4(fd, &set, 8, 0) == fd);
	SHOW(raise(SIGCHLD));
	SHOW(read(fd, got, 128));
	show(0);
	set = set_of(SIGRTMIN);
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGRTMIN;
	event.sigev_value.sival_int = 5;
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	signalfd4(fd, &set, 8, 0);
	timer_settime(timer, 0, &soon, 0);
	fcntl(fd, F_SETFL, 0);
	SHOW(read(fd, got, 128));
	show(0);
	close(fd);
}

static void *sends(void *arg)
{
	usleep(30000);
	kill(getpid(), SIGUSR1);
	return arg;
}

static void *waits(void *arg)
{
	SHOW(read(fd, got, sizeof got));
	show(0);
	return arg;
}

static void waiting(void)
{
	sigset_t set = set_of(SIGUSR1);
	pthread_t thread;
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, seen;
	int epoll = epoll_create1(0);

	block(SIGUSR1);
	fd = signalfd4(-1, &set, 8, 0);
	SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	SHOW(epoll_wait(epoll, &seen, 1, 0));
	pthread_create(&thread, 0, sends, 0);
	SHOW(epoll_wait(epoll, &seen, 1, -1));
	SHOW(seen.events);
	pthread_join(thread, 0);
	SHOW(epoll_wait(epoll, &seen, 1, 0));
	SHOW(read(fd, got, sizeof got));
	pthread_create(&thread, 0, sends, 0);
	SHOW(read(fd, got, sizeof got));
	show(0);
	pthread_join(thread, 0);
	/* Another signal, which nobody blocks, interrupts it. */
	handle(SIGALRM, count, 0);
	alarm(1);
	SHOW(read(fd, got, sizeof got));
	/* A signal to another thread is none of this one. */
	SHOW(pthread_create(&thread, 0, waits, 0));
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, 0);
	close(epoll);
	close(fd);
}

static void saved(void)
{
	sigset_t set = set_of(SIGUSR1);
	pthread_t thread;
	struct epoll_event event = { .events = EPOLLIN }, seen;
	int epoll = epoll_create1(0);

	block(SIGUSR1);
	block(SIGUSR2);
	fd = signalfd4(-1, &set, 8, 0);
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	pthread_create(&thread, 0, waits, 0);
	usleep(20000);
	SAVE();
	usleep(20000);
	kill(getpid(), SIGUSR1);
	pthread_join(thread, 0);
	raise(SIGUSR1);
	SAVE();
	SHOW(readable());
	SHOW(epoll_wait(epoll, &seen, 1, -1));
	SHOW(read(fd, got, sizeof got));
	show(0);
	SHOW(epoll_wait(epoll, &seen, 1, 0));
	raise(SIGUSR2);
	set = set_of(SIGUSR2);
	SHOW(signalfd4(fd, &set, 8, 0) == fd);
	SAVE();
	SHOW(epoll_wait(epoll, &seen, 1, -1));
	SHOW(read(fd, got, sizeof got));
	show(0);
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "errors", errors }, { "reads", reads },
		{ "waiting", waiting }, { "saved", saved }, { 0, 0 },
	};

	return run_parts(parts, argc, argv);
}
