/*
 * hostile_waits.h: calls that wait, with arguments that are mostly right, so
 * that what they point to can change between the wait and the next attempt.
 */
#ifndef HOSTILE_WAITS_H
#define HOSTILE_WAITS_H

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hostile.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* linux/futex.h, which musl-gcc does not find. */
enum {
	FUTEX_WAIT = 0,
	FUTEX_WAKE = 1,
	FUTEX_LOCK_PI = 6,
	FUTEX_WAIT_BITSET = 9,
	FUTEX_WAIT_REQUEUE_PI = 11,
	FUTEX_CMP_REQUEUE_PI = 12,
	FUTEX_LOCK_PI2 = 13,
	FUTEX_32 = 2,
};

/* Descriptors that wait, as open_waiting() makes them. */
enum { PIPE_OUT = 13, PIPE_IN, STREAM, DATAGRAM = 17, PACKETS = 19, COUNTER = 21,
       AGAIN };
enum { EPOLL = 9 };

static void open_waiting(void)
{
	int fds[2];

	pipe2(fds, 0);
	socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, fds);
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds);
	eventfd(0, 0);
	open("a", O_RDWR);
	for (int fd = PIPE_OUT; fd <= COUNTER; fd++) {
		struct epoll_event event = { EPOLLIN, { .fd = fd } };

		epoll_ctl(EPOLL, EPOLL_CTL_ADD, fd, &event);
	}
}

/* Masks of signals: none blocks SIGALRM, which ends every wait. */
static uint64_t masks[8];
static uint64_t packs[4][2];

static uint64_t mask(uint64_t *s)
{
	switch (next(s) % 8) {
	case 0:
		return 0;
	case 1:
		return 0x7ffffffff000;
	default:
		return (uint64_t)&masks[next(s) % 8];
	}
}

static void scribble_masks(uint64_t *s)
{
	masks[next(s) % 8] = next(s) & ~(1UL << (SIGALRM - 1));
	packs[next(s) % 4][0] = mask(s);
	packs[next(s) % 4][1] = next(s) % 8 ? 8 : pick(s);
}

/* A place for `count` words, or for the first of them. */
static uint64_t *words(uint64_t *s, uint64_t *there, uint64_t count)
{
	uint64_t all = PAGES * PAGE / 8, at = next(s) % all;

	/* Often so that the last are where pages come and go. */
	if (next(s) % 4 == 0)
		at = all - 1 - next(s) % count;
	*there = at + count < all ? count : all - at;
	return (uint64_t *)arena + at;
}

static uint64_t length(uint64_t *s)
{
	return next(s) % (next(s) % 2 ? 100 : 70000);
}

static uint64_t buffers(uint64_t *s, uint64_t count)
{
	uint64_t there, *at = words(s, &there, count * 2);

	for (uint64_t i = 0; i < there; i++)
		at[i] = i % 2 ? length(s) : anywhere(s);
	return (uint64_t)at;
}

static uint64_t message(uint64_t *s, uint64_t count)
{
	uint64_t there, *at = words(s, &there, 7);
	uint64_t values[7] = { next(s) % 4 ? 0 : anywhere(s), next(s) % 64,
			       buffers(s, count), count,
			       next(s) % 4 ? 0 : anywhere(s), next(s) % 64, 0 };

	memcpy(at, values, there * 8);
	return (uint64_t)at;
}

static uint64_t polled(uint64_t *s, uint64_t count)
{
	uint64_t there, *at = words(s, &there, count);

	for (uint64_t i = 0; i < there; i++)
		at[i] = (PIPE_OUT + next(s) % 10) |
			(next(s) % 4 ? 1UL : next(s) & 0xffff) << 32;
	return (uint64_t)at;
}

/* A set of descriptors for select; often none. */
static uint64_t selected(uint64_t *s, uint64_t of)
{
	uint64_t there, *at = words(s, &there, 1);

	*at = next(s) & of;
	return next(s) % 4 ? (uint64_t)at : 0;
}

static uint64_t awaited(uint64_t *s, uint64_t count)
{
	uint64_t there, *at = words(s, &there, count * 3);

	for (uint64_t i = 0; i < there; i++) {
		uint32_t *word = (uint32_t *)((uint64_t)somewhere(s) & ~3UL);

		at[i] = i % 3 == 2 ? FUTEX_32 | next(s) % 2 * 128 :
			i % 3 == 1 ? (uint64_t)word : 0;
		/* The value that is there now. */
		if (i % 3 == 1)
			at[i - 1] = *word;
	}
	return (uint64_t)at;
}

static uint64_t region(uint64_t *s)
{
	uint64_t there, *at = words(s, &there, 4);
	uint64_t values[4] = { next(s) % 3, next(s) % 100, next(s) % 100, 0 };

	memcpy(at, values, there * 8);
	return (uint64_t)at;
}

/* A time-out: mostly none, else whatever is there. */
static uint64_t until(uint64_t *s)
{
	return next(s) % 4 ? 0 : anywhere(s);
}

