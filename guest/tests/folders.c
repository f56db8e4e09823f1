/*
 * folders.c: folders and names: getdents64 with small buffers, mkdir, rmdir,
 * rename, unlink, link, symlink, readlink, chdir, getcwd, and paths at their bounds.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, path, strlen(path)) < 0)
		perror(path);
	close(fd);
}

struct entry {
	unsigned long ino, off;
	unsigned short length;
	unsigned char type;
	char name[];
};

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Reads a folder through a buffer of `size`; prints its entries in order. */
static void list(const char *path, size_t size)
{
	static char names[64][300];
	char *buffer = malloc(size);
	int fd = open(path, O_RDONLY | O_DIRECTORY);
	int count = 0;
	long n;

	while ((n = syscall(SYS_getdents64, fd, buffer, size)) > 0)
		for (long at = 0; at < n && count < 64;) {
			struct entry *e = (void *)(buffer + at);

			snprintf(names[count++], sizeof *names, "%s %d",
				 e->name, e->type);
			at += e->length;
		}
	printf("list %s by %zu: end %ld %d\n", path, size, n,
	       n < 0 ? errno : 0);
	qsort(names, (size_t)count, sizeof *names, by_text);
	for (int i = 0; i < count; i++)
		printf("  %s\n", names[i]);
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(syscall(SYS_getdents64, fd, buffer, size) > 0);
	close(fd);
	free(buffer);
}

static void listing(void)
{
	char buffer[100];
	int fd;

	SHOW(mkdir("many", 0755));
	for (int i = 0; i < 20; i++) {
		char name[40];

		snprintf(name, sizeof name, "many/file-%d", i);
		touch(name);
	}
	SHOW(mkdir("many/sub", 0700));
	list("many", 32768);
	list("many", 64);
	list("many", 20);
	fd = open("many", O_RDONLY);
	SHOW(syscall(SYS_getdents64, fd, buffer, 0));
	SHOW(syscall(SYS_getdents64, fd, buffer, 10));
	SHOW(syscall(SYS_getdents64, fd, 0x1000, 32768));
	SHOW(syscall(SYS_getdents64, fd, -8, 32768));
	SHOW(syscall(SYS_getdents64, fd, buffer, 100) > 0);
	SHOW(close(fd));
	fd = open("many/file-1", O_RDONLY);
	SHOW(syscall(SYS_getdents64, fd, buffer, 100));
	SHOW(syscall(SYS_getdents64, 99, buffer, 100));
	SHOW(syscall(SYS_getdents64, 1, buffer, 100));
	SHOW(close(fd));
	/* A folder that is gone while it is open. */
	SHOW(mkdir("gone", 0755));
	fd = open("gone", O_RDONLY);
	SHOW(rmdir("gone"));
	SHOW(syscall(SYS_getdents64, fd, buffer, 100));
	SHOW(openat(fd, "x", O_WRONLY | O_CREAT, 0644));
	SHOW(close(fd));
}

