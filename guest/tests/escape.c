/*
 * escape.c PATH… : tries each call that takes a path on each PATH, then to take
 * a file of its own ("mine") there; prints what came of it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

/* Only the call's name, its result and errno: paths differ from run to run. */
#define TRY(name, call)                                                       \
	do {                                                                  \
		errno = 0;                                                    \
		long r_ = (long)(call);                                       \
		printf("%s %s %d\n", name, r_ < 0 ? "-1" : "ok",             \
		       r_ < 0 ? errno : 0);                                   \
	} while (0)

/* Makes a symbolic link to a path, and opens that. */
static int open_by_link(const char *path)
{
	unlink("by-link");
	if (symlink(path, "by-link"))
		return -1;
	return open("by-link", O_RDWR);
}

static void try_all(const char *path)
{
	char buffer[4096];
	struct stat st;
	int folder = open(".", O_RDONLY);

	TRY("open", open(path, O_RDONLY));
	TRY("open for writing", open(path, O_WRONLY));
	TRY("open O_PATH", open(path, O_PATH));
	TRY("open O_DIRECTORY", open(path, O_RDONLY | O_DIRECTORY));
	TRY("create", open(path, O_WRONLY | O_CREAT, 0666));
	TRY("create anew", open(path, O_WRONLY | O_CREAT | O_EXCL, 0666));
	TRY("create and cut", open(path, O_RDONLY | O_CREAT | O_TRUNC, 0666));
	TRY("temporary", open(path, O_RDWR | O_TMPFILE, 0666));
	TRY("openat", openat(folder, path, O_RDONLY));
	TRY("creat", creat(path, 0666));
	TRY("stat", stat(path, &st));
	TRY("lstat", lstat(path, &st));
	TRY("access", access(path, F_OK));
	TRY("access for writing", access(path, W_OK));
	TRY("readlink", readlink(path, buffer, sizeof buffer));
	TRY("truncate", truncate(path, 0));
	TRY("chdir", chdir(path));
	TRY("mkdir", mkdir(path, 0777));
	TRY("mkdirat", mkdirat(folder, path, 0777));
	TRY("chmod", chmod(path, 0777));
	TRY("chown", chown(path, 0, 0));
	TRY("lchown", lchown(path, 1234, 1234));
	TRY("utimes", utimensat(folder, path, 0, 0));
	TRY("link's utimes", utimensat(folder, path, 0, AT_SYMLINK_NOFOLLOW));
	TRY("rename away", rename(path, "taken"));
	TRY("rename there", rename("mine", path));
	TRY("exchange", syscall(SYS_renameat2, folder, "mine", folder, path, 2));
	TRY("link there", link("mine", path));
	TRY("link away", link(path, "taken"));
	TRY("followed link away",
	    linkat(folder, path, folder, "taken", AT_SYMLINK_FOLLOW));
	TRY("symlink there", symlink("mine", path));
	TRY("symlink to it, followed", open_by_link(path));
	TRY("unlink", unlink(path));
	TRY("unlinkat", unlinkat(folder, path, AT_REMOVEDIR));
	TRY("rmdir", rmdir(path));
	TRY("mine is there still", access("mine", F_OK));
	close(folder);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		printf("path %d\n", i);
		try_all(argv[i]);
	}
	return 0;
}
