/*
 * kept.c: calls that wait go on with the file they began with; seals of files
 * in memory; names for files that have none.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../scratchvm.h"
#include "signals.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 16
#endif

static int ends[2], other[2];
static int doubled;
static long written;

/* Until the other thread waits: long, where code is slow that runs first. */
static void until_it_waits(void)
{
	usleep(300000);
}

/* Closes what the other thread reads, and gives its number to another. */
static void *closes(void *arg)
{
	until_it_waits();
	doubled = dup(ends[0]);
	close(ends[0]);
	if (arg)
		dup2(other[0], ends[0]);
	write(other[1], "other", 5);
	SAVE();
	usleep(30000);
	write(ends[1], "first", 5);
	return 0;
}

/* As that, but nothing else holds the file. */
static void *closes_last(void *arg)
{
	until_it_waits();
	close(ends[0]);
	SAVE();
	usleep(30000);
	written = write(ends[1], "last", 4);
	return arg;
}

static void *closes_set(void *arg)
{
	until_it_waits();
	close(other[0]);
	SAVE();
	usleep(30000);
	write(ends[1], "event", 5);
	return arg;
}

static void reading(void *(*closing)(void *), void *arg)
{
	pthread_t thread;
	char got[20] = "";

	pipe(ends);
	pipe(other);
	pthread_create(&thread, 0, closing, arg);
	SHOW(read(ends[0], got, sizeof got));
	printf("%s\n", got);
	pthread_join(thread, 0);
	SHOW(written);
	SHOW(fcntl(ends[0], F_GETFD));
	close(ends[0]);
	close(ends[1]);
	close(other[0]);
	close(other[1]);
	if (doubled)
		close(doubled);
	doubled = 0;
}

static void closed(void)
{
	pthread_t thread;
	struct epoll_event event = { .events = EPOLLIN }, seen;

	handle(SIGPIPE, SIG_IGN, 0);
	reading(closes, 0);
	reading(closes, "again");
	reading(closes_last, 0);
	pipe(ends);
	other[0] = epoll_create1(0);
	epoll_ctl(other[0], EPOLL_CTL_ADD, ends[0], &event);
	pthread_create(&thread, 0, closes_set, 0);
	SHOW(epoll_wait(other[0], &seen, 1, -1));
	pthread_join(thread, 0);
	SHOW(fcntl(other[0], F_GETFD));
	/* A poll looks what the number is now. */
	struct pollfd p = { ends[0], POLLIN, 0 };
	char got[20];
	read(ends[0], got, sizeof got);
	other[0] = ends[0];
	pthread_create(&thread, 0, closes_set, 0);
	SHOW(poll(&p, 1, -1));
	SHOW(p.revents);
	pthread_join(thread, 0);
}

static void seals(void)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
	int plain = memfd_create("plain", 0);
	int file = open("file", O_RDWR | O_CREAT, 0600);
	char *map;

	SHOW(fcntl(fd, F_GET_SEALS));
	SHOW(fcntl(plain, F_GET_SEALS));
	SHOW(fcntl(plain, F_ADD_SEALS, F_SEAL_GROW));
	SHOW(fcntl(0, F_GET_SEALS));
	SHOW(fcntl(file, F_ADD_SEALS, F_SEAL_GROW));
	SHOW(fcntl(fd, F_ADD_SEALS, 0x8000));
	SHOW(write(fd, "content", 7));
	SHOW(ftruncate(fd, 4096));
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	SHOW(ftruncate(fd, 8192));
	SHOW(write(fd, "more", 4));
	map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	munmap(map, 4096);
	SAVE();
	SHOW(fcntl(fd, F_GET_SEALS));
	SHOW(ftruncate(fd, 8192));
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL));
	SHOW(write(fd, "more", 4));
	SHOW(ftruncate(fd, 0));
	SAVE();
	SHOW(fcntl(fd, F_GET_SEALS));
	SHOW(fcntl(plain, F_GET_SEALS));
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	SHOW(mmap(0, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	map = mmap(0, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	printf("%s\n", map);
}

/* Seals that a file has although it is mapped for writing. */
static void future(void)
{
	int fd = memfd_create("mapped", MFD_ALLOW_SEALING);
	int plain = memfd_create("plain", 8); /* MFD_NOEXEC_SEAL */
	char *map;

	SHOW(ftruncate(fd, 4096));
	map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	SHOW(fcntl(fd, F_ADD_SEALS, 0x10 | F_SEAL_SEAL)); /* F_SEAL_FUTURE_WRITE */
	SAVE();
	strcpy(map, "mapped");
	printf("%s\n", map);
	SHOW(write(fd, "more", 4));
	SHOW(fcntl(fd, F_GET_SEALS));
	SHOW(mmap(0, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	SHOW(write(plain, "more", 4));
	SHOW(fcntl(plain, F_GET_SEALS));
}

static void named(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	int file = open("file", O_RDWR | O_CREAT, 0600);
	char path[40];
	struct stat stat;

	write(fd, "content", 7);
	SHOW(linkat(fd, "", AT_FDCWD, "never", 0));
	sprintf(path, "/proc/self/fd/%d", fd);
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
	SHOW(fstat(fd, &stat));
	SHOW(stat.st_nlink);
	sprintf(path, "/proc/self/fd/%d", file);
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "second", AT_SYMLINK_FOLLOW));
	SHOW(unlink("file"));
}

/* Files that no name leads to but that of their descriptor. */
static void nameless(void)
{
	int fds[] = { memfd_create("memory", 0),
		      open("gone", O_RDWR | O_CREAT, 0600) };
	struct timespec times[2] = { { 1000, 0 }, { 2000, 0 } };
	struct stat stat_of;
	char path[40];

	unlink("gone");
	for (int i = 0; i < 2; i++) {
		sprintf(path, "/proc/self/fd/%d", fds[i]);
		SHOW(truncate(path, 100));
		SHOW(chmod(path, 0640));
		SHOW(utimensat(AT_FDCWD, path, times, 0));
		SHOW(stat(path, &stat_of));
		SHOW(stat_of.st_size);
		SHOW(stat_of.st_mode & 07777);
		SHOW(stat_of.st_mtime);
		SHOW(access(path, R_OK));
		SHOW(truncate(path, -1));
		SHOW(unlink(path));
	}
}

/* A folder that is removed while it is open. */
static void removed(void)
{
	struct stat stat;
	char bytes[200];
	int fd, path;

	mkdir("gone", 0755);
	fd = open("gone", O_RDONLY | O_DIRECTORY);
	path = open("gone", O_PATH);
	rmdir("gone");
	mkdir("gone", 0755);
	close(creat("gone/other", 0600));
	SAVE();
	SHOW(fstat(fd, &stat));
	SHOW(stat.st_nlink);
	SHOW(S_ISDIR(stat.st_mode));
	SHOW(fstat(path, &stat));
	SHOW(stat.st_nlink);
	SHOW(syscall(SYS_getdents64, fd, bytes, sizeof bytes));
	SHOW(openat(fd, "other", O_RDONLY));
	SHOW(openat(path, "new", O_RDWR | O_CREAT, 0600));
	SHOW(mkdirat(fd, "new", 0755));
	SHOW(fchdir(fd));
	SHOW(syscall(SYS_getcwd, bytes, sizeof bytes));
	SHOW(open("other", O_RDONLY));
	SHOW(close(fd));
	SHOW(close(path));
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "closed", closed }, { "seals", seals }, { "future", future },
		{ "named", named }, { "nameless", nameless },
		{ "removed", removed }, { 0, 0 },
	};

	return run_parts(parts, argc, argv);
}
