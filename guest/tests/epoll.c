/*
 * epoll.c: sets of files that are waited for together.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "show.h"

static int set, other;
static int fds[2];
static char block[70000];

static int ctl(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = { .events = events, .data.u64 = data };

	return epoll_ctl(ep, op, fd, &e);
}

/* What a set gives at once. */
static void given(const char *when, int ep, int most)
{
	struct epoll_event e[16];
	int n = epoll_wait(ep, e, most, 0);

	printf("%-40s %d:", when, n);
	for (int i = 0; i < n; i++)
		printf(" %x/%llu", e[i].events,
		       (unsigned long long)e[i].data.u64);
	printf("\n");
}

static void errors(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	int file;

	SHOW(epoll_create(0));
	SHOW(epoll_create1(5));
	SHOW((set = epoll_create1(EPOLL_CLOEXEC)) > 0);
	SHOW(fcntl(set, F_GETFD));
	SHOW(fcntl(set, F_GETFL));
	SHOW(pipe(fds));
	SHOW(ctl(set, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
	SHOW(ctl(set, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
	SHOW(ctl(set, EPOLL_CTL_MOD, fds[1], EPOLLIN, 1));
	SHOW(ctl(set, EPOLL_CTL_DEL, fds[1], EPOLLIN, 1));
	SHOW(epoll_ctl(set, EPOLL_CTL_DEL, fds[0], 0));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, fds[0], 0));
	SHOW(ctl(set, 9, fds[0], 0, 0));
	SHOW(ctl(set, EPOLL_CTL_ADD, 99, 0, 0));
	SHOW(ctl(99, EPOLL_CTL_ADD, fds[0], 0, 0));
	SHOW(ctl(fds[0], EPOLL_CTL_ADD, fds[1], 0, 0));
	SHOW(ctl(set, EPOLL_CTL_ADD, set, 0, 0));
	SHOW((file = open("/dev/null", O_RDONLY)) > 0);
	SHOW(ctl(set, EPOLL_CTL_ADD, file, EPOLLIN, 0));
	SHOW(close(file));
	SHOW((file = open("a file", O_RDWR | O_CREAT, 0600)) > 0);
	SHOW(ctl(set, EPOLL_CTL_ADD, file, EPOLLIN, 0));
	SHOW(close(file));
	SHOW(epoll_wait(set, &e, 0, 0));
	SHOW(syscall(SYS_epoll_wait, set, &e, -1, 0));
	SHOW(epoll_wait(fds[0], &e, 1, 0));
	SHOW(epoll_wait(99, &e, 1, 0));
	SHOW(epoll_wait(set, &e, 1, 1));
	SHOW(ctl(set, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLEXCLUSIVE, 0));
	SHOW(ctl(set, EPOLL_CTL_MOD, fds[0], EPOLLIN, 0));
	SHOW(ctl(set, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLEXCLUSIVE, 0));
	SHOW(ctl(set, EPOLL_CTL_ADD, fds[1],
		 EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT, 0));
	SHOW(write(fds[1], "x", 1));
	SHOW(epoll_wait(set, (void *)0x1000, 1, 0));
	given("after a fault", set, 16);
	SHOW(read(set, block, 10));
	SHOW(write(set, block, 10));
	SHOW(close(fds[0]));
	SHOW(close(fds[1]));
	given("closed", set, 16);
	SHOW(close(set));
}

static void level_and_edge(void)
{
	SHOW(pipe2(fds, O_NONBLOCK));
	set = epoll_create1(0);
	SHOW(ctl(set, EPOLL_CTL_ADD, fds[0], EPOLLIN, 1));
	given("empty", set, 16);
	SHOW(write(fds[1], "ab", 2));
	given("level", set, 16);
	given("level again", set, 16);
	SHOW(read(fds[0], block, 1));
	given("one left", set, 16);
	SHOW(read(fds[0], block, 1));
	given("none left", set, 16);

	SHOW(ctl(set, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLET, 2));
	SHOW(write(fds[1], "ab", 2));
	given("edge", set, 16);
	given("edge again", set, 16);
	SHOW(write(fds[1], "c", 1));
	given("another byte", set, 16);
	SHOW(read(fds[0], block, 1));
	given("read one", set, 16);
	SHOW(ctl(set, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLET, 3));
	given("modified", set, 16);

	SHOW(ctl(set, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT, 4));
	given("one shot", set, 16);
	given("one shot again", set, 16);
	SHOW(write(fds[1], "d", 1));
	given("one shot, a byte more", set, 16);
	SHOW(ctl(set, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLONESHOT, 5));
	given("one shot, armed", set, 16);

	SHOW(ctl(set, EPOLL_CTL_ADD, fds[1], EPOLLOUT | EPOLLET, 6));
	given("writable", set, 16);
	given("writable again", set, 16);
	/* In whole pages: what is left of a page is room for nobody. */
	SHOW(read(fds[0], block, 70000));
	SHOW(write(fds[1], block, 70000));
	given("full", set, 16);
	SHOW(read(fds[0], block, 70000));
	given("emptied", set, 16);
	SHOW(ctl(set, EPOLL_CTL_MOD, fds[0], EPOLLIN, 7));
	SHOW(close(fds[1]));
	given("writer gone", set, 16);
	SHOW(close(fds[0]));
	given("both gone", set, 16);
	SHOW(close(set));
}

/* Which come first, and who comes next when not all fit. */
static void order(void)
{
	int e[5];

	set = epoll_create1(0);
	for (int i = 0; i < 5; i++) {
		e[i] = eventfd(0, EFD_NONBLOCK);
		ctl(set, EPOLL_CTL_ADD, e[i], EPOLLIN, (uint64_t)i);
	}
	for (int i = 0; i < 5; i++)
		eventfd_write(e[(i * 2 + 1) % 5], 1);
	given("two of five", set, 2);
	given("the next two", set, 2);
	given("the next two", set, 2);
	given("all", set, 16);
	for (int i = 0; i < 5; i++)
		ctl(set, EPOLL_CTL_MOD, e[i], EPOLLIN | EPOLLET, (uint64_t)i);
	given("edges: two", set, 2);
	given("edges: the rest", set, 16);
	given("edges: none", set, 16);
	int copy = dup(e[0]);
	SHOW(ctl(set, EPOLL_CTL_ADD, copy, EPOLLIN, 100));
	SHOW(close(e[0]));
	given("closed, but a copy is open", set, 16);
	SHOW(eventfd_write(copy, 1));
	given("written through the copy", set, 16);
	SHOW(epoll_ctl(set, EPOLL_CTL_DEL, e[0], 0));
	SHOW(close(copy));
	given("the copy is closed", set, 16);
	for (int i = 1; i < 5; i++)
		close(e[i]);
	SHOW(close(set));
}

static void nested(void)
{
	int sets[8], e = eventfd(0, 0);

	for (int i = 0; i < 8; i++)
		sets[i] = epoll_create1(0);
	SHOW(ctl(sets[0], EPOLL_CTL_ADD, e, EPOLLIN, 1));
	for (int i = 1; i < 8; i++)
		SHOW(ctl(sets[i], EPOLL_CTL_ADD, sets[i - 1], EPOLLIN, 10));
	SHOW(ctl(sets[0], EPOLL_CTL_ADD, sets[2], EPOLLIN, 1));
	SHOW(ctl(sets[0], EPOLL_CTL_ADD, sets[1], EPOLLIN, 1));
	given("nothing", sets[3], 16);
	SHOW(eventfd_write(e, 1));
	given("from below", sets[3], 16);
	given("in the middle", sets[1], 16);
	given("itself", sets[0], 16);
	eventfd_t v;
	SHOW(eventfd_read(e, &v));
	given("read", sets[3], 16);
	SHOW(ctl(sets[1], EPOLL_CTL_MOD, sets[0], EPOLLIN | EPOLLET, 11));
	SHOW(eventfd_write(e, 1));
	given("an edge of a set", sets[1], 16);
	given("an edge of a set, again", sets[1], 16);
	SHOW(eventfd_write(e, 1));
	given("the next edge of a set", sets[1], 16);
	SHOW(ctl(sets[5], EPOLL_CTL_ADD, sets[0],
		 EPOLLIN | EPOLLEXCLUSIVE, 1));
	for (int i = 0; i < 8; i++)
		close(sets[i]);
	close(e);
}

static void *writes(void *arg)
{
	(void)arg;
	usleep(20000);
	ctl(set, EPOLL_CTL_ADD, other, EPOLLIN, 42);
	usleep(20000);
	eventfd_write(other, 1);
	return 0;
}

/* Who waits is told of what another thread adds; and by a timer. */
static void threads(void)
{
	struct epoll_event e = { 0 };
	struct itimerspec in10 = { .it_value.tv_nsec = 10000000 };
	pthread_t thread;
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t count;

	set = epoll_create1(0);
	other = eventfd(0, 0);
	pthread_create(&thread, 0, writes, 0);
	SHOW(epoll_wait(set, &e, 1, -1));
	SHOW(e.data.u64);
	pthread_join(thread, 0);
	SHOW(epoll_ctl(set, EPOLL_CTL_DEL, other, 0));
	SHOW(ctl(set, EPOLL_CTL_ADD, timer, EPOLLIN | EPOLLET, 7));
	SHOW(epoll_wait(set, &e, 1, 5));
	SHOW(timerfd_settime(timer, 0, &in10, 0));
	SHOW(epoll_wait(set, &e, 1, -1));
	SHOW(e.data.u64);
	SHOW(epoll_wait(set, &e, 1, 5));
	SHOW(read(timer, &count, 8));
	SHOW(count);
	struct timespec t = { 0, 1000000 };
	SHOW(syscall(SYS_epoll_pwait2, set, &e, 1, &t, 0, 0));
	t.tv_nsec = -1;
	SHOW(syscall(SYS_epoll_pwait2, set, &e, 1, &t, 0, 0));
}

static void sockets(void)
{
	int s[2];

	set = epoll_create1(0);
	SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	SHOW(ctl(set, EPOLL_CTL_ADD, s[0],
		 EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 1));
	given("a socket", set, 16);
	given("a socket again", set, 16);
	SHOW(write(s[1], "abc", 3));
	given("a message", set, 16);
	SHOW(shutdown(s[1], SHUT_WR));
	given("half closed", set, 16);
	SHOW(close(s[1]));
	given("closed", set, 16);
	SHOW(ctl(set, EPOLL_CTL_MOD, s[0], EPOLLIN, 2));
	given("level", set, 16);
}

int main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "";

	setvbuf(stdout, 0, _IOLBF, 0);
	if (!strcmp(part, "errors"))
		errors();
	else if (!strcmp(part, "level_and_edge"))
		level_and_edge();
	else if (!strcmp(part, "order"))
		order();
	else if (!strcmp(part, "nested"))
		nested();
	else if (!strcmp(part, "threads"))
		threads();
	else if (!strcmp(part, "sockets"))
		sockets();
	printf("end\n");
	return 0;
}
