/*
 * descriptors.c: the descriptors' own calls: dup, dup2, dup3, fcntl, close,
 * close_range, the lowest free number, the limit on their count, and what
 * duplicates share.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

static void duplicating(void)
{
	SHOW(open("f", O_RDWR | O_CREAT, 0644));
	SHOW(dup(3));
	SHOW(dup(4));
	SHOW(close(4));
	SHOW(dup(3));
	SHOW(dup(-1));
	SHOW(dup(99));
	SHOW(dup(0x7fffffff));
	SHOW(dup2(3, 9));
	SHOW(dup2(3, 9));
	SHOW(dup2(3, 3));
	SHOW(dup2(99, 99));
	SHOW(dup2(99, 3));
	SHOW(dup2(3, -1));
	SHOW(dup2(-1, 3));
	SHOW(syscall(SYS_dup3, 3, 10, O_CLOEXEC));
	SHOW(fcntl(10, F_GETFD));
	SHOW(syscall(SYS_dup3, 3, 10, 0));
	SHOW(fcntl(10, F_GETFD));
	SHOW(syscall(SYS_dup3, 3, 3, 0));
	SHOW(syscall(SYS_dup3, 99, 99, 0));
	SHOW(syscall(SYS_dup3, 99, 5, 0));
	SHOW(syscall(SYS_dup3, 3, 5, O_NONBLOCK));
	SHOW(syscall(SYS_dup3, 3, -1, 0));
	SHOW(syscall(SYS_dup3, 99, 98, -1));
}

static void sharing(void)
{
	char c[4] = "";

	SHOW(write(3, "abc", 3));
	SHOW(lseek(9, 0, SEEK_CUR));
	SHOW(lseek(9, 1, SEEK_SET));
	SHOW(read(3, c, 1));
	SHOW(c[0]);
	SHOW(fcntl(3, F_SETFL, O_APPEND));
	SHOW(fcntl(9, F_GETFL) & O_APPEND);
	SHOW(lseek(9, 0, SEEK_SET));
	SHOW(write(9, "d", 1));
	SHOW(lseek(3, 0, SEEK_CUR));
	SHOW(pwrite(3, "e", 1, 0));
	SHOW(lseek(3, 0, SEEK_END));
	SHOW(fcntl(9, F_SETFL, 0));
	SHOW(pwrite(3, "E", 1, 0));
	SHOW(open("f", O_RDONLY));
	SHOW(lseek(6, 0, SEEK_CUR));
	SHOW(write(6, "x", 1));
	SHOW(close(3));
	SHOW(lseek(9, 0, SEEK_CUR));
	SHOW(open("f", O_WRONLY | O_APPEND));
	SHOW(read(3, c, 1));
	SHOW(lseek(3, 0, SEEK_CUR));
	SHOW(write(3, "gh", 2));
	SHOW(lseek(3, 0, SEEK_CUR));
}

static void controlling(void)
{
	int fds[2];

	SHOW(fcntl(3, F_GETFL));
	SHOW(fcntl(9, F_GETFL));
	SHOW(fcntl(6, F_GETFL));
	SHOW(fcntl(3, F_SETFL, -1 & ~(O_DIRECT | O_ASYNC)));
	SHOW(fcntl(3, F_GETFL));
	SHOW(fcntl(3, F_SETFL, O_RDWR));
	SHOW(fcntl(3, F_GETFL));
	SHOW(fcntl(3, F_GETFD));
	SHOW(fcntl(3, F_SETFD, FD_CLOEXEC));
	SHOW(fcntl(3, F_GETFD));
	SHOW(fcntl(3, F_SETFD, 0xfe));
	SHOW(fcntl(3, F_GETFD));
	SHOW(fcntl(3, F_DUPFD, 0));
	SHOW(fcntl(3, F_DUPFD, 20));
	SHOW(fcntl(3, F_DUPFD_CLOEXEC, 20));
	SHOW(fcntl(21, F_GETFD));
	SHOW(fcntl(20, F_GETFD));
	SHOW(fcntl(3, F_DUPFD, -1));
	SHOW(fcntl(3, F_DUPFD, 1 << 30));
	SHOW(fcntl(3, 12345, 0));
	SHOW(fcntl(99, F_GETFD));
	SHOW(fcntl(-1, F_GETFL));
	SHOW(fcntl(99, 12345));
	SHOW(open("f", O_RDONLY | O_PATH));
	SHOW(fcntl(8, F_GETFL));
	SHOW(fcntl(8, F_SETFL, 0));
	SHOW(read(8, fds, 1));
	SHOW(lseek(8, 0, SEEK_SET));
	SHOW(ftruncate(8, 0));
	SHOW(fsync(8));
	SHOW(close(8));
	SHOW(pipe2(fds, O_CLOEXEC));
	SHOW(fds[0] * 100 + fds[1]);
	SHOW(fcntl(fds[0], F_GETFD));
	SHOW(fcntl(fds[0], F_GETFL));
	SHOW(fcntl(fds[1], F_GETFL));
	SHOW(fcntl(fds[1], F_GETPIPE_SZ));
	SHOW(fcntl(3, F_GETPIPE_SZ));
	SHOW(close(fds[0]) | close(fds[1]));
	SHOW(close(fds[0]));
	SHOW(open("f", O_RDONLY | O_CLOEXEC));
	SHOW(fcntl(8, F_GETFD));
	SHOW(open("f", O_RDWR | O_SYNC | O_NOATIME | O_NONBLOCK));
	SHOW(fcntl(11, F_GETFL));
	SHOW(open("f", O_RDONLY | O_DIRECTORY));
	SHOW(open(".", O_RDONLY | O_DIRECTORY));
	SHOW(fcntl(12, F_GETFL));
}

static void ranges(void)
{
	SHOW(syscall(SYS_close_range, 20, 10, 0));
	SHOW(syscall(SYS_close_range, 10, 20, 8));
	SHOW(syscall(SYS_close_range, 10, 12, 4));
	SHOW(fcntl(10, F_GETFD));
	SHOW(syscall(SYS_close_range, 4, -1, 0));
	SHOW(fcntl(4, F_GETFD));
	SHOW(fcntl(21, F_GETFD));
	SHOW(fcntl(3, F_GETFD));
	SHOW(syscall(SYS_close_range, 100, 200, 0));
}

/* The limit is the program's to lower: 24 descriptors, 0 to 23. */
static void exhausting(void)
{
	struct rlimit limit;
	int fds[2] = { -7, -7 };
	int last = 0;

	SHOW(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 24;
	SHOW(setrlimit(RLIMIT_NOFILE, &limit));
	for (int fd; (fd = open("f", O_RDONLY)) >= 0;)
		last = fd;
	SHOW(last);
	SHOW(open("f", O_RDONLY));
	SHOW(open("none", O_RDONLY));
	SHOW(open("never-made", O_WRONLY | O_CREAT, 0644));
	SHOW(open((void *)0x1000, O_RDONLY));
	SHOW(dup(3));
	SHOW(dup(99));
	SHOW(fcntl(3, F_DUPFD, 5));
	SHOW(fcntl(3, F_DUPFD, 23));
	SHOW(fcntl(3, F_DUPFD, 24));
	SHOW(pipe(fds));
	SHOW(close(10));
	SHOW(pipe(fds));
	SHOW(fds[0] + fds[1]);
	SHOW(dup(3));
	SHOW(dup2(3, 23));
	SHOW(dup2(3, 24));
	SHOW(syscall(SYS_dup3, 3, 24, 0));
	SHOW(close(5) | close(7));
	SHOW(open("f", O_RDONLY));
	SHOW(dup(3));
	limit.rlim_cur = 30;
	SHOW(setrlimit(RLIMIT_NOFILE, &limit));
	SHOW(dup2(3, 29));
	limit.rlim_cur = 20;
	SHOW(setrlimit(RLIMIT_NOFILE, &limit));
	SHOW(read(29, fds, 0));
	SHOW(close(29));
	SHOW(close(12));
	SHOW(dup(3));
	SHOW(dup(3));
}

int main(void)
{
	duplicating();
	sharing();
	controlling();
	ranges();
	exhausting();
	return 0;
}
