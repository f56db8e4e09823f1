/* Files mapped with MAP_SHARED: what the program writes, what others write. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "scratchvm.h"

#define PAGE 4096

static void show(const char *what, long result)
{
	printf("%s %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
	fflush(stdout);
}

static void content(int fd, off_t at)
{
	char text[17] = "";
	long n = pread(fd, text, 16, at);
	for (long i = 0; i < n; i++)
		if (text[i] == 0)
			text[i] = '.';
	printf("file at %ld: %ld %s\n", (long)at, n, text);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int fd = open("shared", O_RDWR | O_CREAT | O_TRUNC, 0644);
	show("truncate", ftruncate(fd, 3 * PAGE));
	char *map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	show("mmap", map == MAP_FAILED ? -1 : 0);
	strcpy(map, "written by map");
	content(fd, 0);
	show("pwrite", pwrite(fd, "written by call", 16, PAGE));
	printf("%s\n", map + PAGE);
	char *other = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	map[PAGE] = 'W';
	printf("%s\n", other);
	show("msync", msync(map, PAGE, MS_SYNC));

	/* The kernel's own use of such memory. */
	show("read into", pread(fd, map + 2 * PAGE + 5, 10, 0));
	content(fd, 2 * PAGE + 5);
	show("write from", pwrite(fd, map + PAGE, 7, 100));
	content(fd, 100);
	strcpy(map + 200, "shared");
	show("open by it", open(map + 200, O_RDONLY));
	int ends[2];
	pipe(ends);
	show("pipe from", write(ends[1], map, 8));
	show("pipe into", read(ends[0], map + 300, 8));
	content(fd, 300);
	struct iovec *vector = (struct iovec *)(map + 400);
	vector[0] = (struct iovec){ map, 7 };
	vector[1] = (struct iovec){ map + 8, 6 };
	show("writev", writev(1, vector, 2));
	memset(vector, 0, 2 * sizeof *vector);
	show("beyond", pwrite(fd, map + 3 * PAGE, 1, 0));
	show("readlink", readlink("link", map + 500, 20));

	/* Protection. */
	show("mprotect", mprotect(map, PAGE, PROT_READ));
	show("read into", pread(fd, map, 1, 10));
	show("mprotect", mprotect(map, PAGE, PROT_READ | PROT_WRITE));
	map[0] = 'W';
	content(fd, 0);
	int reader = open("shared", O_RDONLY);
	char *fixed = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);
	show("mprotect", mprotect(fixed, PAGE, PROT_READ | PROT_WRITE));
	show("mmap", mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, reader, 0) ==
		MAP_FAILED ? -1 : 0);
	int writer = open("shared", O_WRONLY);
	show("mmap", mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, writer, 0) ==
		MAP_FAILED ? -1 : 0);

	/* Parts, and growing. */
	show("munmap", munmap(map + PAGE, PAGE));
	strcpy(map + 2 * PAGE, "third");
	content(fd, 2 * PAGE);
	char *grown = mremap(other, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
	show("mremap", grown == MAP_FAILED ? -1 : 0);
	printf("%s %s\n", grown, grown + PAGE);
	show("advice", madvise(map, PAGE, MADV_DONTNEED));
	printf("%s\n", map);
	show("remove", madvise(map + 2 * PAGE, PAGE, MADV_REMOVE));
	printf("%d %ld\n", map[2 * PAGE], (long)lseek(fd, 0, SEEK_END));
	content(fd, 2 * PAGE);
	strcpy(map + 2 * PAGE, "third");
	show("remove", madvise(map, 3 * PAGE, MADV_REMOVE));
	show("remove", madvise(fixed, PAGE, MADV_REMOVE));
	strcpy(map, "whole");
	strcpy(map + 2 * PAGE, "third");

	/* It stays mapped when its descriptors are closed, and saved. */
	close(fd);
	SAVE();
	strcpy(map + 20, "after");
	fd = open("shared", O_RDWR);
	content(fd, 16);
	show("pwrite", pwrite(fd, "seen", 5, 2 * PAGE));
	printf("%s %s %s\n", map + 2 * PAGE, grown + PAGE, fixed);
	fflush(stdout);
	if (argc > 1 && !strcmp(argv[1], "touch"))
		map[3 * PAGE] = 1;
	if (argc > 1 && !strcmp(argv[1], "cut")) {
		map[2 * PAGE + 100] = 1;
		show("truncate", ftruncate(fd, 100));
		show("write from", write(1, map + 2 * PAGE, 5));
		show("write from", write(ends[1], map + 2 * PAGE, 5) > 0 ? 0 : 0);
		map[2 * PAGE] = 1;
	}
	show("munmap", munmap(map, 4 * PAGE));
	return 0;
}
