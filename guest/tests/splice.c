/*
 * splice.c: bytes that move between files without the program, packets in
 * pipes, and flags of reads and writes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../scratchvm.h"
#include "signals.h"

/* linux/fs.h, which not every libc knows of. */
#define HIGH_PRIORITY 1
#define DATA_SYNC 2
#define SYNC 4
#define NO_WAIT 8
#define APPEND 16

static int a[2], b[2];
static char bytes[1000000];

static int waiting(int fd)
{
	int n = -1;

	ioctl(fd, FIONREAD, &n);
	return n;
}

static int events(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

static int made(const char *name, int size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	for (int i = 0; i < size; i++)
		bytes[i] = (char)('a' + i % 23);
	write(fd, bytes, size);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void text(int fd, int most)
{
	char got[64] = "";

	SHOW(read(fd, got, most));
	printf("%s\n", got);
}

static void fresh(int flags)
{
	if (a[0]) {
		close(a[0]);
		close(a[1]);
		close(b[0]);
		close(b[1]);
	}
	pipe2(a, flags);
	pipe2(b, flags);
}

static void errors(void)
{
	int file = made("file", 100), other = eventfd(0, 0);
	int reader = open("file", O_RDONLY), end = open("file", O_WRONLY | O_APPEND);
	loff_t at = 0, below = -1;
	struct iovec one = { bytes, 10 };

	fresh(0);
	SHOW(splice(99, 0, a[1], 0, 0, 0));
	SHOW(splice(99, 0, a[1], 0, 5, 0));
	SHOW(splice(file, 0, a[1], 0, 5, 99));
	SHOW(splice(file, 0, 99, 0, 5, 0));
	SHOW(splice(file, 0, reader, 0, 5, 0));
	SHOW(splice(file, 0, file, 0, 5, 0));
	SHOW(splice(file, 0, a[0], 0, 5, 0));
	SHOW(splice(a[1], 0, file, 0, 5, 0));
	SHOW(splice(a[0], &at, file, 0, 5, 0));
	SHOW(splice(file, 0, a[1], &at, 5, 0));
	SHOW(splice(file, (loff_t *)0x1000, a[1], 0, 5, 0));
	SHOW(splice(file, &below, a[1], 0, 5, 0));
	SHOW(splice(a[0], 0, a[1], 0, 5, SPLICE_F_NONBLOCK));
	SHOW(splice(a[0], 0, b[1], 0, 5, SPLICE_F_NONBLOCK));
	write(a[1], "hello", 5);
	SHOW(splice(a[0], 0, end, 0, 5, 0));
	SHOW(splice(a[0], 0, other, 0, 5, 0));
	SHOW(splice(other, 0, a[1], 0, 5, 0));
	SHOW(tee(a[0], a[1], 5, 0));
	SHOW(tee(a[0], b[1], 5, 99));
	SHOW(tee(a[0], b[1], 0, 0));
	SHOW(tee(a[0], 99, 5, 0));
	SHOW(tee(file, b[1], 5, 0));
	SHOW(vmsplice(file, &one, 1, 0));
	SHOW(vmsplice(99, &one, 1, 0));
	SHOW(vmsplice(a[1], &one, 1, 99));
	SHOW(vmsplice(a[1], &one, 0, 0));
	SHOW(vmsplice(a[1], (void *)0x1000, 1, 0));
	SHOW(waiting(a[0]));
	close(a[1]);
	SHOW(splice(a[0], 0, b[1], 0, 50, 0));
	SHOW(splice(a[0], 0, b[1], 0, 50, 0));
	SHOW(tee(a[0], b[1], 50, 0));
	handle(SIGPIPE, count, 0);
	close(b[0]);
	SHOW(splice(file, 0, b[1], 0, 5, 0));
	SHOW(calls);
	SHOW(sendfile(b[1], file, 0, 5));
	SHOW(calls);
	a[0] = 0;
}

static void moves(void)
{
	int file = made("file", 100000), to = made("to", 0);
	int pair[2], null = open("/dev/null", O_WRONLY);
	loff_t at = 3;
	struct iovec two[] = { { "one ", 4 }, { "two", 3 } };
	struct iovec in = { bytes, 5 };

	fresh(0);
	SHOW(splice(file, 0, a[1], 0, 10, 0));
	SHOW(lseek(file, 0, SEEK_CUR));
	SHOW(splice(file, &at, a[1], 0, 4, 0));
	SHOW(at);
	SHOW(lseek(file, 0, SEEK_CUR));
	SHOW(tee(a[0], b[1], 6, 0));
	SHOW(waiting(a[0]));
	text(b[0], 20);
	SHOW(splice(a[0], 0, to, 0, 100, 0));
	at = 2;
	write(a[1], "written", 7);
	SHOW(splice(a[0], 0, to, &at, 4, 0));
	SHOW(at);
	SHOW(lseek(to, 0, SEEK_CUR));
	lseek(to, 0, SEEK_SET);
	text(to, 30);
	SHOW(splice(a[0], 0, b[1], 0, 2, 0));
	text(b[0], 20);
	SHOW(waiting(a[0]));
	SHOW(vmsplice(a[1], two, 2, 0));
	SHOW(vmsplice(a[0], &in, 1, 0));
	printf("%.5s\n", bytes);
	text(a[0], 20);
	/* More than there is room for, and the end of the file. */
	lseek(file, 0, SEEK_SET);
	SHOW(splice(file, 0, a[1], 0, 1000000, SPLICE_F_NONBLOCK));
	SHOW(splice(file, 0, a[1], 0, 1000000, SPLICE_F_NONBLOCK));
	SHOW(splice(a[0], 0, null, 0, 1000000, 0));
	lseek(file, 0, SEEK_END);
	SHOW(splice(file, 0, a[1], 0, 10, 0));
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	write(a[1], "by socket", 9);
	SHOW(splice(a[0], 0, pair[0], 0, 100, 0));
	SHOW(splice(pair[1], 0, a[1], 0, 100, 0));
	text(a[0], 20);
	SHOW(splice(pair[1], 0, a[1], 0, 100, SPLICE_F_NONBLOCK));
	/* sendfile */
	at = 5;
	SHOW(sendfile(a[1], file, &at, 8));
	SHOW(at);
	text(a[0], 20);
	SHOW(sendfile(pair[0], file, &at, 8));
	text(pair[1], 20);
	lseek(file, 0, SEEK_SET);
	lseek(to, 0, SEEK_SET);
	SHOW(sendfile(to, file, 0, 70000));
	SHOW(lseek(file, 0, SEEK_CUR));
	SHOW(lseek(to, 0, SEEK_CUR));
	SHOW(sendfile(to, file, 0, 1000000));
	SHOW(sendfile(to, file, 0, 1000000));
	at = 4096;
	SHOW(sendfile(a[1], file, &at, 1000000));
	fcntl(a[1], F_SETFL, O_NONBLOCK);
	SHOW(sendfile(a[1], file, &at, 1000000));
	SHOW(sendfile(to, pair[1], 0, 5));
	SHOW(sendfile(null, file, 0, 5));
	at = -1;
	SHOW(sendfile(to, file, &at, 5));
	SHOW(sendfile(to, file, (off_t *)0x1000, 5));
}

static void packets(void)
{
	int p[2];
	char got[9000];

	SHOW(pipe2(p, O_DIRECT | O_NONBLOCK));
	SHOW(fcntl(p[0], F_GETFL));
	SHOW(fcntl(p[1], F_GETFL));
	SHOW(write(p[1], "first", 5));
	SHOW(write(p[1], "", 0));
	SHOW(write(p[1], "second", 6));
	SHOW(waiting(p[0]));
	text(p[0], 20);
	text(p[0], 3);
	SHOW(read(p[0], got, 20));
	SHOW(write(p[1], bytes, 9000));
	SHOW(read(p[0], got, 9000));
	SHOW(read(p[0], got, 9000));
	SHOW(read(p[0], got, 9000));
	SHOW(read(p[0], got, 9000));
	/* Each takes a page. */
	for (int i = 0; i < 15; i++)
		write(p[1], "x", 1);
	SHOW(events(p[1]));
	SHOW(write(p[1], "y", 1));
	SHOW(events(p[1]));
	SHOW(write(p[1], "z", 1));
	SHOW(read(p[0], got, 100));
	SHOW(write(p[1], "z", 1));
	SHOW(waiting(p[0]));
}

static struct iovec one = { bytes, 10 };

static int moved(long call, int fd, long offset, int how)
{
	return (int)syscall(call, fd, &one, 1, offset, 0, how);
}

static void flags(void)
{
	int file = made("file", 100);

	fresh(0);
	SHOW(moved(SYS_preadv2, a[0], 0, NO_WAIT));
	SHOW(moved(SYS_pwritev2, file, 5, DATA_SYNC));
	SHOW(moved(SYS_pwritev2, file, 5, SYNC));
	SHOW(moved(SYS_pwritev2, file, 0, APPEND));
	SHOW(lseek(file, 0, SEEK_END));
	SHOW(moved(SYS_pwritev2, file, -1, APPEND | DATA_SYNC));
	SHOW(lseek(file, 0, SEEK_CUR));
	SHOW(moved(SYS_preadv2, file, 100, HIGH_PRIORITY));
	SHOW(moved(SYS_preadv2, file, 0, 0x8000000));
	SHOW(moved(SYS_preadv2, 99, 0, NO_WAIT));
}

static void *later(void *arg)
{
	usleep(30000);
	SAVE();
	write(a[1], "late", 4);
	return arg;
}

static void *empties(void *arg)
{
	usleep(30000);
	SAVE();
	return (void *)(read(b[0], arg, 100000) - 100000);
}

/* Calls that wait, saved meanwhile; packets, too. */
static void saved(void)
{
	pthread_t thread;
	int file = made("file", 1000), direct[2], pair[2];
	loff_t at = 0;

	fresh(0);
	pthread_create(&thread, 0, later, 0);
	SHOW(splice(a[0], 0, b[1], 0, 50, 0));
	pthread_join(thread, 0);
	text(b[0], 20);
	pthread_create(&thread, 0, later, 0);
	SHOW(tee(a[0], b[1], 50, 0));
	pthread_join(thread, 0);
	text(b[0], 20);
	SHOW(fcntl(b[1], F_SETPIPE_SZ, 4096));
	write(b[1], bytes, 4096);
	pthread_create(&thread, 0, empties, bytes);
	SHOW(splice(file, &at, b[1], 0, 50, 0));
	pthread_join(thread, 0);
	SHOW(at);
	text(b[0], 60);
	SHOW(pipe2(direct, O_DIRECT));
	write(direct[1], "packet", 6);
	write(direct[1], "another", 7);
	SAVE();
	SHOW(fcntl(direct[1], F_GETFL));
	text(direct[0], 3);
	write(direct[1], "third", 5);
	text(direct[0], 50);
	text(direct[0], 50);
	/* Much for a socket that takes little. */
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	b[0] = pair[1];
	int big = made("big", 200000);
	for (long left = 200000; left > 0;) {
		fcntl(pair[0], F_SETFL, O_NONBLOCK);
		long n = sendfile(pair[0], big, 0, left);
		SAVE();
		if (n < 0)
			n = 0;
		left -= n;
		while (recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
			;
	}
	SHOW(lseek(big, 0, SEEK_CUR));
}

static void alarm_in(long ms)
{
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 },
						    { 0, ms * 1000 } }, 0);
}

