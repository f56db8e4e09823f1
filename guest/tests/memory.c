/*
 * memory.c [HOW]: the calls on the address space: brk, mmap of anonymous memory
 * and of files, munmap, mprotect, mremap, madvise, msync, mincore; with HOW, an
 * access that a call before it took away, which ends the program; with "key",
 * asks for a protection key.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

#define PAGE 4096L
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static int fds[2];

/* Raw calls: libc's wrappers answer some wrong arguments themselves. */
static char *map(void *at, size_t n, int prot, int flags, int fd, long offset)
{
	return (char *)syscall(SYS_mmap, at, n, prot, flags, fd, offset);
}

static char *remap(void *at, size_t from, size_t to, int flags, void *where)
{
	return (char *)syscall(SYS_mremap, at, from, to, flags, where);
}

static char *brk_to(void *at)
{
	return (char *)syscall(SYS_brk, at);
}

/* What can be done with a byte, asked of the kernel: "rw", "r-", "--". */
static const char *rights(volatile char *p)
{
	char was;
	int readable = write(fds[1], (void *)p, 1) == 1;

	if (!readable)
		return "--";
	if (read(fds[0], &was, 1) != 1)
		return "??";
	if (write(fds[1], &was, 1) != 1)
		return "??";
	if (read(fds[0], (void *)p, 1) == 1)
		return "rw";
	return read(fds[0], &was, 1) == 1 ? "r-" : "??";
}

static void show_rights(const char *what, char *p, int pages)
{
	printf("%s:", what);
	for (int i = 0; i < pages; i++)
		printf(" %s", rights(p + i * PAGE));
	printf("\n");
}

static void heap(void)
{
	char *start = brk_to(0);

	SHOW_AT(brk_to(0), start);
	SHOW_AT(brk_to(start + 100), start);
	SHOW_AT(brk_to(start + 3 * PAGE + 1), start);
	start[3 * PAGE] = 7;
	SHOW_AT(brk_to(start + 64 * 1024 * 1024), start);
	start[64 * 1024 * 1024 - 1] = 7;
	SHOW(start[3 * PAGE]);
	SHOW_AT(brk_to(start + 3 * PAGE), start);
	SHOW(strcmp(rights(start + 5 * PAGE), "--"));
	SHOW_AT(brk_to(start + 8 * PAGE), start);
	SHOW(start[4 * PAGE]);
	SHOW_AT(brk_to((void *)1), start);
	SHOW_AT(brk_to((void *)-1), start);
	SHOW_AT(brk_to((void *)0x7fffffffffff), start);
	SHOW_AT(brk_to((void *)0xffff800000000000), start);
	SHOW_AT(brk_to(start + (1L << 45)), start);
	SHOW_AT(brk_to(start), start);
}

