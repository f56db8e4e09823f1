/*
 * hostile.h: memory and numbers that are as good as random, for programs that
 * make calls which mean nothing.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdint.h>
#include <string.h>

#define PAGE 4096UL
/* What is always there, and behind it what comes and goes. */
#define PAGES 64UL
#define FLEETING 16UL

static char *arena;

static uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* An address that may be used here. */
static void *somewhere(uint64_t *s)
{
	return arena + next(s) % (PAGES * PAGE);
}

/* An address for calls. */
static uint64_t anywhere(uint64_t *s)
{
	return (uint64_t)arena + next(s) % ((PAGES + FLEETING) * PAGE);
}

static uint64_t pick(uint64_t *s)
{
	static const uint64_t edges[] = {
		0, 1, 2, 3, 4, 5, 7, 8, 16, 255, 4095, 4096, 4097, 65536,
		0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
		0x7fffffffffff, 0x800000000000, 0x7fffffffffffffff,
		0x8000000000000000, -1UL, -2UL, -4096UL, 0x7fffffffe000,
		0x7ffffffff000, 0xffff800000000000, 0xffff800000002000,
		0x4000000000, 0x1ff000, 0x20000000000000,
	};

	switch (next(s) % 8) {
	case 0:
	case 1:
	case 2:
		return anywhere(s);
	case 3:
		return edges[next(s) % (sizeof edges / sizeof *edges)];
	case 4:
		return next(s) % 64;
	case 5:
		return 1UL << next(s) % 64;
	case 6:
		return next(s) % (1 << 20);
	default:
		return next(s);
	}
}

/* The canary's path from the root, as long as it fits. */
static char beside[256];

/* A word of what structures, arrays of buffers and paths are made of. */
static void scribble(uint64_t *s)
{
	static const char *const paths[] = {
		"a", "b", "d", "d/a", "..", "../canary", "/etc/passwd", ".",
		"/proc/self/mem", "/proc/self/fd/3", "../../canary", "d/../..",
		"/dev/tty", "/", "link", "d/link/canary", "/proc/self/maps",
		"../folder/canary", "../folder", "d/../../canary", "canary",
		"/proc/self/cwd/../canary", "/proc/self/root", beside,
	};
	uint64_t *word = (uint64_t *)((uint64_t)somewhere(s) & ~7UL);
	char *at = somewhere(s);

	switch (next(s) % 3) {
	case 0:
		*word = pick(s);
		break;
	case 1: {
		const char *path =
			paths[next(s) % (sizeof paths / sizeof *paths)];

		if (at + sizeof beside < arena + PAGES * PAGE)
			strcpy(at, path);
		break;
	}
	default:
		*at = (char)next(s);
	}
}

#endif
