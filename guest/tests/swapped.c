/*
 * swapped.c make | swap | open: two entries, a folder and a link that leads out
 * ("to-folder"), change names again and again ("swap", until it is ended),
 * while another program opens a file below one of the names ("open").
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int make(void)
{
	int fd;

	if (mkdir("swapped", 0755) || (fd = creat("swapped/other", 0644)) < 0)
		return 1;
	return write(fd, "inside", 6) == 6 && close(fd) == 0 ? 0 : 1;
}

static int swap(void)
{
	while (syscall(SYS_renameat2, AT_FDCWD, "swapped", AT_FDCWD, "to-folder",
		       2) == 0)
		;
	return 1;
}

/* Opens until it was let in and refused both, often. */
static int opens(void)
{
	int in = 0, refused = 0;
	char text[16];

	while (in < 100 || refused < 100) {
		int fd = open("swapped/other", O_RDWR);

		if (fd < 0 && errno != ENOENT) {
			printf("errno %d\n", errno);
			return 2;
		}
		if (fd < 0) {
			refused++;
			continue;
		}
		if (read(fd, text, 6) != 6 || memcmp(text, "inside", 6)) {
			printf("it left\n");
			return 3;
		}
		close(fd);
		in++;
	}
	printf("it never left\n");
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	if (!strcmp(how, "make"))
		return make();
	return strcmp(how, "swap") ? opens() : swap();
}
