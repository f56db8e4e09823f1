/*
 * spoiled.c: what a call was given is read once: another thread spoils it while
 * the call waits.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "show.h"

#define PAGE 4096

static int ends[2];
static char *page;

/* Takes the page away, or makes a time on it one that is none. */
static void *spoil(void *takes)
{
	static const struct timespec none = { -1, -1 };

	usleep(50000);
	if (takes)
		munmap(page, PAGE);
	else
		memcpy(page, &none, sizeof none);
	usleep(50000);
	write(ends[1], "x", 1);
	return 0;
}

/* A time and a set of signals on a page of their own. */
static void *fresh(void)
{
	static const struct timespec long_time = { 20, 0 };

	page = mmap(0, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(page, &long_time, sizeof long_time);
	memset(page + 64, 0, 64);
	return page;
}

#define WHILE_SPOILED(takes, call)                                        \
	do {                                                              \
		pthread_t other;                                          \
		char byte;                                                \
                                                                          \
		fresh();                                                  \
		pthread_create(&other, 0, spoil, (takes) ? page : 0);     \
		SHOW(call);                                               \
		pthread_join(other, 0);                                   \
		SHOW(read(ends[0], &byte, 1));                            \
	} while (0)

static long select_by_page(int fd)
{
	struct { void *set; long bytes; } *pack = (void *)(page + 128);
	fd_set reads;

	FD_ZERO(&reads);
	FD_SET(fd, &reads);
	pack->set = page + 64;
	pack->bytes = 8;
	return syscall(SYS_pselect6, fd + 1, &reads, 0, 0, page, pack);
}

int main(void)
{
	struct epoll_event event = { .events = EPOLLIN }, told;
	struct timespec *time;
	int set;

	setvbuf(stdout, 0, _IOLBF, 0);
	pipe(ends);
	struct pollfd one = { ends[0], POLLIN, 0 };

	set = epoll_create1(0);
	epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event);
	for (int takes = 0; takes < 2; takes++) {
		WHILE_SPOILED(takes, syscall(SYS_ppoll, &one, 1, page,
					     page + 64, 8));
		WHILE_SPOILED(takes, select_by_page(ends[0]));
		WHILE_SPOILED(takes, syscall(SYS_epoll_pwait, set, &told, 1,
					     20000, page + 64, 8));
		WHILE_SPOILED(takes, syscall(SYS_epoll_pwait2, set, &told, 1,
					     page, page + 64, 8));
		time = fresh();
		time->tv_sec = 0;
		time->tv_nsec = 200000000;
		pthread_t other;
		char byte;

		pthread_create(&other, 0, spoil, takes ? page : 0);
		SHOW(syscall(SYS_nanosleep, page, 0));
		pthread_join(other, 0);
		SHOW(read(ends[0], &byte, 1));
	}
	return 0;
}
