/*
 * memory_files.c BYTES: files in memory, in a VM with so much memory: all
 * together they become no longer, whatever makes them so.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "show.h"

#define MIB (1L << 20)
#define KEEP_SIZE 1
#define APPEND 0x10 /* RWF_APPEND (linux/fs.h) */

static char bytes[MIB];
static long all;

static long length(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : (long)st.st_size;
}

static long append(int fd, long offset)
{
	struct iovec one = { bytes, sizeof bytes };

	return syscall(SYS_pwritev2, fd, &one, 1, offset, 0, APPEND);
}

/* Each way to make it longer, when there is no more than a page left. */
static void try_all(int fd, int from)
{
	int ends[2];
	long end = length(fd);
	loff_t at = end;

	pipe(ends);
	write(ends[1], bytes, 5000);
	SHOW(ftruncate(fd, end + 4097));
	SHOW(fallocate(fd, 0, end, 4097));
	SHOW(fallocate(fd, KEEP_SIZE, end, 4097));
	SHOW(fallocate(fd, 0, 0, 2 * all));
	SHOW(fallocate(fd, KEEP_SIZE, 0, 2 * all));
	SHOW(pwrite(fd, bytes, sizeof bytes, end + 5000));
	SHOW(pwrite(fd, bytes, sizeof bytes, end + 4000));
	SHOW(ftruncate(fd, end));
	SHOW(append(fd, 0));
	SHOW(append(fd, 0));
	SHOW(ftruncate(fd, end));
	SHOW(lseek(fd, 0, SEEK_END) == end);
	SHOW(write(fd, bytes, sizeof bytes));
	SHOW(write(fd, bytes, sizeof bytes));
	SHOW(ftruncate(fd, end));
	SHOW(lseek(fd, 0, SEEK_END) == end);
	SHOW(lseek(from, 0, SEEK_SET));
	SHOW(sendfile(fd, from, 0, 5000));
	SHOW(sendfile(fd, from, 0, 5000));
	SHOW(ftruncate(fd, end));
	SHOW(splice(ends[0], 0, fd, &at, 5000, 0));
	SHOW(splice(ends[0], 0, fd, &at, 5000, 0));
	SHOW(ftruncate(fd, end));
	close(ends[0]);
	close(ends[1]);
}

int main(int argc, char **argv)
{
	int from = open("from", O_RDWR | O_CREAT, 0600);
	int large = memfd_create("large", 0), small = memfd_create("small", 0);
	char name[40];

	setvbuf(stdout, 0, _IOLBF, 0);
	all = argc > 1 ? atol(argv[1]) : 0;
	write(from, bytes, 10000);
	SHOW(ftruncate(large, all + 1));
	SHOW(ftruncate(large, all));
	SHOW(write(small, bytes, 1));
	SHOW(ftruncate(large, all - MIB - 4096));
	SHOW(write(small, bytes, MIB));
	try_all(small, from);
	try_all(large, from);
	/* By whichever name. */
	sprintf(name, "/proc/self/fd/%d", small);
	SHOW(truncate(name, MIB + 4097));
	SHOW(truncate(name, MIB + 1));
	SHOW(truncate(name, MIB));
	int again = open(name, O_RDWR | O_APPEND);
	SHOW(write(again, bytes, 4097));
	SHOW(write(again, bytes, 1));
	SHOW(ftruncate(again, MIB));
	/* What is only mapped is there still. */
	char *mapped = mmap(0, 4096, PROT_READ, MAP_SHARED, large, 0);
	SHOW(close(large));
	SHOW(ftruncate(small, MIB + 4097));
	SHOW(munmap(mapped, 4096));
	SHOW(ftruncate(small, MIB + 4097));
	/* What is reserved counts, though it does not show. */
	SHOW(fallocate(small, KEEP_SIZE, 0, all - MIB));
	SHOW(length(small));
	int third = memfd_create("third", 0);
	SHOW(ftruncate(third, MIB + 1));
	SHOW(ftruncate(third, MIB));
	/* Holes may be made, whatever is there. */
	SHOW(fallocate(small, KEEP_SIZE | 2, 0, all));
	SHOW(ftruncate(third, 2 * MIB));
	return 0;
}