static void anonymous(void)
{
	char *p = map(0, 16 * PAGE, RW, ANON, -1, 0);
	char *hole = p + 4 * PAGE;

	SHOW(p[0] | p[16 * PAGE - 1]);
	SHOW_AT(map(0, 0, RW, ANON, -1, 0), p);
	SHOW_AT(map(0, 0, RW, MAP_PRIVATE, 99, 0), p);
	SHOW_AT(map(0, -1, RW, ANON, -1, 0), p);
	SHOW_AT(map(0, -4096, RW, ANON, -1, 0), p);
	SHOW_AT(map(0, 1UL << 47, PROT_NONE, ANON, -1, 0), p);
	SHOW_AT(map(0, 1UL << 46, RW, ANON, -1, 0), p);
	SHOW_AT(map(0, 1UL << 63, RW, ANON, -1, 0), p);
	SHOW_AT(map(0, PAGE, RW, MAP_ANONYMOUS, -1, 0), p);
	SHOW_AT(map(0, PAGE, RW, MAP_ANONYMOUS | 0xf, -1, 0), p);
	SHOW_AT(map(0, PAGE, RW, ANON, -1, 1), p);
	SHOW_AT(map(0, PAGE, RW, MAP_PRIVATE, -1, 0), p);
	SHOW_AT(map(0, PAGE, RW, MAP_PRIVATE, fds[0], 0), p);
	SHOW(munmap(hole, 2 * PAGE));
	SHOW_AT(map(hole, PAGE, RW, ANON, -1, 0), p);
	SHOW_AT(map(hole + PAGE, 5, RW, ANON | MAP_FIXED, -1, 0), p);
	p[0] = p[5 * PAGE] = p[6 * PAGE] = 9;
	SHOW_AT(map(hole, 2 * PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0), p);
	show_rights("fixed", p + 3 * PAGE, 4);
	SHOW(p[5 * PAGE] + p[6 * PAGE]);
	SHOW_AT(map(hole + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0), p);
	SHOW_AT(map((void *)-4096, PAGE, RW, ANON | MAP_FIXED, -1, 0), p);
	SHOW_AT(map((void *)0x7ffffffff000, PAGE, RW, ANON | MAP_FIXED, -1, 0),
		p);
	SHOW_AT(map((void *)0x1000000000000, PAGE, RW, ANON | MAP_FIXED, -1, 0),
		p);
	SHOW_AT(map(hole, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), p);
	SHOW(munmap(hole, PAGE));
	SHOW_AT(map(hole, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), p);
	SHOW_AT(map(hole, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), p);
	SHOW_AT(map(hole + 7, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), p);
	SHOW_OK((long)map((void *)0x1000, PAGE, RW, ANON, -1, 0) > 0);
	SHOW_OK((long)map((void *)0x7fffffffffffffff, PAGE, RW, ANON, -1, 0) > 0);
	char *none = map(0, 8 * PAGE, PROT_NONE, ANON, -1, 0);
	show_rights("none", none, 2);
	char *reserved = map(0, 1UL << 40, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	SHOW(reserved != (char *)-1);
	SHOW(mprotect(reserved + (1UL << 39), PAGE, RW));
	reserved[1UL << 39] = 3;
	SHOW(munmap(reserved, 1UL << 40));
	char *shared = map(0, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	SHOW(shared != (char *)-1);
	shared[PAGE] = 5;
	SHOW(shared[PAGE]);
	SHOW(munmap(shared, 2 * PAGE));
	SHOW(munmap(p, 16 * PAGE));
	SHOW(munmap(none, 8 * PAGE));
}

static int is_low(char *p, size_t n)
{
	return p >= (char *)0x40000000 && p + n <= (char *)0x80000000;
}

/* Devices: /dev/zero is as no file at all, the others cannot be mapped. */
static void devices(void)
{
	int fd = open("/dev/zero", O_RDWR), only = open("/dev/zero", O_RDONLY);
	int sides[] = {MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE};

	for (int i = 0; i < 3; i++) {
		char *p = map(0, 2 * PAGE, RW, sides[i], fd, i ? 0 : PAGE);

		SHOW(p != (char *)-1);
		SHOW(p[0] | p[2 * PAGE - 1]);
		p[PAGE] = 7;
		show_rights("zero", p, 2);
		SHOW(p[PAGE]);
		SHOW(munmap(p, 2 * PAGE));
		p = map(0, PAGE, PROT_READ, sides[i], only, 0);
		SHOW(p != (char *)-1 && *p == 0);
		SHOW(munmap(p, PAGE));
		SHOW_OK(map(0, PAGE, RW, sides[i], only, 0));
		SHOW(map(0, PAGE, RW, sides[i] | MAP_GROWSDOWN, fd, 0));
	}
	SHOW(map(0, PAGE, PROT_READ, MAP_PRIVATE, open("/dev/null", O_RDWR), 0));
	SHOW(map(0, PAGE, PROT_READ, MAP_SHARED, open("/dev/full", O_RDWR), 0));
	SHOW(map(0, PAGE, PROT_READ, MAP_SHARED, open("/dev/urandom", O_RDWR), 0));
	close(fd);
	close(only);
}

/* Addresses that fit in 31 bits. */
static void low(void)
{
	int flags = ANON | MAP_32BIT, fd = open(".", O_RDWR | O_TMPFILE, 0600);
	char *p[3], *hint = (char *)0x50000000, *below = (char *)0x30000000;
	size_t large = 8L << 20;

	for (int i = 0; i < 3; i++) {
		p[i] = map(0, large, RW, flags, -1, 0);
		SHOW(is_low(p[i], large));
		memset(p[i], i, large);
	}
	SHOW(p[0][0] + p[1][0] + p[2][large - 1]);
	for (int i = 0; i < 3; i++)
		munmap(p[i], large);
	SHOW(is_low(map(0, PAGE, RW, flags, -1, 0), PAGE));
	SHOW_AT(map(hint, PAGE, RW, flags, -1, 0), hint);
	SHOW(is_low(map(hint, PAGE, RW, flags, -1, 0), PAGE));
	SHOW_AT(map(below, PAGE, RW, flags, -1, 0), below);
	SHOW(is_low(map(0, PAGE, PROT_NONE, flags | MAP_NORESERVE, -1, 0), PAGE));
	SHOW(is_low(map((char *)(1L << 40), PAGE, RW, flags, -1, 0), PAGE));
	SHOW(is_low(map((char *)0x7fffff000, PAGE, RW, flags, -1, 0), PAGE));
	SHOW(is_low(map((char *)0x7ffff000, 2 * PAGE, RW, flags, -1, 0), PAGE));
	SHOW(map(0, 1L << 31, PROT_NONE, flags | MAP_NORESERVE, -1, 0));
	SHOW(map(0, 1L << 30, PROT_NONE, flags | MAP_NORESERVE, -1, 0));
	SHOW_AT(map((char *)(1L << 40), PAGE, RW, flags | MAP_FIXED, -1, 0),
		(char *)(1L << 40));
	SHOW(ftruncate(fd, 2 * PAGE));
	SHOW(is_low(map(0, PAGE, RW, MAP_PRIVATE | MAP_32BIT, fd, 0), PAGE));
	SHOW(is_low(map(0, PAGE, RW, MAP_SHARED | MAP_32BIT, fd, 0), PAGE));
	munmap(hint, PAGE);
	munmap(below, PAGE);
	munmap((char *)(1L << 40), PAGE);
	close(fd);
}

static char content[10000];

static int make_file(void)
{
	int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0644);

	for (int i = 0; i < (int)sizeof content; i++)
		content[i] = (char)(i % 251 + 1);
	SHOW(write(fd, content, sizeof content));
	return fd;
}

static void files(void)
{
	int fd = make_file();
	int only = open("mapped", O_WRONLY);
	int reads = open("mapped", O_RDONLY);
	int folder = open(".", O_RDONLY);
	char byte;
	char *p = map(0, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);

	SHOW(memcmp(p, content, sizeof content));
	SHOW(p[sizeof content] | p[3 * PAGE - 1]);
	SHOW(lseek(fd, 0, SEEK_CUR));
	p[5] = 99;
	SHOW(pread(fd, &byte, 1, 5));
	SHOW(byte);
	SHOW(close(fd));
	SHOW(p[6] + p[PAGE]);
	SHOW(munmap(p, 4 * PAGE));
	p = map(0, PAGE + 1, PROT_READ, MAP_PRIVATE, reads, PAGE);
	SHOW(memcmp(p, content + PAGE, sizeof content - PAGE));
	show_rights("read only file", p, 2);
	SHOW(mprotect(p, PAGE, RW));
	SHOW(munmap(p, 2 * PAGE));
	SHOW_AT(map(0, PAGE, PROT_READ, MAP_PRIVATE, reads, 1), p);
	SHOW_AT(map(0, PAGE, PROT_READ, MAP_PRIVATE, reads, -1), p);
	SHOW_AT(map(0, PAGE, PROT_READ, MAP_PRIVATE, reads, -4096), p);
	SHOW_AT(map(0, 0, PROT_READ, MAP_PRIVATE, reads, 0), p);
	SHOW_AT(map(0, PAGE, PROT_READ, MAP_PRIVATE, only, 0), p);
	SHOW_AT(map(0, PAGE, PROT_READ, MAP_PRIVATE, folder, 0), p);
	SHOW_AT(map(0, PAGE, PROT_READ, MAP_SHARED, only, 0), p);
	SHOW_AT(map(0, PAGE, RW, MAP_SHARED, reads, 0), p);
	SHOW_AT(map(0, PAGE, PROT_READ, 0, reads, 0), p);
	/* A mapping wholly beyond the end is made; touching it is another matter. */
	SHOW(map(0, PAGE, PROT_READ, MAP_PRIVATE, reads, 64 * PAGE) != (char *)-1);
	SHOW(close(only) | close(reads) | close(folder));
}

static void unmapping(void)
{
	char *p = map(0, 10 * PAGE, RW, ANON, -1, 0);

	memset(p, 1, 10 * PAGE);
	SHOW(munmap(p + 3 * PAGE, 2 * PAGE));
	show_rights("middle", p, 10);
	SHOW(munmap(p + 3 * PAGE, 2 * PAGE));
	SHOW(munmap(p, 1));
	SHOW(munmap(p + 8 * PAGE, 2 * PAGE - 5));
	show_rights("ends", p, 10);
	SHOW(munmap(p + 1, PAGE));
	SHOW(munmap(p, 0));
	SHOW(munmap(p, -1));
	SHOW(munmap((void *)-4096, PAGE));
	SHOW(munmap((void *)0x7ffffffff000, PAGE));
	SHOW(munmap((void *)0x7fffffffe000, 2 * PAGE));
	SHOW(munmap(p + 2 * PAGE, 4 * PAGE));
	show_rights("over holes", p, 10);
	SHOW(p[7 * PAGE]);
	SHOW(munmap(p, 10 * PAGE));
}

static void protecting(void)
{
	char *p = map(0, 10 * PAGE, RW, ANON, -1, 0);

	memset(p, 1, 10 * PAGE);
	SHOW(mprotect(p + 2 * PAGE, 2 * PAGE, PROT_READ));
	SHOW(mprotect(p + 5 * PAGE, PAGE, PROT_NONE));
	show_rights("parts", p, 10);
	SHOW(mprotect(p + 1 * PAGE, 6 * PAGE, RW));
	show_rights("again", p, 10);
	SHOW(p[2 * PAGE] + p[5 * PAGE]);
	SHOW(mprotect(p + 1, PAGE, RW));
	SHOW(mprotect(p, 0, RW));
	SHOW(mprotect(p, 1, PROT_READ));
	SHOW(mprotect(p, PAGE, 0x80));
	SHOW(mprotect(p, 0, 0x80));
	SHOW(mprotect(p, -1, RW));
	SHOW(mprotect((void *)-4096, PAGE, RW));
	SHOW(mprotect((void *)0x7ffffffff000, PAGE, RW));
	SHOW(mprotect(0, PAGE, RW));
	SHOW(munmap(p + 4 * PAGE, PAGE));
	SHOW(mprotect(p + 2 * PAGE, 5 * PAGE, PROT_READ));
	show_rights("up to the hole", p, 10);
	SHOW(mprotect(p, PAGE, PROT_WRITE));
	p[0] = 4;
	SHOW(p[0]);
	SHOW(munmap(p, 10 * PAGE));
}

static int key_protect(void *at, size_t n, int prot, int key)
{
	return (int)syscall(SYS_pkey_mprotect, at, n, prot, key);
}

/* Protection keys, as far as no key is made: not every machine has any. */
static void keys(void)
{
	char *p = map(0, 3 * PAGE, RW, ANON, -1, 0);

	memset(p, 1, 3 * PAGE);
	SHOW(key_protect(p + PAGE, PAGE, PROT_READ, -1));
	show_rights("without a key", p, 3);
	SHOW(key_protect(p, PAGE, PROT_READ, 15));
	SHOW(key_protect(p, PAGE, PROT_READ, 16));
	SHOW(key_protect(p, PAGE, PROT_READ, -2));
	SHOW(key_protect(p, 0, PROT_READ, 15));
	SHOW(key_protect(p + 1, PAGE, PROT_READ, -1));
	SHOW(syscall(SYS_pkey_alloc, 1, 0));
	SHOW(syscall(SYS_pkey_alloc, 0, 4));
	SHOW(syscall(SYS_pkey_free, 16));
	SHOW(syscall(SYS_pkey_free, -1));
	show_rights("as before", p, 3);
	SHOW(munmap(p, 3 * PAGE));
}

static void moving(void)
{
	char *p = map(0, 20 * PAGE, RW, ANON, -1, 0);
	char *q;

	for (int i = 0; i < 20; i++)
		p[i * PAGE] = (char)i;
	SHOW(munmap(p + 12 * PAGE, 8 * PAGE));
	SHOW_AT(remap(p, 12 * PAGE, 8 * PAGE, 0, 0), p);
	show_rights("shrunk", p, 12);
	SHOW_AT(remap(p, 8 * PAGE, 12 * PAGE, 0, 0), p);
	SHOW(p[7 * PAGE] * 100 + p[8 * PAGE]);
	SHOW_AT(remap(p, 2 * PAGE, 4 * PAGE, 0, 0), p);
	SHOW_AT(remap(p, 12 * PAGE, 12 * PAGE, 0, 0), p);
	SHOW_AT(remap(p, 3 * PAGE, 2 * PAGE + 1, 0, 0), p);
	q = remap(p + 2 * PAGE, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE, 0);
	SHOW(q != p + 2 * PAGE && q[0] == 2 && q[3 * PAGE] == 5 && !q[5 * PAGE]);
	show_rights("moved away", p, 12);
	SHOW_AT(remap(p + 6 * PAGE, 2 * PAGE, 3 * PAGE,
		      MREMAP_MAYMOVE | MREMAP_FIXED, q + 2 * PAGE), q);
	SHOW(q[2 * PAGE] * 100 + q[3 * PAGE] * 10 + q[4 * PAGE]);
	show_rights("moved to", q, 6);
	SHOW_AT(remap(q, 2 * PAGE, 2 * PAGE, MREMAP_FIXED, q + 8 * PAGE), q);
	SHOW_AT(remap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      q + PAGE), q);
	SHOW_AT(remap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      q + 100), q);
	SHOW_AT(remap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      (void *)-8192), q);
	SHOW_AT(remap(q, PAGE, 2 * PAGE, 8, 0), q);
	SHOW_AT(remap(q + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE, 0), q);
	SHOW_AT(remap(q, PAGE, 0, MREMAP_MAYMOVE, 0), q);
	SHOW_AT(remap(q, 0, PAGE, MREMAP_MAYMOVE, 0), q);
	SHOW_AT(remap(q, PAGE, -1, MREMAP_MAYMOVE, 0), q);
	SHOW_AT(remap(q, PAGE, 1UL << 46, MREMAP_MAYMOVE, 0), q);
	SHOW_AT(remap((void *)0x1000, PAGE, 2 * PAGE, MREMAP_MAYMOVE, 0), q);
	SHOW_AT(remap((void *)-4096, PAGE, 2 * PAGE, MREMAP_MAYMOVE, 0), q);
	SHOW_AT(remap(q, 64 * PAGE, 65 * PAGE, MREMAP_MAYMOVE, 0), q);
	/* Protection moves with the pages. */
	SHOW(mprotect(q, 2 * PAGE, PROT_READ));
	p = remap(q, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE, 0);
	show_rights("read only", p, 3);
	/* Large enough for large pages. */
	p = map(0, 8L << 20, RW, ANON, -1, 0);
	memset(p, 0x5a, 8L << 20);
	p = remap(p, 8L << 20, 24L << 20, MREMAP_MAYMOVE, 0);
	SHOW(p[0] == 0x5a && p[(8L << 20) - 1] == 0x5a && p[8L << 20] == 0);
	p = remap(p, 24L << 20, PAGE, 0, 0);
	SHOW(p[PAGE - 1] == 0x5a);
	show_rights("last page", p, 2);
}