static void making(void)
{
	struct stat st;

	touch("file");
	SHOW(mkdir("d", 0777));
	SHOW(stat("d", &st));
	SHOW(st.st_mode);
	SHOW(mkdir("d", 0777));
	SHOW(mkdir("file", 0777));
	SHOW(mkdir("", 0777));
	SHOW(mkdir(".", 0777));
	SHOW(mkdir("d/.", 0777));
	SHOW(mkdir("d/..", 0777));
	SHOW(mkdir("none/.", 0777));
	SHOW(mkdir("none/d", 0777));
	SHOW(mkdir("file/d", 0777));
	SHOW(mkdir("d/slash/", 0777));
	SHOW(mkdir("d/slashes///", 07777));
	SHOW(stat("d/slashes", &st));
	SHOW(st.st_mode);
	SHOW(mkdir("d//double", 0));
	SHOW(mkdirat(99, "x", 0777));
	SHOW(umask(077));
	SHOW(mkdir("private", 0777));
	SHOW(stat("private", &st));
	SHOW(st.st_mode);
	SHOW(umask(-1));
	SHOW(umask(022));
	SHOW(open("d", O_WRONLY));
	SHOW(open("d", O_RDONLY | O_CREAT, 0644));
	SHOW(open("d/", O_WRONLY | O_CREAT, 0644));
	SHOW(open("new/", O_WRONLY | O_CREAT, 0644));
	SHOW(open("file/", O_RDONLY));
	SHOW(open("file/.", O_RDONLY));
	SHOW(open("file/..", O_RDONLY));
	SHOW(open("none/../file", O_RDONLY));
	SHOW(open("d/../file", O_RDONLY) >= 0);
	SHOW(open("./d//.././/file", O_RDONLY) >= 0);
	SHOW(open("d/./", O_RDONLY) >= 0);
	SHOW(stat("file/", &st));
	SHOW(lstat("file/", &st));
	SHOW(lstat("d/", &st));
	SHOW(lstat("", &st));
	SHOW(stat("none/", &st));
	SHOW(access("d/", F_OK));
	SHOW(access("file/", F_OK));
	SHOW(creat("created", 06755) >= 0);
	SHOW(stat("created", &st));
	SHOW(st.st_mode);
	SHOW(open("created", O_WRONLY | O_CREAT | O_EXCL, 0644));
	SHOW(open("d", O_RDONLY | O_CREAT | O_EXCL, 0644));
	SHOW(open("file", O_RDONLY | O_DIRECTORY));
	SHOW(open("d", O_RDWR | O_TRUNC));
	SHOW(open("d", O_RDONLY | O_CREAT | O_DIRECTORY, 0644));
}

static void renaming(void)
{
	touch("r1");
	touch("r2");
	SHOW(rename("r1", "r1"));
	SHOW(rename("r1", "r3"));
	SHOW(rename("r1", "r4"));
	SHOW(rename("r2", "r3"));
	SHOW(rename("r3", "d"));
	SHOW(rename("d", "r3"));
	SHOW(mkdir("e", 0755));
	SHOW(mkdir("e/full", 0755));
	SHOW(rename("e", "d"));
	SHOW(rename("private", "e"));
	SHOW(rename("private", "e/full"));
	SHOW(rename("e", "e/full/below"));
	SHOW(rename("e", "e"));
	SHOW(rename("e", "moved/"));
	SHOW(rename("moved", "e"));
	SHOW(rename("r3", "r5/"));
	SHOW(rename("r3/", "r5"));
	SHOW(rename(".", "x"));
	SHOW(rename("e", "."));
	SHOW(rename("e/..", "x"));
	SHOW(rename("", "x"));
	SHOW(rename("e", ""));
	SHOW(rename("r3", "none/x"));
	SHOW(rename("r3", "file/x"));
	SHOW(syscall(SYS_renameat2, AT_FDCWD, "r3", AT_FDCWD, "file", 1));
	SHOW(syscall(SYS_renameat2, AT_FDCWD, "r3", AT_FDCWD, "file", 2));
	SHOW(syscall(SYS_renameat2, AT_FDCWD, "r3", AT_FDCWD, "none", 2));
	SHOW(syscall(SYS_renameat2, AT_FDCWD, "r3", AT_FDCWD, "file", 3));
	SHOW(syscall(SYS_renameat2, AT_FDCWD, "r3", AT_FDCWD, "file", 64));
	SHOW(syscall(SYS_renameat2, 99, "r3", AT_FDCWD, "file", 0));
	SHOW(renameat(AT_FDCWD, "r3", 99, "file"));
}

static void removing(void)
{
	SHOW(unlink("none"));
	SHOW(unlink("d"));
	SHOW(unlink("d/"));
	SHOW(unlink("file/"));
	SHOW(unlink("file/x"));
	SHOW(unlink(""));
	SHOW(unlink("."));
	SHOW(unlink("e/.."));
	SHOW(unlink("d/."));
	SHOW(rmdir("none"));
	SHOW(rmdir("file"));
	SHOW(rmdir("file/"));
	SHOW(rmdir("e"));
	SHOW(rmdir("e/."));
	SHOW(rmdir("e/.."));
	SHOW(rmdir("."));
	SHOW(rmdir(""));
	SHOW(rmdir("d/slash/"));
	SHOW(unlinkat(AT_FDCWD, "d/slashes", AT_REMOVEDIR));
	SHOW(unlinkat(AT_FDCWD, "file", 1));
	SHOW(unlinkat(99, "file", 0));
	SHOW(unlinkat(AT_FDCWD, "created", 0));
}

