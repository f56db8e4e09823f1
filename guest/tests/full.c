/*
 * full.c: fills pipes, sockets and the queue of signals, saves, and reads all
 * of it back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "scratchvm.h"

enum { LARGE = 12, PIPES = 60, PAIRS = 60, SIGNALS = 500 };

static int pipes[PIPES][2], pairs[PAIRS][2];
static const int kinds[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
/* As many blocks as Linux takes; of datagrams, at most ten wait. */
static const int blocks[] = { 32, 8, 20 };
static uint32_t block[16384], state = 1;

/* Writes other bytes each time. */
static long put(int fd, int bytes)
{
	for (int i = 0; i < bytes / 4; i++)
		block[i] = state = state * 1664525 + 1013904223;
	return write(fd, block, bytes);
}

/* Reads until there is nothing; what it was. */
static uint64_t drain(int fd, uint64_t sum, long *bytes)
{
	long n;

	while ((n = read(fd, block, sizeof block)) > 0) {
		*bytes += n;
		for (int i = 0; i < n / 4; i++)
			sum = (sum ^ block[i]) * 0x100000001b3;
	}
	return sum;
}

int main(void)
{
	long in_pipes = 0, in_sockets = 0;
	uint64_t of_pipes = 0, of_sockets = 0, of_signals = 0;
	struct timespec now = { 0, 0 };
	siginfo_t info;
	sigset_t set;
	int saved, taken = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, 0);
	for (int i = 0; i < PIPES; i++) {
		if (pipe2(pipes[i], O_NONBLOCK))
			return 1;
		if (i < LARGE && fcntl(pipes[i][1], F_SETPIPE_SZ, 1 << 20) < 0)
			return 2;
		while (put(pipes[i][1], sizeof block) > 0)
			;
	}
	for (int i = 0; i < PAIRS; i++) {
		if (socketpair(AF_UNIX, kinds[i % 3] | SOCK_NONBLOCK, 0,
			       pairs[i]))
			return 3;
		for (int n = 0; n < blocks[i % 3]; n++)
			if (put(pairs[i][0], 4096) != 4096)
				return 4;
	}
	for (int i = 0; i < SIGNALS; i++) {
		union sigval value = { .sival_int = i * 7 };

		if (sigqueue(getpid(), SIGRTMIN, value))
			return 5;
	}
	saved = SAVE();
	if (saved < 0 && errno != ENOSYS)
		return 6;
	fprintf(stderr, "saved: %d\n", saved);
	for (int i = 0; i < PIPES; i++)
		of_pipes = drain(pipes[i][0], of_pipes, &in_pipes);
	for (int i = 0; i < PAIRS; i++)
		of_sockets = drain(pairs[i][1], of_sockets, &in_sockets);
	while (sigtimedwait(&set, &info, &now) > 0) {
		of_signals = of_signals * 31 + info.si_value.sival_int;
		taken++;
	}
	printf("pipes: %ld %016lx\n", in_pipes, of_pipes);
	printf("sockets: %ld %016lx\n", in_sockets, of_sockets);
	printf("signals: %d %016lx\n", taken, of_signals);
	return 0;
}