/* Copies of a file's pages that become more, and go elsewhere. */
static void moving_files(void)
{
	int fd = make_file(), flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	char *p = map(0, 64 * PAGE, PROT_NONE, ANON, -1, 0), *q = p + 32 * PAGE;
	static char more[PAGE] = "more", zero[PAGE];

	munmap(p, 16 * PAGE);
	SHOW_AT(map(p, PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, 0), p);
	p[5] = 99;
	SHOW_AT(remap(p, PAGE, 3 * PAGE, 0, 0), p);
	SHOW(p[5]);
	SHOW(memcmp(p + 6, content + 6, sizeof content - 6));
	SHOW(memcmp(p + sizeof content, zero, 3 * PAGE - sizeof content));
	SHOW_AT(remap(p, 3 * PAGE, 6 * PAGE, 0, 0), p);
	show_rights("beyond its file", p, 8);
	SHOW_AT(remap(p + 4 * PAGE, 2 * PAGE, 3 * PAGE, 0, 0), p);
	SHOW_AT(remap(p, 8 * PAGE, 9 * PAGE, MREMAP_MAYMOVE, 0), p);
	/* All of it goes elsewhere, and both ways. */
	SHOW_AT(remap(p, 7 * PAGE, 9 * PAGE, flags, q), q);
	show_rights("gone", p, 8);
	show_rights("moved", q, 10);
	SHOW(memcmp(q + 6, content + 6, sizeof content - 6));
	SHOW_AT(remap(q, 9 * PAGE, 4 * PAGE, flags, p), p);
	show_rights("back", p, 5);
	show_rights("left", q, 10);
	SHOW(p[5]);
	SHOW_AT(remap(p + 2 * PAGE, 2 * PAGE, 3 * PAGE, flags, q), q);
	show_rights("in its middle", p, 5);
	show_rights("a part", q, 4);
	SHOW(memcmp(q, content + 2 * PAGE, sizeof content - 2 * PAGE));
	SHOW(munmap(q, 3 * PAGE));
	/* What another protection has is another mapping. */
	SHOW_AT(remap(p, 2 * PAGE, 5 * PAGE, 0, 0), p);
	SHOW(mprotect(p + PAGE, 4 * PAGE, PROT_READ));
	SHOW_AT(remap(p, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE, 0), p);
	SHOW_AT(remap(p + PAGE, 4 * PAGE, 5 * PAGE, flags, q), q);
	show_rights("read only", q, 6);
	SHOW(memcmp(q, content + PAGE, sizeof content - PAGE));
	munmap(q, 5 * PAGE);
	/* A file that has become longer. */
	SHOW(pwrite(fd, more, PAGE, 5 * PAGE));
	SHOW_AT(remap(p, PAGE, 6 * PAGE, 0, 0), p);
	SHOW(memcmp(p + 5 * PAGE, more, PAGE));
	SHOW(p[5]);
	SHOW(madvise(p, 6 * PAGE, MADV_DONTNEED));
	SHOW(memcmp(p, content, sizeof content));
	SHOW(memcmp(p + 5 * PAGE, more, PAGE));
	munmap(p, 64 * PAGE);
	/* Large enough for large pages. */
	SHOW(pwrite(fd, more, PAGE, 7L << 20));
	p = map(0, 32L << 20, PROT_NONE, ANON, -1, 0);
	p += -(unsigned long)p & ((2L << 20) - 1);
	SHOW_AT(map(p, 4L << 20, RW, MAP_PRIVATE | MAP_FIXED, fd, 0), p);
	p[3L << 20] = 7;
	SHOW_AT(remap(p, 4L << 20, 9L << 20, flags, p + (16L << 20)),
		p + (16L << 20));
	q = p + (16L << 20);
	SHOW(q[3L << 20]);
	SHOW(memcmp(q, content, sizeof content));
	SHOW(memcmp(q + (7L << 20), more, PAGE));
	show_rights("its end", q + (7L << 20), 2);
	munmap(p, 30L << 20);
	close(fd);
}