static void linked(void)
{
	char buffer[4096];
	struct stat st;

	/* The folder came with these (the test made them). */
	SHOW(readlink("to-file", buffer, sizeof buffer));
	SHOW(readlink("to-file", buffer, 3));
	printf("%.3s\n", buffer);
	SHOW(readlink("to-file", buffer, 0));
	SHOW(syscall(SYS_readlink, "to-file", buffer, -1));
	SHOW(readlink("to-file", (void *)0x1000, 10));
	SHOW(readlink("to-file/", buffer, 10));
	SHOW(readlink("to-folder/", buffer, 10));
	SHOW(readlink("to-none/", buffer, 10));
	SHOW(readlink("to-self/", buffer, 10));
	SHOW(readlink("to-folder//", buffer, 10));
	SHOW(readlink("to-folder/.", buffer, 10));
	SHOW(readlink("given/", buffer, 10));
	SHOW(readlink("none/", buffer, 10));
	SHOW(readlink("given", buffer, 10));
	SHOW(readlink("none", buffer, 10));
	SHOW(readlink("", buffer, 10));
	SHOW(readlink(".", buffer, 10));
	SHOW(open("to-file", O_RDONLY) >= 0);
	SHOW(open("to-file", O_RDONLY | O_NOFOLLOW));
	SHOW(open("to-folder/inside", O_RDONLY) >= 0);
	SHOW(open("to-folder", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
	SHOW(open("to-none", O_RDONLY));
	SHOW(open("to-none", O_WRONLY | O_CREAT | O_EXCL, 0644));
	SHOW(open("to-self", O_RDONLY));
	SHOW(open("to-file/x", O_RDONLY));
	SHOW(stat("to-file", &st));
	SHOW(st.st_mode);
	SHOW(lstat("to-file", &st));
	SHOW(st.st_mode);
	SHOW(lstat("to-folder/", &st));
	SHOW(st.st_mode);
	SHOW(stat("to-none", &st));
	SHOW(stat("to-self", &st));
	SHOW(lstat("to-self", &st));
	SHOW(access("to-none", F_OK));
	SHOW(mkdir("to-none", 0755));
	SHOW(mkdir("to-none/", 0755));
	SHOW(rmdir("to-folder"));
	SHOW(rmdir("to-folder/"));
	SHOW(chdir("to-folder"));
	SHOW(strcmp(strrchr(getcwd(buffer, sizeof buffer), '/'), "/given-d"));
	SHOW(open("../given", O_RDONLY) >= 0);
	SHOW(chdir(".."));
	SHOW(chdir("to-file"));
	SHOW(chdir("to-self"));
	SHOW(rename("to-file", "renamed-link"));
	SHOW(unlink("to-folder/"));
	SHOW(unlink("to-folder"));
	SHOW(unlink("renamed-link"));
	SHOW(access("given", F_OK));
}

static void current(void)
{
	char buffer[PATH_MAX], start[PATH_MAX];
	int fd;

	SHOW(getcwd(start, sizeof start) != 0);
	SHOW(chdir("e"));
	SHOW(strcmp(getcwd(buffer, sizeof buffer) + strlen(start), "/e"));
	SHOW(syscall(SYS_getcwd, buffer, 1));
	SHOW(syscall(SYS_getcwd, buffer, 0));
	SHOW(syscall(SYS_getcwd, buffer, strlen(start) + 2));
	SHOW(syscall(SYS_getcwd, buffer, strlen(start) + 3) ==
	     (long)strlen(start) + 3);
	SHOW(syscall(SYS_getcwd, 0x1000, 4096));
	SHOW(syscall(SYS_getcwd, 0x1000, 1));
	SHOW(syscall(SYS_getcwd, buffer, -1) > 0);
	SHOW(chdir("full/../full"));
	SHOW(strcmp(getcwd(buffer, sizeof buffer) + strlen(start), "/e/full"));
	SHOW(chdir("../.."));
	SHOW(strcmp(getcwd(buffer, sizeof buffer), start));
	SHOW(chdir(""));
	SHOW(chdir("none"));
	SHOW(chdir("file"));
	SHOW(chdir("./"));
	SHOW(chdir(start));
	fd = open("e", O_RDONLY | O_DIRECTORY);
	SHOW(fchdir(fd));
	SHOW(strcmp(getcwd(buffer, sizeof buffer) + strlen(start), "/e"));
	SHOW(openat(fd, "../file", O_RDONLY) >= 0);
	SHOW(openat(fd, "", O_RDONLY));
	SHOW(fchdir(99));
	SHOW(fchdir(1));
	SHOW(chdir(start));
	SHOW(close(fd));
	fd = open("file", O_RDONLY);
	SHOW(fchdir(fd));
	SHOW(openat(fd, "x", O_RDONLY));
	SHOW(close(fd));
	/* A folder that is gone while it is the current one. */
	SHOW(mkdir("away", 0755));
	SHOW(chdir("away"));
	SHOW(rmdir("../away"));
	SHOW(syscall(SYS_getcwd, buffer, sizeof buffer));
	SHOW(open("x", O_WRONLY | O_CREAT, 0644));
	SHOW(mkdir("x", 0755));
	SHOW(chdir(start));
}

static void bounds(void)
{
	static char path[8192], buffer[10];
	struct stat st;

	memset(path, 'n', 255);
	path[255] = 0;
	SHOW(open(path, O_WRONLY | O_CREAT, 0644) >= 0);
	SHOW(stat(path, &st));
	SHOW(unlink(path));
	SHOW(mkdir(path, 0755));
	SHOW(rmdir(path));
	path[255] = 'n';
	path[256] = 0;
	SHOW(open(path, O_WRONLY | O_CREAT, 0644));
	SHOW(stat(path, &st));
	SHOW(mkdir(path, 0755));
	SHOW(unlink(path));
	SHOW(rename("file", path));
	SHOW(rename(path, "file"));
	SHOW(access(path, F_OK));
	SHOW(chdir(path));
	/* 4095 bytes are a path, 4096 are too many. */
	for (int i = 0; i < 4090; i += 2)
		memcpy(path + i, "./", 2);
	strcpy(path + 4091 - 1, "/file");
	SHOW(strlen(path));
	SHOW(stat(path, &st));
	SHOW(open(path, O_RDONLY) >= 0);
	strcpy(path + 4091 - 1, "//file");
	SHOW(strlen(path));
	SHOW(stat(path, &st));
	SHOW(open(path, O_RDONLY));
	SHOW(mkdir(path, 0755));
	SHOW(rename(path, "x"));
	SHOW(unlink(path));
	SHOW(chdir(path));
	SHOW(readlink(path, buffer, 10));
	/* The same, through a folder. */
	for (int i = 0; i < 4090; i += 5)
		memcpy(path + i, "e/../", 5);
	strcpy(path + 4090, ".file" + 1);
	SHOW(strlen(path));
	SHOW(stat(path, &st));
	SHOW(chdir("e"));
	memcpy(path, "../", 3);
	for (int i = 3; i < 4083; i += 5)
		memcpy(path + i, "e/../", 5);
	strcpy(path + 4083, "file");
	SHOW(strlen(path));
	SHOW(stat(path, &st));
	SHOW(chdir(".."));
	SHOW(stat("file\xff\xfe", &st));
	SHOW(open("bytes\xff\xfe", O_WRONLY | O_CREAT, 0644) >= 0);
	SHOW(stat("bytes\xff\xfe", &st));
	SHOW(mkdir("new\nline", 0755));
	SHOW(chdir("new\nline"));
	touch("\303\244");
	SHOW(chdir(".."));
	SHOW(unlink("bytes\xff\xfe"));
}

static void linking(void)
{
	static char longest[PATH_MAX + 1];
	char buffer[100];
	struct stat st;
	int folder = open("given-d", O_RDONLY), fd;

	SHOW(symlink("given", "s"));
	SHOW(readlink("s", buffer, sizeof buffer));
	SHOW(symlink("given", "s"));
	SHOW(symlink("given", "given"));
	SHOW(symlink("given", "given-d"));
	SHOW(symlink("given", "given-d/"));
	SHOW(symlink("given", "new/"));
	SHOW(symlink("given", "none/s"));
	SHOW(symlink("given", "given/s"));
	SHOW(symlink("", "s2"));
	SHOW(symlink("given", ""));
	SHOW(symlink("given", "."));
	SHOW(symlink("given", "given-d/.."));
	SHOW(symlink("given", "to-none"));
	SHOW(symlink("given", "to-none/"));
	SHOW(symlink((char *)0x1000, "s2"));
	SHOW(symlink("given", (char *)0x1000));
	SHOW(symlink("", (char *)0x1000));
	memset(longest, 'x', PATH_MAX);
	SHOW(symlink(longest, "s2"));
	longest[PATH_MAX - 1] = 0;
	SHOW(symlink(longest, "s2"));
	SHOW(lstat("s2", &st));
	SHOW(st.st_size);
	SHOW(symlinkat("inside", folder, "s"));
	SHOW(symlinkat("not/there\303\244\n", folder, "s2"));
	SHOW(symlinkat("inside", 99, "s3"));
	SHOW(symlinkat("inside", 1, "s3"));
	SHOW(readlinkat(folder, "s2", buffer, sizeof buffer));
	SHOW(open("given-d/s", O_RDONLY) >= 0);
	SHOW(open("s", O_RDONLY) >= 0);

	touch("hard");
	SHOW(link("hard", "hard2"));
	SHOW(stat("hard2", &st));
	SHOW(st.st_nlink);
	SHOW(link("hard", "hard2"));
	SHOW(link("hard", "given-d"));
	SHOW(link("hard", "given-d/hard"));
	SHOW(link("none", "hard3"));
	SHOW(link("given-d", "hard3"));
	SHOW(link("given-d/", "hard3"));
	SHOW(link("hard/", "hard3"));
	SHOW(link("hard", "hard3/"));
	SHOW(link("hard", "none/hard3"));
	SHOW(link("hard", "given/hard3"));
	SHOW(link("", "hard3"));
	SHOW(link("hard", ""));
	SHOW(link("hard", "."));
	SHOW(link(".", "hard3"));
	SHOW(link((char *)0x1000, "hard3"));
	SHOW(link("hard", (char *)0x1000));
	/* Of a symbolic link: itself, unless it is to be followed. */
	SHOW(link("s", "hard-s"));
	SHOW(lstat("hard-s", &st));
	SHOW(S_ISLNK(st.st_mode));
	SHOW(link("s/", "hard3"));
	SHOW(link("to-none", "hard-none"));
	SHOW(linkat(AT_FDCWD, "s", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
	SHOW(lstat("followed", &st));
	SHOW(S_ISREG(st.st_mode));
	SHOW(linkat(AT_FDCWD, "to-none", AT_FDCWD, "hard3", AT_SYMLINK_FOLLOW));
	SHOW(linkat(AT_FDCWD, "to-self", AT_FDCWD, "hard3", AT_SYMLINK_FOLLOW));
	SHOW(linkat(folder, "inside", AT_FDCWD, "hard4", 0));
	SHOW(linkat(AT_FDCWD, "hard", folder, "hard5", 0));
	SHOW(linkat(99, "hard", AT_FDCWD, "hard6", 0));
	SHOW(linkat(AT_FDCWD, "hard", 99, "hard6", 0));
	SHOW(linkat(1, "hard", AT_FDCWD, "hard6", 0));
	SHOW(linkat(AT_FDCWD, "hard", AT_FDCWD, "hard6", 1));
	SHOW(linkat(AT_FDCWD, "hard", AT_FDCWD, "hard6", 0x100));
	/* One file under both names. */
	fd = open("hard2", O_WRONLY | O_APPEND);
	SHOW(write(fd, " more", 5));
	SHOW(close(fd));
	SHOW(rename("hard", "hard2"));
	SHOW(unlink("hard"));
	SHOW(stat("hard2", &st));
	SHOW(st.st_size);
	SHOW(st.st_nlink);
	SHOW(close(folder));
}

int main(void)
{
	listing();
	making();
	renaming();
	removing();
	linking();
	linked();
	current();
	bounds();
	return 0;
}
