/*
 * resolve.c: openat2 with RESOLVE_*, among files of its own folder and those of
 * /proc and /dev. The links a/around and absolute, which lead up and to a/link,
 * are there before.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

/* linux/openat2.h, which not every libc comes with. */
struct how {
	uint64_t flags, mode, resolve;
};

enum { NO_XDEV = 1, NO_MAGIC = 2, NO_LINKS = 4, BENEATH = 8, IN_ROOT = 16,
       CACHED = 32 };

static char folder[4096];

static int openat2(int at, const char *path, uint64_t flags, uint64_t mode,
		   uint64_t resolve)
{
	struct how how = { flags, mode, resolve };
	int fd;

	/* A rename anywhere meanwhile makes Linux unsure about a "..". */
	do
		fd = (int)syscall(SYS_openat2, at, path, &how, sizeof how);
	while (fd < 0 && errno == EAGAIN && !(resolve & CACHED));
	return fd;
}

/* Where a descriptor leads, if that is the same everywhere. */
static const char *leads(int fd)
{
	static char text[4096];
	char link[64];

	sprintf(link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, text, sizeof text - 1);
	text[n < 0 ? 0 : n] = 0;
	if (!strncmp(text, "/proc", 5))
		return "proc";
	return strncmp(text, folder, strlen(folder)) && strncmp(text, "/dev", 4)
		? "elsewhere" : text;
}

static void answers(const char *name, int at, const char *path, uint64_t flags)
{
	static const unsigned scopes[] = { 0, BENEATH, IN_ROOT };
	static const unsigned kinds[] = { 0, NO_XDEV, NO_MAGIC, NO_LINKS };

	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 4; k++) {
			unsigned how = scopes[i] | kinds[k];
			int fd = openat2(at, path, flags, 0, how);

			printf("%s %s %#lx %u: ", name, path, (long)flags,
			       how);
			if (fd < 0) {
				printf("%d\n", errno);
			} else {
				printf("%s\n", leads(fd));
				close(fd);
			}
		}
}

static void tree(void)
{
	mkdir("a", 0755);
	mkdir("a/b", 0755);
	close(open("f", O_CREAT | O_RDWR, 0644));
	close(open("a/f", O_CREAT | O_RDWR, 0644));
	close(open("a/b/f", O_CREAT | O_RDWR, 0644));
	symlink("f", "link");
	symlink("a/b", "down");
	symlink("b/f", "a/link");
	symlink("none", "dangling");
	symlink("loop", "loop");
}

/* The same by paths of the host's that lead to files of the folder. */
static void in_folder(void)
{
	static const char *const paths[] = {
		"f", "./f", "a/f", "link", "link/", "a/link", "down", "down/f",
		"down/../f", "a/around/f", "a/../f", "dangling", "loop", "none",
		"f/", "f/x", "a", "a/", "/f", "/a/../../f", "a/b/../../../f",
	};
	static const char *const below[] = {
		"f", "link", "b/f", "..", "../a/f", "../f", "b/../..", "/f",
		"/link", "/", "/..", ".", "around/../f",
	};
	int a = open("a", O_RDONLY | O_DIRECTORY);
	char own[5000];

	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
		if (paths[i][0] != '/' && strcmp(paths[i], "a/b/../../../f"))
			answers("cwd", AT_FDCWD, paths[i], O_RDONLY);
	for (unsigned i = 0; i < sizeof below / sizeof *below; i++)
		if (below[i][0] != '/')
			answers("a", a, below[i], O_RDONLY);
	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
		SHOW(openat2(AT_FDCWD, paths[i], O_PATH, 0, BENEATH) < 0
		     ? -errno : 0);
	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
		SHOW(openat2(AT_FDCWD, paths[i], O_PATH, 0, IN_ROOT) < 0
		     ? -errno : 0);
	for (unsigned i = 0; i < sizeof below / sizeof *below; i++)
		SHOW(openat2(a, below[i], O_PATH, 0, IN_ROOT) < 0 ? -errno : 0);
	answers("cwd", AT_FDCWD, "link", O_PATH | O_NOFOLLOW);
	answers("cwd", AT_FDCWD, "link", O_RDONLY | O_NOFOLLOW);
	answers("cwd", AT_FDCWD, "f", O_RDONLY | O_DIRECTORY);
	sprintf(own, "%s/a/link", folder);
	answers("cwd", AT_FDCWD, own, O_RDONLY);
	answers("cwd", AT_FDCWD, "absolute", O_RDONLY);
	close(a);
}