static void advising(void)
{
	static const int advice[] = { 0, 1, 2, 3, 8, 10, 11, 16, 17, 18, 19, 20,
				      21, 22, 23, 5, 6, 7, 9, 99, -1 };
	char *p = map(0, 8 * PAGE, RW, ANON, -1, 0);

	for (unsigned i = 0; i < sizeof advice / sizeof *advice; i++)
		SHOW(advice[i] * 1000 + madvise(p, 8 * PAGE, advice[i]));
	memset(p, 1, 8 * PAGE);
	SHOW(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED));
	SHOW(p[0] * 1000 + p[PAGE] * 100 + p[2 * PAGE] * 10 + p[3 * PAGE]);
	SHOW(madvise(p + 1, PAGE, MADV_DONTNEED));
	SHOW(madvise(p, 0, MADV_DONTNEED));
	SHOW(madvise(p, 0, 99));
	SHOW(madvise(p, -1, MADV_DONTNEED));
	SHOW(madvise(p, 1UL << 62, MADV_NORMAL));
	SHOW(munmap(p + 4 * PAGE, PAGE));
	memset(p, 1, 4 * PAGE);
	memset(p + 5 * PAGE, 1, 3 * PAGE);
	SHOW(madvise(p, 8 * PAGE, MADV_DONTNEED));
	SHOW(p[0] * 10 + p[5 * PAGE]);
	SHOW(madvise(p + 4 * PAGE, PAGE, 0));
	SHOW(madvise(0, PAGE, MADV_WILLNEED));
	SHOW(mprotect(p, PAGE, PROT_READ));
	SHOW(madvise(p, PAGE, 22));
	SHOW(madvise(p, PAGE, 23));
	SHOW(madvise(p + 4 * PAGE, PAGE, 22));
}

