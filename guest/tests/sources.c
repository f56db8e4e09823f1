/*
 * sources.c: files whose pages a program has copies of: their names, and how
 * they are read again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../scratchvm.h"
#include "signals.h"

#define PAGE 4096

static struct stat stat_of;

/* What /proc/self/maps says of the area that begins at an address. */
static void show(const char *at)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[5000], allows[5], path[4096];
	unsigned long start, end, offset, inode;
	unsigned major, minor;
	int found = 0;

	while (fgets(line, sizeof line, maps)) {
		path[0] = 0;
		sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %s", &start, &end,
		       allows, &offset, &major, &minor, &inode, path);
		if (start != (unsigned long)at)
			continue;
		found = 1;
		char *name = strrchr(path, '/');
		printf("%lu pages %s at %lx of %s, inode %d\n",
		       (end - start) / PAGE, allows, offset,
		       name ? name : path, inode == stat_of.st_ino);
	}
	if (!found)
		printf("none begins there\n");
	fclose(maps);
}

static char data[3 * PAGE] = "as it was";

int main(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	char *map, *other, *line = malloc(10);

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < 5; i++)
		pwrite(fd, &"abcde"[i], 1, i * PAGE);
	ftruncate(fd, 5 * PAGE);
	fstat(fd, &stat_of);
	map = mmap(0, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	other = mmap(0, 2 * PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	show(map);
	show(other);
	mprotect(map + PAGE, PAGE, PROT_READ);
	show(map);
	show(map + PAGE);
	show(map + 2 * PAGE);
	mprotect(map + PAGE, PAGE, PROT_READ | PROT_WRITE);
	munmap(map + 3 * PAGE, PAGE);
	show(map);
	show(map + 4 * PAGE);
	/* The program's own data, as its file has them. */
	char *page = data + PAGE - (unsigned long)data % PAGE;
	page[5] = 'x';
	SHOW(madvise(page, PAGE, MADV_DONTNEED));
	SHOW(page[5]);
	SAVE();
	show(map);
	show(map + 4 * PAGE);
	show(other);
	/* What was written is gone; what is in the file now is there. */
	map[0] = map[PAGE] = map[2 * PAGE] = 'x';
	pwrite(fd, "B", 1, PAGE);
	SHOW(madvise(map, 2 * PAGE, MADV_DONTNEED));
	printf("%c%c%c%c\n", map[0], map[PAGE], map[2 * PAGE], map[4 * PAGE]);
	map[PAGE] = 'y';
	SHOW(madvise(map + PAGE, PAGE, MADV_FREE));
	SHOW(madvise(other, PAGE, MADV_FREE));
	SHOW(madvise(map, PAGE, 18));
	printf("%c\n", map[PAGE]);
	char *moved = mremap(map + PAGE, PAGE, PAGE, MREMAP_MAYMOVE |
			     MREMAP_FIXED, map + 3 * PAGE);
	SHOW(moved == map + 3 * PAGE);
	show(moved);
	SHOW(madvise(moved, PAGE, MADV_DONTNEED));
	printf("%c\n", *moved);
	SHOW(line != 0);
	return 0;
}
