/*
 * Does to devices what its arguments say, and prints what each gives:
 *
 *   in PORT, in32 PORT, out PORT VALUE     ports
 *   open PATH, nonblock, close             a device file, the one used below
 *   read N, write TEXT, pread N OFFSET     calls on it
 *   seek N, ioctl REQUEST TEXT, poll MS
 *   map BYTES, peek OFFSET, poke OFFSET VALUE, copy, protect, remap, unmap
 *   fresh                                  plain memory where the mapping was
 *   save                                   SAVE()
 *
 * Needs glibc: strerrorname_np.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "scratchvm.h"

static char **next;
static int fd = -1;
static volatile uint32_t *map;
static size_t map_bytes;

static const char *text(void)
{
	if (!*next) {
		fputs("an argument is missing\n", stderr);
		exit(2);
	}
	return *next++;
}

static long number(void)
{
	return strtol(text(), NULL, 0);
}

static void show(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
}

static void show_bytes(const char *what, long result, const char *bytes)
{
	if (result < 0)
		show(what, result);
	else
		printf("%s: %ld %.*s\n", what, result, (int)result, bytes);
}

static int step(const char *what)
{
	static char buffer[65536];

	if (!strcmp(what, "in")) {
		uint8_t value;
		asm volatile("inb %w1, %b0" : "=a"(value) : "d"((int)number()));
		show(what, value);
	} else if (!strcmp(what, "in32")) {
		uint32_t value;
		asm volatile("inl %w1, %0" : "=a"(value) : "d"((int)number()));
		show(what, value);
	} else if (!strcmp(what, "out")) {
		int port = number();
		asm volatile("outb %b0, %w1" :: "a"((int)number()), "d"(port));
	} else if (!strcmp(what, "ins")) {
		int port = number();
		size_t count = number();
		size_t all = count;
		void *to = buffer;
		asm volatile("rep insb" : "+D"(to), "+c"(count)
			: "d"(port) : "memory");
		show_bytes(what, all, buffer);
	} else if (!strcmp(what, "open")) {
		fd = open(text(), O_RDWR);
		show(what, fd);
	} else if (!strcmp(what, "nonblock")) {
		show(what, fcntl(fd, F_SETFL, O_NONBLOCK));
	} else if (!strcmp(what, "close")) {
		show(what, close(fd));
	} else if (!strcmp(what, "read")) {
		long result = read(fd, buffer, number());
		show_bytes(what, result, buffer);
	} else if (!strcmp(what, "pread")) {
		long bytes = number();
		long result = pread(fd, buffer, bytes, number());
		show_bytes(what, result, buffer);
	} else if (!strcmp(what, "write")) {
		const char *bytes = text();
		show(what, write(fd, bytes, strlen(bytes)));
	} else if (!strcmp(what, "seek")) {
		show(what, lseek(fd, number(), SEEK_SET));
	} else if (!strcmp(what, "ioctl")) {
		char data[16] = "";
		unsigned long request = number();
		strncpy(data, text(), sizeof data - 1);
		long result = ioctl(fd, request, data);
		show(what, result);
		printf("data: %.*s\n", (int)sizeof data, data);
	} else if (!strcmp(what, "poll")) {
		struct pollfd one = { .fd = fd, .events = POLLIN | POLLOUT };
		long result = poll(&one, 1, number());
		show(what, result);
		printf("revents: %d\n", one.revents);
	} else if (!strcmp(what, "map")) {
		map_bytes = number();
		map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			fd, 0);
		show(what, map == MAP_FAILED ? -1 : 0);
	} else if (!strcmp(what, "peek")) {
		show(what, map[number() / 4]);
	} else if (!strcmp(what, "poke")) {
		long at = number() / 4;
		map[at] = number();
	} else if (!strcmp(what, "pass")) {
		/* a pointer into the mapping, to a system call */
		show(what, write(1, (void *)map, 4));
	} else if (!strcmp(what, "protect")) {
		show(what, mprotect((void *)map, map_bytes, PROT_READ));
	} else if (!strcmp(what, "remap")) {
		void *to = mremap((void *)map, map_bytes, 2 * map_bytes,
			MREMAP_MAYMOVE);
		show(what, to == MAP_FAILED ? -1 : 0);
	} else if (!strcmp(what, "unmap")) {
		show(what, munmap((void *)map, map_bytes));
	} else if (!strcmp(what, "fresh")) {
		map = mmap((void *)map, map_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		show(what, map == MAP_FAILED ? -1 : 0);
	} else if (!strcmp(what, "save")) {
		show(what, SAVE());
	} else {
		return 0;
	}
	fflush(stdout);
	return 1;
}

int main(int argc, char **argv)
{
	(void)argc;
	next = argv + 1;
	while (*next) {
		const char *what = text();
		if (!step(what)) {
			fprintf(stderr, "no such step: %s\n", what);
			return 2;
		}
	}
	return 0;
}
