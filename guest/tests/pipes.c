/*
 * pipes.c [HOW]: pipes: full ones, ends that are closed, poll on both ends,
 * writes that are not split; with HOW "sigpipe", a write that nobody reads,
 * which ends the program.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "show.h"

static int fds[2];
static char block[70000];

/* What poll says of both ends. */
static void show_ends(const char *when)
{
	struct pollfd p[2] = { { fds[0], -1, 0 }, { fds[1], -1, 0 } };
	int ready = poll(p, 2, 0);

	printf("%s: %d read end %x write end %x\n", when, ready, p[0].revents,
	       p[1].revents);
}

static void filling(void)
{
	int waiting = -1;

	SHOW(pipe2(fds, O_NONBLOCK));
	show_ends("empty");
	SHOW(read(fds[0], block, 10));
	SHOW(read(fds[0], block, 0));
	SHOW(write(fds[1], block, 0));
	SHOW(write(fds[1], "hello", 5));
	show_ends("five bytes");
	SHOW(ioctl(fds[0], FIONREAD, &waiting));
	SHOW(waiting);
	SHOW(ioctl(fds[1], FIONREAD, &waiting));
	SHOW(ioctl(fds[0], FIONREAD, 0x1000));
	SHOW(read(fds[0], block, 3));
	SHOW(read(fds[0], block, 10));
	SHOW(write(fds[1], block, 70000));
	show_ends("full");
	SHOW(write(fds[1], block, 1));
	SHOW(write(fds[1], block, 4097));
	SHOW(ioctl(fds[0], FIONREAD, &waiting));
	SHOW(waiting);
	SHOW(read(fds[0], block, 4096));
	show_ends("a page free");
	SHOW(write(fds[1], block, 4096));
	SHOW(write(fds[1], block, 1));
	SHOW(read(fds[0], block, 8192));
	SHOW(write(fds[1], block, 20000));
	SHOW(read(fds[0], block, 70000));
	show_ends("empty again");
	SHOW(fcntl(fds[1], F_SETFL, 0));
	SHOW(fcntl(fds[1], F_GETFL));
	SHOW(write(fds[1], block, 65536));
	SHOW(read(fds[0], block, 70000));
}

/* Bytes come out as they went in, across the ring's end too. */
static void order(void)
{
	unsigned char out[3001], in[3001];
	unsigned written = 0, got = 0, wrong = 0;

	for (int round = 0; round < 100; round++) {
		int n = 1 + round * 29 % 3001;

		for (int i = 0; i < n; i++)
			out[i] = (unsigned char)(written++ * 7);
		if (write(fds[1], out, (size_t)n) != n)
			printf("short write\n");
		n = (int)read(fds[0], in, sizeof in);
		for (int i = 0; i < n; i++)
			wrong += in[i] != (unsigned char)(got++ * 7);
	}
	printf("order: %u written, %u read, %u wrong\n", written, got, wrong);
}

static void vectors(void)
{
	struct iovec out[3] = { { "ab", 2 }, { "", 0 }, { "cdef", 4 } };
	struct iovec in[2] = { { block, 1 }, { block + 10, 100 } };
	struct iovec bad[2] = { { "ok", 2 }, { (void *)0x1000, 4 } };

	SHOW(writev(fds[1], out, 3));
	SHOW(readv(fds[0], in, 2));
	printf("%.1s %.5s\n", block, block + 10);
	SHOW(write(fds[1], "xyz", 3));
	in[1].iov_base = (void *)0x1000;
	SHOW(readv(fds[0], in, 2));
	SHOW(read(fds[0], block, 10));
	SHOW(writev(fds[1], bad, 2));
	SHOW(read(fds[0], block, 10));
	SHOW(write(fds[1], (void *)0x1000, 5));
	SHOW(read(fds[0], block, 10));
	SHOW(write(fds[1], "q", 1));
	SHOW(read(fds[0], (void *)0x1000, 5));
	SHOW(read(fds[0], block, 10));
}

static void looking(void)
{
	struct stat st;

	SHOW(fstat(fds[0], &st));
	SHOW(st.st_mode);
	SHOW(st.st_size);
	SHOW(st.st_blksize);
	SHOW(st.st_nlink);
	SHOW(fsync(fds[0]));
	SHOW(ftruncate(fds[1], 1));
	SHOW(read(fds[1], block, 1));
	SHOW(write(fds[0], block, 1));
	SHOW(isatty(fds[0]));
	SHOW(pipe2(fds, 0x12340000));
	SHOW(pipe((int *)0x1000));
	SHOW(pipe((int *)-8));
	SHOW(pipe((int *)0));
	SHOW(dup(0));
}

static void closing(void)
{
	SHOW(write(fds[1], "last", 4));
	SHOW(close(fds[1]));
	show_ends("writer gone, bytes left");
	SHOW(read(fds[0], block, 2));
	SHOW(read(fds[0], block, 10));
	SHOW(read(fds[0], block, 10));
	show_ends("writer gone");
	SHOW(read(fds[0], (void *)0x1000, 10));
	SHOW(close(fds[0]));
	SHOW(pipe(fds));
	int other = dup(fds[1]);
	SHOW(close(fds[1]));
	SHOW(write(other, "x", 1));
	SHOW(read(fds[0], block, 10));
	SHOW(close(other));
	SHOW(read(fds[0], block, 10));
	SHOW(close(fds[0]));
	SHOW(pipe(fds));
	SHOW(close(fds[0]));
	show_ends("reader gone");
	SHOW(signal(SIGPIPE, SIG_IGN) == SIG_DFL);
	SHOW(write(fds[1], "x", 1));
	SHOW(write(fds[1], "x", 0));
	SHOW(write(fds[1], (void *)0x1000, 1));
	struct iovec v = { "x", 1 };
	SHOW(writev(fds[1], &v, 1));
	SHOW(signal(SIGPIPE, SIG_DFL) == SIG_IGN);
}

int main(int argc, char **argv)
{
	filling();
	order();
	vectors();
	looking();
	closing();
	if (argc > 1 && !strcmp(argv[1], "sigpipe")) {
		fflush(stdout);
		write(fds[1], "x", 1) < 0 ? perror("write") : (void)0;
	}
	printf("end\n");
	return 0;
}