/* Makes up a call: its arguments, and its number. */
static int waiting_call(uint64_t *s, uint64_t *a)
{
	static const uint64_t in = 1 << PIPE_OUT | 0x7f << STREAM;
	uint64_t count = 1 + next(s) % 16;
	uint64_t socket = STREAM + next(s) % 6;
	uint64_t from = next(s) % 3 ? socket : PIPE_OUT;
	uint64_t to = next(s) % 3 ? socket : PIPE_IN;
	uint32_t *word = (uint32_t *)((uint64_t)somewhere(s) & ~3UL);

#define MADE(number, ...)                                                     \
	do {                                                                  \
		uint64_t made_[6] = { __VA_ARGS__ };                          \
		memcpy(a, made_, sizeof made_);                               \
		return number;                                                \
	} while (0)
	switch (next(s) % 23) {
	case 0:
		MADE(SYS_readv, from, buffers(s, count), count);
	case 1:
		MADE(SYS_writev, to, buffers(s, count), count);
	case 2:
		MADE(SYS_preadv2, from, buffers(s, count), count, -1UL, -1UL);
	case 3:
		MADE(SYS_pwritev2, to, buffers(s, count), count, -1UL, -1UL);
	case 4:
		MADE(SYS_recvmsg, socket, message(s, count), next(s) & 0x122);
	case 5:
		MADE(SYS_sendmsg, socket, message(s, count), next(s) & 0x4000);
	case 6:
		MADE(SYS_read, from, anywhere(s), length(s));
	case 7:
		MADE(SYS_write, to, anywhere(s), length(s) * 4);
	case 8:
		MADE(SYS_recvfrom, socket, anywhere(s), length(s),
		     next(s) & 0x122, until(s), anywhere(s));
	case 9:
		MADE(SYS_sendto, socket, anywhere(s), length(s), 0, until(s),
		     next(s) % 32);
	case 10:
		MADE(SYS_poll, polled(s, count), count, -1UL);
	case 11:
		MADE(SYS_ppoll, polled(s, count), count, until(s), mask(s), 8);
	case 12:
		MADE(SYS_select, AGAIN, selected(s, in), selected(s, 1 << PIPE_IN),
		     selected(s, in), until(s));
	case 13:
		MADE(SYS_pselect6, AGAIN, selected(s, in), 0, selected(s, in),
		     until(s), (uint64_t)packs[next(s) % 4]);
	case 14:
		MADE(SYS_epoll_wait, EPOLL, anywhere(s), count, -1UL);
	case 15:
		MADE(SYS_epoll_pwait, EPOLL, anywhere(s), count, -1UL, mask(s), 8);
	case 16:
		MADE(SYS_epoll_pwait2, EPOLL, anywhere(s), count, until(s),
		     mask(s), 8);
	case 17:
		MADE(SYS_futex_waitv, awaited(s, count), count, 0, until(s), 1);
	case 18:
		MADE(SYS_futex, (uint64_t)word,
		     (next(s) % 2 ? FUTEX_WAIT : FUTEX_WAIT_BITSET) |
			     next(s) % 4 << 7,
		     *word, until(s), 0, next(s) | 1);
	case 19:
		MADE(SYS_splice, PIPE_OUT, 0, socket, 0, length(s), 0);
	case 20:
		MADE(SYS_splice, socket, 0, PIPE_IN, 0, length(s), 0);
	case 21:
		MADE(SYS_vmsplice, next(s) % 2 ? PIPE_IN : PIPE_OUT,
		     buffers(s, count), count, 0);
	default:
		/* F_OFD_SETLKW */
		MADE(SYS_fcntl, next(s) % 2 ? 3 : AGAIN, 38, region(s));
	}
#undef MADE
}

/* Fills and empties what calls wait for, itself without waiting. */
static void wake(uint64_t *s)
{
	int socket = STREAM + (int)(next(s) % 6);
	int dont = MSG_DONTWAIT | MSG_NOSIGNAL;
	struct iovec part = { somewhere(s), 1 + next(s) % 100 };

	switch (next(s) % 6) {
	case 0:
		send(socket, arena, 1 + next(s) % 30000, dont);
		break;
	case 1:
		recv(socket, arena, next(s) % 100000, dont);
		break;
	case 2:
		vmsplice(PIPE_IN, &part, 1, SPLICE_F_NONBLOCK);
		break;
	case 3:
		/* Nothing is read that another may take first. */
		syscall(SYS_splice, PIPE_OUT, 0, 901, 0, 40000,
			SPLICE_F_NONBLOCK);
		break;
	case 4:
		syscall(SYS_read, 900, arena, 65536);
		break;
	default:
		for (int i = 0; i < 64; i++)
			syscall(SYS_futex, (uint64_t)somewhere(s) & ~3UL,
				FUTEX_WAKE | next(s) % 2 * 128, 64, 0, 0, 0);
	}
}

#endif
