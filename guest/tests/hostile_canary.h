/*
 * hostile_canary.h: looks whether anything outside was read: what lies there
 * has a content of its own (tests/hostile/cage.ts).
 */
#ifndef HOSTILE_CANARY_H
#define HOSTILE_CANARY_H

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Turned by a mask, so that it is nowhere in this program itself. */
#define CANARY_MASK 0x5a
static const unsigned char hidden_canary[] = {
	0x14, 0x35, 0x38, 0x35, 0x3e, 0x23, 0x7a, 0x28, 0x3f, 0x3b, 0x3e,
	0x29, 0x7a, 0x2e, 0x32, 0x33, 0x29, 0x60, 0x7a, 0x33, 0x2e, 0x7a,
	0x33, 0x29, 0x7a, 0x35, 0x2f, 0x2e, 0x29, 0x33, 0x3e, 0x3f, 0x74,
};

/* How often the canary is in these bytes. */
static long canaries_in(const void *bytes, long length)
{
	const unsigned char *at = bytes, *end = at + length;
	long found = 0;

	while ((at = memchr(at, hidden_canary[0] ^ CANARY_MASK,
			    (size_t)(end - at)))) {
		unsigned i = 1;

		while (i < sizeof hidden_canary && at + i < end &&
		       (at[i] ^ CANARY_MASK) == hidden_canary[i])
			i++;
		found += i == sizeof hidden_canary;
		at++;
	}
	return found;
}

/* How often it is at the beginning of a file. */
static long canaries_at(int fd)
{
	static char bytes[4096];
	long n = pread(fd, bytes, sizeof bytes, 0), found;

	if (n <= 0)
		return 0;
	found = canaries_in(bytes, n);
	memset(bytes, 0, (size_t)n);
	return found;
}

#endif
