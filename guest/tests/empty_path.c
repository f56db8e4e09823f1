/* empty_path.c: calls that take an empty path for what a descriptor is. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

static void look(int fd)
{
	struct stat st;

	SHOW(fstatat(fd, "", &st, AT_EMPTY_PATH));
	printf("%o\n", st.st_mode);
}

/* access(2) of what is behind a descriptor, without and with the flag. */
static void access_of(const char *name, int fd)
{
	printf("%s\n", name);
	SHOW(syscall(SYS_faccessat2, fd, "", F_OK, 0));
	SHOW(syscall(SYS_faccessat2, fd, "", F_OK, AT_EMPTY_PATH));
	SHOW(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
	SHOW(syscall(SYS_faccessat2, fd, "", W_OK, AT_EMPTY_PATH));
	SHOW(syscall(SYS_faccessat2, fd, "", X_OK, AT_EMPTY_PATH));
	SHOW(syscall(SYS_faccessat2, fd, "", 8, AT_EMPTY_PATH));
	SHOW(syscall(SYS_faccessat2, fd, "", W_OK,
		     AT_EMPTY_PATH | AT_EACCESS | AT_SYMLINK_NOFOLLOW));
}

static void link_of(int fd)
{
	char to[100];
	long length;

	SHOW(length = readlinkat(fd, "", to, sizeof(to)));
	if (length > 0)
		printf("%.*s\n", (int)length, to);
	SHOW(readlinkat(fd, "", to, 2));
	SHOW(readlinkat(fd, "", (char *)0x1000, 2));
	SHOW(readlinkat(fd, "", to, 0));
}

int main(void)
{
	struct timespec then[2] = { { 1000, 5 }, { 2000, 7 } };
	int file = open("f", O_RDWR | O_CREAT, 0600);
	int reading = open("f", O_RDONLY);
	int folder, path, link, pipes[2];

	mkdir("d", 0750);
	folder = open("d", O_RDONLY);
	symlink("f", "l");
	path = open("f", O_PATH);
	link = open("l", O_PATH | O_NOFOLLOW);
	if (link < 0 || pipe(pipes))
		return 1;

	access_of("file", file);
	access_of("reading", reading);
	access_of("folder", folder);
	access_of("path", path);
	access_of("link", link);
	access_of("pipe", pipes[0]);
	access_of("cwd", AT_FDCWD);
	access_of("none", 99);

	link_of(file);
	link_of(folder);
	link_of(path);
	link_of(link);
	link_of(pipes[0]);
	link_of(AT_FDCWD);
	link_of(99);

	SHOW(fchownat(AT_FDCWD, "", getuid(), -1, AT_EMPTY_PATH));
	SHOW(fchownat(AT_FDCWD, "", getuid(), -1, 0));
	SHOW(fchownat(path, "", getuid(), -1, AT_EMPTY_PATH));
	SHOW(fchownat(link, "", getuid(), -1, AT_EMPTY_PATH));
	SHOW(fchownat(99, "", getuid(), -1, AT_EMPTY_PATH));
	SHOW(utimensat(AT_FDCWD, "", then, AT_EMPTY_PATH));
	SHOW(utimensat(path, "", then, AT_EMPTY_PATH));
	SHOW(utimensat(99, "", then, AT_EMPTY_PATH));
	look(AT_FDCWD);
	look(path);
	look(link);
	look(pipes[0]);
	look(99);
	return 0;
}
