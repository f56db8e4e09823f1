/*
 * seekdir.c: a folder of many files, read from places in it that were noted
 * before. Where those are differs from folder to folder: what is shown is
 * whether the same names are found there, across SAVE() too.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scratchvm.h"
#include "show.h"

#define FILES 400
#define STEP 7 /* each so many-th entry is looked for */

static struct {
	long at;	/* where the entry begins */
	long next;	/* its d_off */
	char name[32];
} entries[FILES + 3];

static int count;
static int fd;

static void read_all(DIR *folder)
{
	struct dirent *e;

	for (count = 0; count < FILES + 3; count++) {
		long at = telldir(folder);

		if (!(e = readdir(folder)))
			break;
		entries[count].at = at;
		entries[count].next = e->d_off;
		snprintf(entries[count].name, sizeof entries->name, "%.31s",
			 e->d_name);
	}
}

/* How many entries are found where they were, from the last to the first. */
static int found_again(DIR *folder)
{
	int found = 0;

	for (int i = count - 1; i >= 0; i -= STEP) {
		struct dirent *e;

		seekdir(folder, entries[i].at);
		e = readdir(folder);
		found += e && !strcmp(e->d_name, entries[i].name) &&
			 telldir(folder) == entries[i].next;
	}
	return found;
}

/* The name of the first entry from here. */
static const char *name_here(void)
{
	static char buffer[4096];
	struct {
		unsigned long ino, off;
		unsigned short length;
		unsigned char type;
		char name[];
	} *e = (void *)buffer;

	return syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0
		       ? e->name
		       : "(none)";
}

/* How many offsets a descriptor takes, and finds the right names at. */
static int seeks(int whence)
{
	int found = 0;

	for (int i = 0; i + 1 < count; i += STEP) {
		long to = entries[i].next;
		long by = whence == SEEK_CUR ? to - lseek(fd, 0, SEEK_CUR) : to;

		found += lseek(fd, by, whence) == to &&
			 lseek(fd, 0, SEEK_CUR) == to &&
			 !strcmp(name_here(), entries[i + 1].name);
	}
	return found;
}

/* Whether fdinfo shows the offset. */
static int shows_offset(void)
{
	char path[64], text[256] = "";
	int info;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY);
	if (read(info, text, sizeof text - 1) < 0)
		perror("read");
	close(info);
	return atol(text + strlen("pos:")) == lseek(fd, 0, SEEK_CUR);
}

/* How many entries follow in a folder. */
static int entries_left(int folder_fd)
{
	DIR *folder = fdopendir(dup(folder_fd));
	int left = 0;

	while (readdir(folder))
		left++;
	closedir(folder);
	return left;
}

int main(void)
{
	DIR *folder;
	int unread, ended;
	long middle;
	char name[32];

	SHOW(mkdir("many", 0755));
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "many/file%d", i);
		close(open(name, O_WRONLY | O_CREAT, 0644));
	}
	folder = opendir("many");
	read_all(folder);
	SHOW(count);
	SHOW(found_again(folder));
	rewinddir(folder);
	SHOW(strcmp(readdir(folder)->d_name, entries[0].name));

	SHOW(fd = open("many", O_RDONLY | O_DIRECTORY));
	SHOW(seeks(SEEK_SET));
	SHOW(seeks(SEEK_CUR));

	middle = entries[count / 2].at;
	seekdir(folder, middle);
	SHOW(lseek(fd, middle, SEEK_SET) == middle);
	unread = open("many", O_RDONLY | O_DIRECTORY);
	ended = open("many", O_RDONLY | O_DIRECTORY);
	SHOW(entries_left(ended));
	fflush(stdout);
	SAVE();
	SHOW(entries_left(unread));
	SHOW(entries_left(ended));
	SHOW(lseek(ended, 0, SEEK_SET));
	SHOW(entries_left(ended));
	SHOW(telldir(folder) == middle);
	SHOW(strcmp(readdir(folder)->d_name, entries[count / 2].name));
	SHOW(lseek(fd, 0, SEEK_CUR) == middle);
	SHOW(shows_offset());
	SHOW(strcmp(name_here(), entries[count / 2].name));
	SHOW(found_again(folder));
	SHOW(seeks(SEEK_SET));

	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(lseek(fd, LONG_MIN, SEEK_SET));
	SHOW(lseek(fd, LONG_MIN, SEEK_CUR));
	SHOW_OK(lseek(fd, 0, SEEK_END));
	SHOW(lseek(fd, 0, SEEK_END) == lseek(fd, 0, SEEK_CUR));
	SHOW(strcmp(name_here(), "(none)"));
	SHOW_OK(lseek(fd, LONG_MAX, SEEK_SET));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(strcmp(name_here(), entries[0].name));
	SHOW(lseek(fd, 0, 77));
	return 0;
}