static void of_the_system(int root)
{
	static const char *const paths[] = {
		"/proc/stat", "/proc/self/status", "/proc/self/exe",
		"/proc/self/cwd/f", "/proc/self/root/proc/stat",
		"/proc/self/fd/7", "/proc/self/fd/8", "/proc/self/fd/9",
		"/proc/mounts", "/proc/self/../stat", "/proc/none",
		"/proc/../proc/stat", "/dev/null", "/dev/fd/7", "/dev/../proc/stat",
	};
	static const char *const below[] = {
		"stat", "self/status", "self/exe", "self/cwd/f", "self/fd/7",
		"self/fd/8", "self/fd/9", "../proc/stat", "self/../../proc/stat",
		"mounts", ".", "self/..",
	};
	int proc = open("/proc", O_RDONLY | O_DIRECTORY);
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY);
	int dev = open("/dev", O_RDONLY | O_DIRECTORY);

	dup2(open("f", O_RDONLY), 7);
	dup2(open("/proc/stat", O_RDONLY), 8);
	dup2(open("/dev/null", O_RDONLY), 9);
	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++) {
		if (root < 0) {
			answers("cwd", AT_FDCWD, paths[i], O_RDONLY);
			continue;
		}
		answers("root", root, paths[i], O_RDONLY);
		answers("root", root, paths[i] + 1, O_RDONLY);
	}
	if (root >= 0) {
		answers("proc", proc, "..", O_PATH);
		return;
	}
	for (unsigned i = 0; i < sizeof below / sizeof *below; i++)
		answers("proc", proc, below[i], O_PATH);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const some[] = { "status", "../stat", "cwd" };

		answers("self", self, some[i], O_PATH);
		answers("self", self, some[i], O_PATH | O_NOFOLLOW);
	}
	answers("proc", proc, "/stat", O_RDONLY);
	answers("proc", proc, "/self/status", O_RDONLY);
	answers("proc", proc, "/../../stat", O_RDONLY);
	answers("dev", dev, "null", O_RDONLY);
	answers("dev", dev, "fd/7", O_RDONLY);
	answers("dev", dev, "../proc/stat", O_RDONLY);
	answers("no folder", 7, "x", O_RDONLY);
	answers("no folder", 7, "/f", O_RDONLY);
	answers("no descriptor", 99, "f", O_RDONLY);
	answers("no descriptor", 99, "/proc/stat", O_RDONLY);
}

static void arguments(void)
{
	const char *bad = (const char *)8;
	int fd;

	SHOW(openat2(AT_FDCWD, "f", 0, 0, BENEATH | IN_ROOT));
	SHOW(openat2(AT_FDCWD, bad, 0, 0, BENEATH | IN_ROOT));
	SHOW(openat2(AT_FDCWD, "f", 0, 0, 64));
	SHOW(openat2(AT_FDCWD, "f", 0, 0, 1ull << 32));
	SHOW(openat2(AT_FDCWD, bad, 0, 0, BENEATH));
	SHOW(openat2(AT_FDCWD, "", 0, 0, BENEATH));
	SHOW(openat2(AT_FDCWD, "f", O_PATH | O_RDWR, 0, 0));
	SHOW(openat2(AT_FDCWD, "f", O_PATH | O_TRUNC, 0, 0));
	SHOW(openat2(AT_FDCWD, "a", O_CREAT | O_DIRECTORY, 0600, 0));
	SHOW(openat2(AT_FDCWD, "a", O_TMPFILE, 0600, 0));
	SHOW(openat2(AT_FDCWD, "f", 0, 0600, BENEATH));
	SHOW(openat2(AT_FDCWD, "f", O_CREAT, 010000, BENEATH));
	/* What need not be looked for goes without waiting. */
	fd = openat2(AT_FDCWD, "f", O_RDWR, 0, 0);
	SHOW(openat2(AT_FDCWD, "f", O_RDWR, 0, CACHED) >= 0);
	SHOW(openat2(AT_FDCWD, "f", O_RDWR, 0, CACHED | BENEATH) >= 0);
	SHOW(openat2(AT_FDCWD, "f", O_RDWR | O_TRUNC, 0, CACHED));
	SHOW(openat2(AT_FDCWD, "n", O_RDWR | O_CREAT, 0600, CACHED));
	SHOW(openat2(AT_FDCWD, ".", O_RDWR | O_TMPFILE, 0600, CACHED));
	SHOW(openat2(AT_FDCWD, bad, O_RDWR | O_CREAT, 0600, CACHED));
	close(fd);
	/* Making what is not there. */
	int a = open("a", O_RDONLY | O_DIRECTORY);

	SHOW(openat2(a, "new", O_RDWR | O_CREAT, 0640, BENEATH) >= 0);
	SHOW(openat2(a, "/new2", O_RDWR | O_CREAT, 0640, IN_ROOT) >= 0);
	SHOW(openat2(a, "../new3", O_RDWR | O_CREAT, 0640, IN_ROOT) >= 0);
	SHOW(openat2(a, "../new4", O_RDWR | O_CREAT, 0640, BENEATH));
	SHOW(openat2(a, "b/../new5", O_RDWR | O_CREAT, 0640, NO_LINKS) >= 0);
	SHOW(openat2(a, "link", O_RDWR | O_CREAT, 0640, NO_LINKS));
	SHOW(openat2(a, "link", O_RDWR | O_CREAT | O_EXCL, 0640, NO_LINKS));
	SHOW(openat2(AT_FDCWD, "dangling", O_RDWR | O_CREAT, 0640, NO_LINKS));
	SHOW(openat2(AT_FDCWD, "dangling", O_RDWR | O_CREAT, 0640, BENEATH) >= 0);
	SHOW(openat2(a, "b", O_RDWR | O_TMPFILE, 0640, BENEATH | NO_XDEV) >= 0);
	SHOW(openat2(a, "f", O_RDWR | O_TRUNC, 0, IN_ROOT) >= 0);
}

int main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "";

	getcwd(folder, sizeof folder);
	umask(0);
	tree();
	if (!strcmp(part, "folder")) {
		in_folder();
		arguments();
	} else if (!strcmp(part, "system")) {
		of_the_system(-1);
	} else {
		/* From the root, which it may then open. */
		of_the_system(open("/", O_PATH | O_DIRECTORY));
	}
	/* It says where the folder is, which is not the same everywhere. */
	unlink("absolute");
	return 0;
}
