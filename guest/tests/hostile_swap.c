/*
 * hostile_swap swap | use ROUNDS: a folder and a file change names again and
 * again with links that lead out ("swap", natively, until it is ended), while
 * another program makes every call on paths with their names ("use"). It says
 * how often it was let in, and how often not.
 */
#define _GNU_SOURCE
#include "hostile_canary.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static long let_in, refused, left;

static void count(long result)
{
	if (result < 0)
		refused++;
	else
		let_in++;
}

static void swap(void)
{
	mkdir("folder", 0755);
	close(creat("folder/canary", 0644));
	close(creat("file", 0644));
	symlink("../folder", "out-folder");
	symlink("../canary", "out-file");
	for (;;) {
		syscall(SYS_renameat2, AT_FDCWD, "folder", AT_FDCWD,
			"out-folder", 2);
		syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "out-file",
			2);
	}
}

static void look(int fd)
{
	count(fd);
	if (fd < 0)
		return;
	left += canaries_at(fd);
	write(fd, "dead", 4);
	ftruncate(fd, 1);
	close(fd);
}

static void use(void)
{
	struct stat st;
	char target[64];

	look(open("folder/canary", O_RDWR));
	look(open("file", O_RDWR | O_CREAT, 0644));
	look(open("file", O_RDWR | O_TRUNC));
	look(open("folder/new", O_RDWR | O_CREAT, 0644));
	int folder = open("folder", O_RDONLY | O_DIRECTORY);

	count(folder);
	if (folder >= 0) {
		look(openat(folder, "canary", O_RDWR));
		look(openat(folder, "../canary", O_RDWR));
		close(folder);
	}
	if (stat("folder/canary", &st) == 0)
		left += st.st_size == sizeof hidden_canary;
	if (stat("file", &st) == 0)
		left += st.st_size == sizeof hidden_canary;
	count(truncate("folder/canary", 0));
	count(truncate("file", 0));
	count(chmod("folder/canary", 0600));
	count(chmod("file", 0600));
	count(chown("folder/canary", 1, 1));
	count(mkdir("folder/made", 0755));
	count(rmdir("folder/made"));
	count(symlink("canary", "folder/made"));
	count(readlink("folder/made", target, sizeof target));
	count(link("folder/canary", "linked"));
	look(open("linked", O_RDWR));
	count(unlink("linked"));
	count(link("file", "folder/linked"));
	count(unlink("folder/linked"));
	count(rename("folder/canary", "taken"));
	look(open("taken", O_RDWR));
	count(rename("taken", "folder/canary"));
	count(unlink("folder/canary"));
	count(setxattr("folder/canary", "user.x", "x", 1, 0));
	count(utimensat(AT_FDCWD, "folder/canary", 0, 0));
	count(mknod("folder/made", S_IFREG | 0644, 0));
	count(unlink("folder/made"));
	count(unlink("folder/new"));
	close(open("folder/canary", O_CREAT | O_WRONLY, 0644));
	count(chdir("folder"));
	look(open("canary", O_RDWR));
	look(open("../canary", O_RDWR));
	chdir("..");
}

int main(int argc, char **argv)
{
	char home[4096];

	if (argc > 1 && strcmp(argv[1], "swap") == 0)
		swap();
	if (argc != 3 || !getcwd(home, sizeof home))
		return 2;
	for (long n = atol(argv[2]); n > 0; n--) {
		use();
		chdir(home);
	}
	printf("%ld let in, %ld refused, %ld left\n", let_in, refused, left);
	return 0;
}