/* More than is looked at in one go, and hardly any of it there. */
static void looking_far(void)
{
	long pages = 3L << 20;
	unsigned char *in = malloc((size_t)pages);
	char *p = map(0, pages * PAGE, RW, ANON | MAP_NORESERVE, -1, 0);

	memset(in, 7, (size_t)pages);
	p[0] = p[pages * PAGE - 1] = 1;
	SHOW(mincore(p, pages * PAGE, in));
	SHOW((in[0] & 1) + (in[pages - 1] & 1));
	SHOW((in[pages / 2] & 1) + (in[pages / 3] & 1));
	munmap(p, pages * PAGE);
	free(in);
	/* What may be populated of a file's pages is no more than is there. */
	int fd = open("far", O_RDWR | O_CREAT, 0600);

	ftruncate(fd, PAGE);
	p = map(0, PAGE, RW, MAP_SHARED, fd, 0);
	SHOW(madvise(p, PAGE, 22));
	SHOW(madvise(p, PAGE, 23));
	munmap(p, PAGE);
	p = map(0, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
	SHOW(madvise(p, 2 * PAGE, 22));
	munmap(p, 2 * PAGE);
	close(fd);
}

static void looking(void)
{
	unsigned char in[8];
	char *p = map(0, 4 * PAGE, RW, ANON, -1, 0);

	memset(p, 1, 4 * PAGE);
	SHOW(mincore(p, 4 * PAGE, in));
	SHOW((in[0] & 1) + (in[3] & 1));
	SHOW(mincore(p + 1, PAGE, in));
	SHOW(mincore(p, PAGE, (void *)0x1000));
	SHOW(mincore(p, 0, in));
	SHOW(mincore((void *)0x1000, PAGE, in));
	SHOW(mincore(p, -1, in));
	SHOW(msync(p, 4 * PAGE, MS_SYNC));
	SHOW(msync(p, 4 * PAGE, MS_ASYNC | MS_INVALIDATE));
	SHOW(msync(p, 4 * PAGE, MS_SYNC | MS_ASYNC));
	SHOW(msync(p, 4 * PAGE, 8));
	SHOW(msync(p + 1, PAGE, MS_SYNC));
	SHOW(msync((void *)0x1000, PAGE, MS_SYNC));
	SHOW(msync(p, 0, MS_SYNC));
	SHOW(msync(p, -1, MS_SYNC));
	SHOW(mlock(p, PAGE));
	SHOW(mlock((void *)0x1000, PAGE));
	SHOW(munlock(p, PAGE));
	SHOW(munlock((void *)0x1000, PAGE));
}

static int faults(const char *how)
{
	volatile char *p = map(0, 1024 * PAGE, RW, ANON, -1, 0);

	memset((void *)p, 1, 1024 * PAGE);
	printf("%s\n", how);
	fflush(stdout);
	if (!strcmp(how, "write-read-only")) {
		mprotect((void *)(p + 5 * PAGE), PAGE, PROT_READ);
		p[4 * PAGE] = p[6 * PAGE] = 1;
		p[5 * PAGE] = 1;
	} else if (!strcmp(how, "read-none")) {
		mprotect((void *)(p + 600 * PAGE), 2 * PAGE, PROT_NONE);
		return p[601 * PAGE];
	} else if (!strcmp(how, "hole")) {
		munmap((void *)(p + 9 * PAGE), PAGE);
		p[8 * PAGE] = p[10 * PAGE] = 1;
		return p[9 * PAGE];
	} else if (!strcmp(how, "moved")) {
		/* It cannot grow where it is: one of its pages stays behind. */
		remap((void *)p, 1023 * PAGE, 2048 * PAGE, MREMAP_MAYMOVE, 0);
		return p[0];
	} else if (!strcmp(how, "shrunk")) {
		remap((void *)p, 1024 * PAGE, PAGE, 0, 0);
		return p[0] + p[PAGE];
	} else if (!strcmp(how, "replaced")) {
		map((void *)p, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0);
		p[0] = 1;
	} else if (!strcmp(how, "heap")) {
		char *start = brk_to(0);

		brk_to(start + 4 * PAGE);
		start[3 * PAGE] = 1;
		brk_to(start + PAGE);
		start[3 * PAGE] = 1;
	} else if (!strcmp(how, "execute")) {
		p[0] = (char)0xc3;
		((void (*)(void))(uintptr_t)p)();
	} else if (!strcmp(how, "beyond-the-end")) {
		int fd = make_file();

		fflush(stdout);
		p = map(0, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
		return p[3 * PAGE - 1] + p[3 * PAGE];
	}
	printf("went on\n");
	return 0;
}

int main(int argc, char **argv)
{
	static char buffer[BUFSIZ];

	setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
	if (pipe2(fds, O_NONBLOCK))
		return 1;
	if (argc > 1 && !strcmp(argv[1], "key")) {
		long key = syscall(SYS_pkey_alloc, 0, 0);

		printf("%ld %d\n", key, errno);
		return 0;
	}
	if (argc > 1)
		return faults(argv[1]);
	heap();
	anonymous();
	devices();
	low();
	files();
	unmapping();
	protecting();
	keys();
	moving();
	moving_files();
	advising();
	looking();
	looking_far();
	return 0;
}
