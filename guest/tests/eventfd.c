/*
 * eventfd.c: counters and timers that can be waited for; sizes of pipes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "show.h"

static uint64_t value;
static int fd;

static int events(int of)
{
	struct pollfd p = { of, POLLIN | POLLOUT, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

static int put(uint64_t v)
{
	return (int)write(fd, &v, 8);
}

static void *adds(void *arg)
{
	(void)arg;
	usleep(10000);
	put(5);
	return 0;
}

static void *takes(void *left)
{
	usleep(10000);
	read(fd, left, 8);
	return 0;
}

static void counters(void)
{
	char bytes[32];
	uint64_t taken = 0;
	pthread_t thread;

	SHOW((fd = (int)syscall(SYS_eventfd, 7)) > 0);
	SHOW(fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(read(fd, &value, 8));
	SHOW(value);
	close(fd);
	SHOW(eventfd(0, 12345));
	SHOW((fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC)) > 0);
	SHOW(fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(events(fd));
	SHOW(read(fd, bytes, 7));
	SHOW(read(fd, bytes, 32));
	SHOW(*(uint64_t *)bytes);
	SHOW(read(fd, &value, 8));
	SHOW(events(fd));
	SHOW(put(0));
	SHOW(events(fd));
	SHOW(put(UINT64_MAX));
	SHOW(put(UINT64_MAX - 1));
	SHOW(events(fd));
	SHOW(put(1));
	SHOW(write(fd, &value, 7));
	SHOW(write(fd, (void *)0x1000, 8));
	SHOW(read(fd, &value, 8));
	SHOW(value == UINT64_MAX - 1);
	SHOW(read(fd, (void *)0x1000, 8));
	SHOW(lseek(fd, 5, SEEK_SET));
	SHOW(pread(fd, &value, 8, 0));
	SHOW(ftruncate(fd, 0));
	close(fd);
	SHOW((fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK)) > 0);
	SHOW(read(fd, &value, 8));
	SHOW(value);
	SHOW(read(fd, &value, 8));
	SHOW(read(fd, &value, 8));
	close(fd);
	fd = eventfd(0, 0);
	pthread_create(&thread, 0, adds, 0);
	SHOW(read(fd, &value, 8));
	SHOW(value);
	pthread_join(thread, 0);
	SHOW(put(UINT64_MAX - 1));
	pthread_create(&thread, 0, takes, &taken);
	SHOW(put(1));
	pthread_join(thread, 0);
	SHOW(taken == UINT64_MAX - 1);
	close(fd);
}

static int set(long ms, long interval_ms, int flags)
{
	struct itimerspec t = {
		{ interval_ms / 1000, interval_ms % 1000 * 1000000 },
		{ ms / 1000, ms % 1000 * 1000000 },
	};

	return timerfd_settime(fd, flags, &t, 0);
}

static void timers(void)
{
	struct itimerspec t, old;
	struct timespec now;

	SHOW(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
	SHOW(timerfd_create(CLOCK_MONOTONIC, 7));
	SHOW((fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) > 0);
	SHOW(fcntl(fd, F_GETFL));
	SHOW(timerfd_gettime(fd, &t));
	SHOW(t.it_value.tv_sec);
	SHOW(read(fd, &value, 8));
	SHOW(set(100000, 7000, 0));
	SHOW(timerfd_gettime(fd, &t));
	SHOW(t.it_value.tv_sec);
	SHOW(t.it_interval.tv_sec);
	t.it_value.tv_sec = 0;
	t.it_value.tv_nsec = 0;
	SHOW(timerfd_settime(fd, 0, &t, &old));
	SHOW(old.it_value.tv_sec);
	t.it_value.tv_nsec = 1000000000;
	SHOW(timerfd_settime(fd, 0, &t, &old));
	t.it_value.tv_nsec = 5;
	SHOW(timerfd_settime(fd, 99, &t, &old));
	SHOW(timerfd_settime(0, 0, &t, &old));
	SHOW(timerfd_settime(99, 0, &t, &old));
	SHOW(timerfd_settime(fd, 0, (void *)0x1000, &old));
	SHOW(timerfd_gettime(0, &t));
	SHOW(write(fd, &value, 8));
	SHOW(read(fd, &value, 7));
	struct pollfd p = { fd, POLLIN, 0 };
	SHOW(set(1, 0, TFD_TIMER_ABSTIME));
	SHOW(poll(&p, 1, -1));
	SHOW(events(fd));
	SHOW(read(fd, &value, 8));
	SHOW(value);
	SHOW(read(fd, &value, 8));
	SHOW(set(20, 0, 0));
	SHOW(poll(&p, 1, -1));
	SHOW(set(100000, 0, 0));
	SHOW(events(fd));
	close(fd);
	SHOW((fd = timerfd_create(CLOCK_REALTIME, 0)) > 0);
	clock_gettime(CLOCK_REALTIME, &now);
	memset(&t, 0, sizeof t);
	t.it_value.tv_sec = now.tv_sec + 1;
	SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, 0));
	SHOW(read(fd, &value, 8));
	SHOW(value);
	clock_gettime(CLOCK_REALTIME, &now);
	SHOW(now.tv_sec >= t.it_value.tv_sec);
	SHOW(set(10, 5, 0));
	usleep(100000);
	SHOW(read(fd, &value, 8));
	SHOW(value >= 19);
	SHOW(read(fd, &value, 8));
	SHOW(value >= 1);
	close(fd);
}

static void pipes(void)
{
	static char block[300000];
	int p[2];

	SHOW(pipe2(p, O_NONBLOCK));
	SHOW(fcntl(p[0], F_GETPIPE_SZ));
	SHOW(fcntl(p[0], F_SETPIPE_SZ, 5000));
	SHOW(write(p[1], block, 300000));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 4096));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 262144));
	SHOW(write(p[1], block, 300000));
	SHOW(read(p[0], block, 300000));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 0));
	SHOW(fcntl(p[1], F_GETPIPE_SZ));
	SHOW(fcntl(0, F_SETPIPE_SZ, -1) < 0);
}

int main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "";

	setvbuf(stdout, 0, _IOLBF, 0);
	if (!strcmp(part, "counters"))
		counters();
	else if (!strcmp(part, "timers"))
		timers();
	else if (!strcmp(part, "pipes"))
		pipes();
	printf("end\n");
	return 0;
}
