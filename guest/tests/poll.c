/*
 * poll.c: poll, ppoll, select and pselect6: files, pipes, descriptors that are
 * not open, none at all, timeouts, counts beyond the limit, entries that cannot
 * be read.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <string.h>
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

/* Descriptors that select is asked for; the result, and what it left of them. */
static unsigned long sets[3][32];

static void ask(int set, int fd)
{
	sets[set][fd / 64] |= 1UL << fd % 64;
}

static long select_raw(int count, int which, void *time)
{
	return syscall(SYS_select, count, which & 1 ? sets[0] : 0,
		       which & 2 ? sets[1] : 0, which & 4 ? sets[2] : 0, time);
}

static long pselect_raw(int count, void *read, void *time, void *pack)
{
	return syscall(SYS_pselect6, count, read, 0, 0, time, pack);
}

static void show_sets(void)
{
	for (int i = 0; i < 3; i++)
		printf("  %lx %lx %lx\n", sets[i][0], sets[i][1], sets[i][2]);
	memset(sets, 0, sizeof sets);
}

static void selecting(void)
{
	struct timeval none = { 0, 0 }, soon = { 0, 3000 }, later = { 100, 0 };
	struct timespec short_time = { 0, 2000000 }, long_time = { 100, 0 };
	struct { void *set; long size; } pack = { 0, 0 };
	unsigned long mask = 0;
	char byte;

	if (pipe(fds))
		return;
	printf("pipe %d %d\n", fds[0], fds[1]);
	SHOW(select_raw(0, 0, &none));
	SHOW(select_raw(0, 7, &none));
	SHOW(select_raw(0, 0, &soon));
	printf("left %ld %ld\n", soon.tv_sec, soon.tv_usec);
	SHOW(select_raw(-1, 0, &none));
	SHOW(select_raw(-1, 0, 0));
	/* Files are always ready; O_PATH is no file; nothing to read in a pipe. */
	for (int i = 0; i < 3; i++)
		for (int fd = 5; fd <= 8; fd++)
			ask(i, fd);
	ask(0, fds[0]);
	ask(1, fds[1]);
	SHOW(select_raw(20, 7, 0));
	show_sets();
	ask(0, fds[0]);
	SHOW(select_raw(fds[0] + 1, 1, &none));
	show_sets();
	ask(0, fds[0]);
	soon.tv_usec = 2000;
	SHOW(select_raw(fds[0] + 1, 1, &soon));
	printf("left %ld %ld\n", soon.tv_sec, soon.tv_usec);
	show_sets();
	SHOW(write(fds[1], "x", 1));
	ask(0, fds[0]);
	ask(2, fds[0]);
	ask(1, fds[0]);
	SHOW(select_raw(fds[0] + 1, 7, &later));
	printf("left %d\n", later.tv_sec == 99 && later.tv_usec > 0);
	show_sets();
	/* Only what is below the count is looked at. */
	ask(0, fds[0]);
	ask(0, 99);
	SHOW(select_raw(fds[0] + 1, 1, 0));
	show_sets();
	ask(0, fds[0]);
	ask(0, 40);
	SHOW(select_raw(64, 1, 0));
	show_sets();
	/* Times and pointers that are wrong. */
	later = (struct timeval){ -1, 0 };
	SHOW(select_raw(0, 0, &later));
	later = (struct timeval){ 0, -1 };
	SHOW(select_raw(0, 0, &later));
	later = (struct timeval){ 1, -1 };
	SHOW(select_raw(0, 0, &later));
	later = (struct timeval){ 0, 2500000 };
	ask(0, fds[0]);
	SHOW(select_raw(10, 1, &later));
	printf("left %ld\n", later.tv_sec);
	SHOW(select_raw(0, 0, (void *)0x1000));
	SHOW(syscall(SYS_select, 10, 0x1000, 0, 0, 0));
	SHOW(syscall(SYS_select, 10, 0, 0, 0x1000, &none));
	SHOW(syscall(SYS_select, 0, 0x1000, 0x1000, -8, &none));
	show_sets();
	unsigned long *fixed = mmap(0, 4096, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fixed[0] = 1UL << fds[0];
	fixed[8] = 0;
	fixed[9] = 1000000;
	mprotect(fixed, 4096, PROT_READ);
	SHOW(syscall(SYS_select, 20, fixed, 0, 0, 0));
	ask(0, fds[0]);
	/* Time that cannot be written is not, and that is all. */
	SHOW(select_raw(20, 1, fixed + 8));
	/* pselect6 */
	SHOW(pselect_raw(fds[0] + 1, sets, &long_time, 0));
	printf("left %d\n", long_time.tv_sec == 99 && long_time.tv_nsec > 0);
	show_sets();
	SHOW(read(fds[0], &byte, 1));
	ask(0, fds[0]);
	SHOW(pselect_raw(fds[0] + 1, sets, &short_time, &pack));
	printf("left %ld %ld\n", short_time.tv_sec, short_time.tv_nsec);
	show_sets();
	pack.set = &mask;
	SHOW(pselect_raw(0, 0, &short_time, &pack));
	pack.size = 8;
	SHOW(pselect_raw(0, 0, &short_time, &pack));
	pack.set = (void *)0x1000;
	SHOW(pselect_raw(0, 0, &short_time, &pack));
	SHOW(pselect_raw(0, 0, &short_time, (void *)0x1000));
	SHOW(pselect_raw(-1, 0, (void *)0x1000, 0));
	short_time.tv_nsec = 1000000000;
	SHOW(pselect_raw(-1, 0, &short_time, &pack));
	/* Ends whose other end is closed. */
	SHOW(close(fds[1]));
	ask(0, fds[0]);
	ask(1, fds[0]);
	SHOW(select_raw(20, 7, 0));
	show_sets();
	ask(1, fds[0]);
	ask(2, fds[0]);
	soon.tv_usec = 2000;
	SHOW(select_raw(20, 6, &soon));
	show_sets();
	SHOW(close(fds[0]));
	if (pipe(fds))
		return;
	SHOW(close(fds[0]));
	ask(0, fds[1]);
	ask(1, fds[1]);
	ask(2, fds[1]);
	SHOW(select_raw(20, 7, 0));
	show_sets();
	SHOW(close(fds[1]));
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
	SHOW(close(fds[0]));
	selecting();
	return 0;
}
