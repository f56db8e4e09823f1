/* attributes.c: permissions, owner and times of files, changed and looked at. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

static void look(const char *path)
{
	struct stat st;

	SHOW(lstat(path, &st));
	printf("%s: %o, changed %ld.%09ld\n", path, st.st_mode,
	       (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

int main(void)
{
	struct timespec then[2] = { { 1000, 5 }, { 2000, 7 } };
	struct timespec some[2] = { { 0, UTIME_OMIT }, { 3000, 9 } };
	struct timespec wrong[2] = { { 0, 0 }, { 0, 1000000000 } };
	struct timespec never[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };
	int path, pipes[2];

	SHOW(open("f", O_RDWR | O_CREAT, 0600));
	SHOW(open("f", O_RDONLY));
	SHOW(mkdir("d", 0700));
	SHOW(utimensat(AT_FDCWD, "f", then, 0));
	SHOW(chmod("f", 0644));
	look("f");
	SHOW(fchmod(3, 0100751));
	look("f");
	SHOW(fchmod(4, 04700));
	look("f");
	SHOW(fchmodat(AT_FDCWD, "f", 0600, 0));
	SHOW(chmod("d", 01777));
	SHOW(chmod("none", 0644));
	SHOW(chmod("", 0644));
	SHOW(chmod("f/x", 0644));
	SHOW(chmod((void *)0x1000, 0644));
	SHOW(fchmod(99, 0644));
	SHOW(chown("f", -1, -1));
	SHOW(fchown(3, getuid(), getgid()));
	SHOW(lchown("f", getuid(), -1));
	SHOW(chown("none", 0, 0));
	SHOW(fchown(99, 0, 0));
	SHOW(fchownat(AT_FDCWD, "f", -1, -1, 0x8000));
	SHOW(fchownat(3, "", -1, -1, AT_EMPTY_PATH));
	SHOW(fchownat(3, "", -1, -1, 0));
	SHOW(utimensat(AT_FDCWD, "d", then, 0));
	look("d");
	SHOW(syscall(SYS_utimensat, 3, 0, some, 0));
	look("f");
	SHOW(syscall(SYS_utimensat, 4, 0, then, 0));
	look("f");
	SHOW(utimensat(AT_FDCWD, "f", never, 0));
	SHOW(utimensat(AT_FDCWD, "f", wrong, 0));
	SHOW(utimensat(AT_FDCWD, "none", then, 0));
	SHOW(utimensat(AT_FDCWD, "f", (void *)0x1000, 0));
	SHOW(utimensat(AT_FDCWD, "f", then, 0x8000));
	SHOW(syscall(SYS_utimensat, 99, 0, then, 0));
	SHOW(syscall(SYS_utimensat, 3, 0, then, AT_SYMLINK_NOFOLLOW));
	SHOW(utimensat(AT_FDCWD, "f", 0, 0));
	path = open("f", O_PATH);
	SHOW(fchmod(path, 0644));
	SHOW(fchown(path, -1, -1));
	SHOW(pipe(pipes));
	SHOW(unlink("f"));
	SHOW(fchmod(3, 0640));
	return 0;
}
