/*
 * escape.c PATH… : tries each call that takes a path on each PATH, then to take
 * a file of its own ("mine") there; prints what came of it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

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

/* openat2, which no libc has: as struct open_how of <linux/openat2.h>. */
static long open_how(int folder, const char *path, unsigned long flags)
{
	unsigned long how[3] = { flags, flags & O_CREAT ? 0666 : 0, 0 };

	return syscall(SYS_openat2, folder, path, how, sizeof how);
}

/* Each call on extended attributes that takes a path. */
static void try_attributes(const char *path)
{
	char buffer[4096];

	TRY("getxattr", getxattr(path, "user.a", buffer, sizeof buffer));
	TRY("lgetxattr", lgetxattr(path, "user.a", buffer, sizeof buffer));
	TRY("setxattr", setxattr(path, "user.a", "b", 1, 0));
	TRY("lsetxattr", lsetxattr(path, "user.a", "b", 1, 0));
	TRY("listxattr", listxattr(path, buffer, sizeof buffer));
	TRY("llistxattr", llistxattr(path, buffer, sizeof buffer));
	TRY("removexattr", removexattr(path, "user.a"));
	TRY("lremovexattr", lremovexattr(path, "user.a"));
}

static void try_all(const char *path)
{
	char buffer[4096];
	char *const args[] = { "escape", 0 };
	char *const environment[] = { 0 };
	struct stat st;
	struct statx stx;
	struct statfs stfs;
	int folder = open(".", O_RDONLY);
	int watch = inotify_init1(IN_NONBLOCK);

	TRY("open", open(path, O_RDONLY));
	TRY("open for writing", open(path, O_WRONLY));
	TRY("open O_PATH", open(path, O_PATH));
	TRY("open O_DIRECTORY", open(path, O_RDONLY | O_DIRECTORY));
	TRY("create", open(path, O_WRONLY | O_CREAT, 0666));
	TRY("create anew", open(path, O_WRONLY | O_CREAT | O_EXCL, 0666));
	TRY("create and cut", open(path, O_RDONLY | O_CREAT | O_TRUNC, 0666));
	TRY("temporary", open(path, O_RDWR | O_TMPFILE, 0666));
	TRY("openat", openat(folder, path, O_RDONLY));
	TRY("openat2", open_how(folder, path, O_RDONLY));
	TRY("openat2 to create", open_how(folder, path, O_RDWR | O_CREAT));
	TRY("creat", creat(path, 0666));
	TRY("stat", syscall(SYS_stat, path, &st));
	TRY("lstat", syscall(SYS_lstat, path, &st));
	TRY("newfstatat", syscall(SYS_newfstatat, folder, path, &st, 0));
	TRY("statx", statx(folder, path, 0, STATX_BASIC_STATS, &stx));
	TRY("link's statx",
	    statx(folder, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx));
	TRY("statfs", statfs(path, &stfs));
	TRY("access", access(path, F_OK));
	TRY("access for writing", access(path, W_OK));
	TRY("faccessat", syscall(SYS_faccessat, folder, path, R_OK));
	TRY("faccessat2", syscall(SYS_faccessat2, folder, path, R_OK, 0));
	TRY("readlink", readlink(path, buffer, sizeof buffer));
	TRY("readlinkat", readlinkat(folder, path, buffer, sizeof buffer));
	TRY("watch", inotify_add_watch(watch, path, IN_ALL_EVENTS));
	TRY("execve", execve(path, args, environment));
	TRY("execveat",
	    syscall(SYS_execveat, folder, path, args, environment, 0));
	try_attributes(path);
	TRY("truncate", truncate(path, 0));
	TRY("chdir", chdir(path));
	TRY("mkdir", mkdir(path, 0777));
	TRY("mkdirat", mkdirat(folder, path, 0777));
	TRY("mknod", mknod(path, S_IFIFO | 0666, 0));
	TRY("mknodat", mknodat(folder, path, S_IFREG | 0666, 0));
	TRY("chmod", chmod(path, 0777));
	TRY("fchmodat", syscall(SYS_fchmodat, folder, path, 0777));
	TRY("chown", chown(path, 0, 0));
	TRY("lchown", lchown(path, 1234, 1234));
	TRY("fchownat", fchownat(folder, path, 0, 0, 0));
	TRY("utimes", utimensat(folder, path, 0, 0));
	TRY("link's utimes", utimensat(folder, path, 0, AT_SYMLINK_NOFOLLOW));
	TRY("utime", syscall(SYS_utime, path, 0));
	TRY("utimes of old", syscall(SYS_utimes, path, 0));
	TRY("futimesat", syscall(SYS_futimesat, folder, path, 0));
	TRY("rename away", rename(path, "taken"));
	TRY("renameat away", renameat(folder, path, folder, "taken"));
	TRY("rename there", rename("mine", path));
	TRY("renameat there", renameat(folder, "mine", folder, path));
	TRY("renameat2 away",
	    syscall(SYS_renameat2, folder, path, folder, "taken", 1));
	TRY("exchange", syscall(SYS_renameat2, folder, "mine", folder, path, 2));
	TRY("exchange away",
	    syscall(SYS_renameat2, folder, path, folder, "mine", 2));
	TRY("link there", link("mine", path));
	TRY("linkat there", linkat(folder, "mine", folder, path, 0));
	TRY("link away", link(path, "taken"));
	TRY("followed link away",
	    linkat(folder, path, folder, "taken", AT_SYMLINK_FOLLOW));
	TRY("symlink there", symlink("mine", path));
	TRY("symlinkat there", symlinkat("mine", folder, path));
	TRY("symlink to it, followed", open_by_link(path));
	TRY("unlink", unlink(path));
	TRY("unlinkat", unlinkat(folder, path, 0));
	TRY("unlinkat of a folder", unlinkat(folder, path, AT_REMOVEDIR));
	TRY("rmdir", rmdir(path));
	TRY("mine is there still", access("mine", F_OK));
	close(watch);
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
