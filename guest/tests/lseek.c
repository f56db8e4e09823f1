/* lseek.c: offsets: all ways to move one, holes, files that have none. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

int main(void)
{
	static char block[65536];
	char byte = 'x';
	struct stat st;
	int fds[2];

	memset(block, 'b', sizeof block);
	SHOW(open("f", O_RDWR | O_CREAT, 0600));
	SHOW(lseek(3, 0, SEEK_END));
	SHOW(lseek(3, 0, SEEK_DATA));
	SHOW(lseek(3, 0, SEEK_HOLE));
	SHOW(write(3, block, 10));
	SHOW(lseek(3, -3, SEEK_CUR));
	SHOW(lseek(3, -8, SEEK_CUR));
	SHOW(lseek(3, 0, SEEK_CUR));
	SHOW(lseek(3, -1, SEEK_SET));
	SHOW(lseek(3, LONG_MAX, SEEK_CUR));
	SHOW(lseek(3, LONG_MIN, SEEK_END));
	SHOW(lseek(3, LONG_MIN, SEEK_SET));
	SHOW(lseek(3, 1L << 40, SEEK_SET));
	SHOW(read(3, &byte, 1));
	SHOW(lseek(3, 0, 5));
	SHOW(lseek(3, 0, -1));
	SHOW(lseek(99, 0, 5));
	SHOW(lseek(-1, 0, SEEK_SET));
	SHOW(lseek(3, 1 << 20, SEEK_SET));
	SHOW(write(3, block, sizeof block));
	SHOW(fstat(3, &st));
	SHOW(st.st_size);
	SHOW(pread(3, &byte, 1, 70000));
	SHOW(byte);
	SHOW(lseek(3, 0, SEEK_DATA));
	SHOW(lseek(3, 5, SEEK_DATA));
	SHOW(lseek(3, (1 << 20) + 5, SEEK_DATA));
	SHOW(lseek(3, 200000, SEEK_DATA));
	SHOW(lseek(3, 0, SEEK_HOLE));
	SHOW(lseek(3, 300000, SEEK_HOLE));
	SHOW(lseek(3, 1 << 20, SEEK_HOLE));
	SHOW(lseek(3, st.st_size, SEEK_HOLE));
	SHOW(lseek(3, st.st_size, SEEK_DATA));
	SHOW(lseek(3, -1, SEEK_DATA));
	SHOW(lseek(3, 0, SEEK_CUR));
	SHOW(ftruncate(3, 4));
	SHOW(lseek(3, 0, SEEK_END));
	SHOW(ftruncate(3, 100));
	SHOW(pread(3, &byte, 1, 50));
	SHOW(byte);
	SHOW(pread(3, &byte, 1, -1));
	SHOW(pread(3, &byte, 1, LONG_MAX));
	SHOW(pwrite(3, &byte, 1, -1));
	SHOW(pwrite(3, &byte, 0, 1000));
	SHOW(lseek(3, 0, SEEK_END));
	SHOW(pread(99, &byte, 1, -1));
	SHOW(pipe(fds));
	SHOW(lseek(fds[0], 0, SEEK_CUR));
	SHOW(lseek(fds[0], 0, 77));
	SHOW(pread(fds[0], &byte, 1, 0));
	SHOW(pwrite(fds[1], &byte, 1, 0));
	SHOW(pread(fds[1], &byte, 1, 0));
	SHOW(ftruncate(fds[1], 0));
	SHOW(ftruncate(fds[0], 0));
	SHOW(fsync(fds[1]));
	SHOW(lseek(1, 0, SEEK_CUR));
	SHOW(open(".", O_RDONLY));
	SHOW(lseek(6, 0, SEEK_CUR));
	SHOW(lseek(6, -1, SEEK_SET));
	SHOW(read(6, &byte, 1));
	SHOW(pread(6, &byte, 1, 0));
	SHOW(write(6, &byte, 1));
	SHOW(ftruncate(6, 0));
	SHOW(fsync(6));
	SHOW(open("/dev/null", O_RDWR));
	SHOW(lseek(7, 5, SEEK_SET));
	SHOW(lseek(7, 0, SEEK_CUR));
	SHOW(ftruncate(7, 5));
	SHOW(fsync(7));
	SHOW(pread(7, &byte, 1, 3));
	SHOW(pwrite(7, &byte, 1, 3));
	return 0;
}
