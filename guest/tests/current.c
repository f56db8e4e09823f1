/*
 * current.c: the current folder is a folder, and no name: it is renamed, it is
 * removed, there is another of its name, and what held it is removed too; by
 * descriptors of folders as well.
 *
 * current.c saved: it is renamed, then it is removed, each across SAVE().
 *
 * current.c host: somebody else takes it away, and brings it back, each while
 * the program is in SAVE().
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "scratchvm.h"
#include "show.h"

static struct stat st;
static char buffer[4096];

static void touch(const char *path)
{
	SHOW(close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644)));
}

/* Where it is, by all that tell. */
static void where(void)
{
	long n;

	errno = 0;
	n = syscall(SYS_getcwd, buffer, sizeof buffer);
	printf("getcwd: %s %d\n", n < 0 ? "-1" : buffer, n < 0 ? errno : 0);
	n = readlink("/proc/self/cwd", buffer, sizeof buffer - 1);
	printf("link: %.*s\n", (int)n, buffer);
}

/* What is to be told of a folder that was removed. */
static void removed(void)
{
	int fd;

	where();
	SHOW(stat(".", &st));
	SHOW(st.st_nlink);
	SHOW(stat("./.", &st));
	SHOW(lstat("./", &st));
	SHOW(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	SHOW(stat("f", &st));
	SHOW(stat("./f", &st));
	SHOW(stat("...", &st));
	SHOW(open("f", O_RDWR | O_CREAT, 0644));
	SHOW(mkdir("x", 0755));
	SHOW(symlink("a", "b"));
	SHOW(rename("../g", "g"));
	SHOW(link("../g", "h"));
	SHOW(unlink("f"));
	SHOW(rmdir("f"));
	SHOW(truncate("f", 0));
	SHOW(chmod("f", 0600));
	SHOW(access("f", F_OK));
	SHOW(readlink("f", buffer, 10));
	SHOW(getxattr("f", "user.a", buffer, 10));
	SHOW(access(".", R_OK));
	SHOW(open("", O_RDONLY));
	SHOW(stat("f/../..", &st));
	SHOW_OK(fd = open(".", O_RDONLY | O_DIRECTORY));
	SHOW(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
	SHOW(close(fd));
	SHOW_OK(fd = open("/proc/self/cwd", O_RDONLY));
	SHOW(close(fd));
	SHOW(stat("/proc/self/cwd", &st));
	SHOW(st.st_nlink);
	SHOW(stat("/proc/self/cwd/f", &st));
	SHOW(chdir("."));
	SHOW(chdir("/proc/self/cwd"));
	where();
	SHOW(stat("..", &st));
	SHOW(stat("./../", &st));
	SHOW(stat("../g", &st));
	SHOW(stat("../none/../g", &st));
	SHOW(rename("../g", ".././/g2"));
	SHOW(rename("..//g2", "../g"));
	SHOW(mkdir("..", 0755));
}

static void renamed(void)
{
	SHOW(mkdir("d", 0755));
	SHOW(chdir("d"));
	touch("f");
	where();
	SHOW(rename("../d", "../e"));
	where();
	touch("g");
	SHOW(stat("../e/g", &st));
	SHOW(stat("../d", &st));
	SHOW(stat("/proc/self/cwd/f", &st));
	/* Another takes the name that it had. */
	SHOW(mkdir("../d", 0700));
	SHOW(stat("f", &st));
	SHOW(stat("../d/f", &st));
	SHOW(mkdir("in", 0755));
	SHOW(chdir("in"));
	/* What holds it is renamed, and goes elsewhere. */
	SHOW(rename("../../e", "../../d/moved"));
	where();
	SHOW(stat("../f", &st));
	SHOW(chdir("../.."));
	where();
	/* A folder may have the name that one that was removed is shown by. */
	SHOW(mkdir("n (deleted)", 0755));
	SHOW(chdir("n (deleted)"));
	where();
	touch("f");
	SHOW(stat("../n (deleted)/f", &st));
	SHOW(chdir("../.."));
	where();
}

static void saved(void)
{
	SHOW(mkdir("d", 0755));
	SHOW(chdir("d"));
	SHOW(rename("../d", "../e"));
	fflush(stdout);
	SAVE();
	where();
	touch("f");
	SHOW(unlink("../e/f"));
	SHOW(rename("../e", "../d"));
	where();
	SHOW(rmdir("../d"));
	fflush(stdout);
	SAVE();
	where();
	touch("../f");
	SHOW(mkdir("../d", 0755));
	where();
	SHOW(open("f", O_RDWR | O_CREAT, 0644));
	SHOW(stat("../d", &st));
	SHOW(unlink("../f"));
	fflush(stdout);
	SAVE();
	where();
	SHOW(open("f", O_RDWR | O_CREAT, 0644));
	SHOW(chdir(".."));
	where();
	SHOW(rmdir("d"));
}

static void moved(void)
{
	SHOW(mkdir("d", 0755));
	SHOW(chdir("d"));
	touch("f");
	for (int i = 0; i < 3; i++) {
		fflush(stdout);
		SAVE();
		SHOW(stat(".", &st));
		SHOW(stat("..", &st));
		SHOW(stat("f", &st));
		SHOW_OK(open("f", O_RDONLY));
		SHOW_OK(open(".", O_RDONLY));
		SHOW_OK(open("/proc/self/cwd/f", O_RDONLY));
		SHOW_OK(open("new", O_WRONLY | O_CREAT, 0644));
		SHOW(chdir("."));
	}
}

static void below(int fd)
{
	SHOW(fstatat(fd, "f", &st, 0));
	SHOW(fstatat(fd, ".", &st, AT_SYMLINK_NOFOLLOW));
	SHOW(st.st_nlink);
	SHOW(fstatat(fd, "..", &st, 0));
	SHOW(fstatat(fd, "../g", &st, 0));
	SHOW(openat(fd, "f", O_RDWR | O_CREAT, 0644));
	SHOW(mkdirat(fd, "x", 0755));
	SHOW(fchdir(fd));
	where();
	SHOW(openat(fd, "f", O_RDWR | O_CREAT, 0644));
}

int main(int argc, char **argv)
{
	int fd, path_fd;

	if (argc > 1) {
		if (strcmp(argv[1], "saved") == 0)
			saved();
		else
			moved();
		return 0;
	}
	SHOW(mkdir("p", 0755));
	SHOW(chdir("p"));
	renamed();
	touch("g");
	SHOW(mkdir("gone", 0755));
	SHOW(fd = open("gone", O_RDONLY | O_DIRECTORY));
	SHOW(path_fd = open("gone", O_PATH));
	SHOW(chdir("gone"));
	SHOW(rmdir("../gone"));
	removed();
	SHOW(mkdir("../gone", 0755));
	touch("../gone/f");
	SHOW(mkdir("../gone (deleted)", 0755));
	touch("../gone (deleted)/f");
	removed();
	below(fd);
	below(path_fd);
	SHOW(chdir(".."));
	where();
	SHOW(chdir("gone"));
	SHOW(fchdir(fd));
	where();
	SHOW(unlink("../gone/f"));
	SHOW(rmdir("../gone"));
	SHOW(unlink("../gone (deleted)/f"));
	SHOW(rmdir("../gone (deleted)"));
	/* What held it is renamed. */
	SHOW(rename("../../p", "../../q"));
	where();
	SHOW(stat("../g", &st));
	SHOW(chdir(".."));
	where();
	/* And removed, too. */
	SHOW(mkdir("o", 0755));
	SHOW(mkdir("o/i", 0755));
	SHOW(chdir("o/i"));
	SHOW(rmdir("../i"));
	SHOW(rmdir("../../o"));
	where();
	SHOW(stat("../../g", &st));
	SHOW(stat("../i", &st));
	SHOW(chdir("../.."));
	where();
	/* Folders of the system's. */
	SHOW(chdir("/proc/self"));
	SHOW(stat("status", &st));
	SHOW(chdir("../../proc"));
	where();
	SHOW(stat("self/cwd/self/status", &st));
	return 0;
}
