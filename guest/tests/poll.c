/*
 * poll.c: poll and ppoll: files, pipes, descriptors that are not open, none at
 * all, timeouts, counts beyond the limit, entries that cannot be read.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "show.h"

static struct pollfd p[64];
static int fds[2];

static void show_entries(int count)
{
	for (int i = 0; i < count; i++)
		printf("  %d: asked %x got %x\n", p[i].fd, (unsigned short)p[i].events,
		       p[i].revents);
}

/* Raw: the compiler warns about pointers that are wrong on purpose. */
static long poll_raw(void *at, unsigned count, int timeout)
{
	return syscall(SYS_poll, at, count, timeout);
}

static long wait_for(void *at, unsigned count, void *time, void *mask, long size)
{
	return syscall(SYS_ppoll, at, count, time, mask, size);
}

int main(void)
{
	struct timespec none = { 0, 0 }, soon = { 0, 2000000 };
	struct rlimit limit;
	char byte;

	if (pipe(fds))
		return 1;
	SHOW(open("f", O_RDWR | O_CREAT, 0644));
	SHOW(open(".", O_RDONLY));
	SHOW(open("/dev/null", O_RDWR));
	SHOW(open("f", O_PATH));
	p[0] = (struct pollfd){ 5, -1, 0x77 };
	p[1] = (struct pollfd){ 6, -1, 0x77 };
	p[2] = (struct pollfd){ 7, -1, 0x77 };
	p[3] = (struct pollfd){ 99, -1, 0x77 };
	p[4] = (struct pollfd){ -1, -1, 0x77 };
	p[5] = (struct pollfd){ -99, -1, 0x77 };
	p[6] = (struct pollfd){ fds[0], -1, 0x77 };
	p[7] = (struct pollfd){ fds[1], -1, 0x77 };
	p[8] = (struct pollfd){ 8, -1, 0x77 };
	p[9] = (struct pollfd){ 5, 0, 0x77 };
	p[10] = (struct pollfd){ 5, POLLIN, 0x77 };
	p[11] = (struct pollfd){ 5, POLLOUT | POLLPRI, 0x77 };
	p[12] = (struct pollfd){ fds[0], POLLRDNORM, 0x77 };
	p[13] = (struct pollfd){ fds[1], POLLWRNORM, 0x77 };
	SHOW(poll_raw(p, 14, -1));
	show_entries(14);
	SHOW(poll_raw(p + 4, 2, 0));
	show_entries(6);
	SHOW(poll_raw(p + 6, 1, 0));
	SHOW(poll_raw(p + 6, 1, 3));
	SHOW(write(fds[1], "x", 1));
	SHOW(poll_raw(p + 6, 1, -1));
	SHOW(poll_raw(p + 12, 2, -5));
	show_entries(14);
	SHOW(poll_raw(0, 0, 0));
	SHOW(poll_raw(0, 0, 2));
	SHOW(poll_raw((void *)0x1000, 0, 0));
	SHOW(poll_raw((void *)0x1000, 1, 0));
	SHOW(poll_raw((void *)-8, 1, 0));
	SHOW(poll_raw(0, 1, 0));
	SHOW(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 40;
	SHOW(setrlimit(RLIMIT_NOFILE, &limit));
	SHOW(poll_raw(p, 40, 0) >= 0);
	SHOW(poll_raw(p, 41, 0));
	SHOW(poll_raw((void *)0x1000, 41, 0));
	SHOW(poll_raw(p, -1, 0));
	SHOW(wait_for(p + 6, 1, &none, 0, 0));
	SHOW(read(fds[0], &byte, 1));
	SHOW(wait_for(p + 6, 1, &none, 0, 0));
	SHOW(wait_for(p + 6, 1, &soon, 0, 0));
	SHOW(wait_for(p + 6, 1, (void *)0x1000, 0, 0));
	SHOW(wait_for((void *)0x1000, 1, &none, 0, 0));
	SHOW(wait_for(p, 41, &none, 0, 0));
	none.tv_nsec = 1000000000L;
	SHOW(wait_for(p, 1, &none, 0, 0));
	none = (struct timespec){ -1, 0 };
	SHOW(wait_for(p, 1, &none, 0, 0));
	SHOW(wait_for(p, 41, &none, 0, 0));
	none.tv_sec = 0;
	unsigned long mask = 0;
	SHOW(wait_for(p, 1, &none, &mask, 8));
	SHOW(wait_for(p, 1, &none, &mask, 4));
	SHOW(wait_for(p, 1, &none, (void *)0x1000, 8));
	SHOW(wait_for(p, 1, &none, (void *)0x1000, 4));
	/* Entries that can be read but not written. */
	struct pollfd *fixed = mmap(0, 4096, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fixed[0] = (struct pollfd){ 5, POLLIN, 0 };
	fixed[511] = (struct pollfd){ 5, POLLIN, 0 };
	mprotect(fixed, 4096, PROT_READ);
	SHOW(poll_raw(fixed, 1, 0));
	SHOW(poll_raw(fixed + 511, 2, 0));
	SHOW(close(fds[1]));
	SHOW(poll_raw(p + 6, 2, -1));
	show_entries(8);
	p[6].events = 0;
	SHOW(poll_raw(p + 6, 1, -1));
	show_entries(7);
	return 0;
}