/* One alarm could come before the call that it is to interrupt. */
static void alarmed(int signal)
{
	count(signal);
	alarm_in(100);
}

/* How many bytes there are in a socket, all of them as in the file. */
static long drained(int fd, long offset)
{
	static char got[4096];
	long done = 0, n;

	while ((n = recv(fd, got, sizeof got, MSG_DONTWAIT)) > 0)
		for (long i = 0; i < n; i++, done++)
			if (got[i] != 'a' + (offset + done) % 23)
				return -1;
	return done;
}

/* Calls that have done a part when a signal comes say all that there is to. */
static void interrupted(int flags)
{
	int file = made("big", 1000000), pair[2];
	char got[10], address[20];
	struct iovec in = { got, sizeof got };
	struct msghdr message = { .msg_name = address,
				  .msg_namelen = sizeof address,
				  .msg_iov = &in, .msg_iovlen = 1 };
	socklen_t length = sizeof address;
	off_t at = 3;
	long n;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	handle(SIGALRM, alarmed, flags);
	alarm_in(100);
	n = sendfile(pair[0], file, &at, 900000);
	alarm_in(0);
	SHOW(n > 0 && n < 900000);
	SHOW(at == 3 + n);
	SHOW(lseek(file, 0, SEEK_CUR));
	SHOW(drained(pair[1], 3) == n);
	alarm_in(100);
	n = sendfile(pair[0], file, 0, 900000);
	alarm_in(0);
	SHOW(n > 0 && n < 900000);
	SHOW(lseek(file, 0, SEEK_CUR) == n);
	SHOW(drained(pair[1], 0) == n);
	SHOW(write(pair[0], "hello", 5));
	message.msg_flags = 0x7f;
	alarm_in(100);
	SHOW(recvmsg(pair[1], &message, MSG_WAITALL));
	alarm_in(0);
	SHOW(message.msg_namelen);
	SHOW(message.msg_flags);
	SHOW(write(pair[0], "hello", 5));
	alarm_in(100);
	SHOW(recvfrom(pair[1], got, sizeof got, MSG_WAITALL,
		      (struct sockaddr *)address, &length));
	alarm_in(0);
	SHOW(length);
	handle(SIGALRM, alarmed, 0);
	alarm_in(100);
	SHOW(recvmsg(pair[1], &message, MSG_WAITALL));
	alarm_in(0);
}

static void in_the_middle(void)
{
	interrupted(0);
	interrupted(SA_RESTART);
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "errors", errors }, { "moves", moves },
		{ "packets", packets }, { "flags", flags },
		{ "saved", saved }, { "in_the_middle", in_the_middle }, { 0, 0 },
	};

	return run_parts(parts, argc, argv);
}
