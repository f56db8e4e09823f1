/*
 * swapped.c: renames two entries to one name again and again, a folder and a
 * link that leads out, and opens a file below that name in between.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	char text[16] = "";
	int fd;

	if (mkdir("swapped", 0755) || (fd = creat("swapped/other", 0644)) < 0 ||
	    write(fd, "inside", 6) != 6 || close(fd))
		return 1;
	for (int i = 0; i < 200; i++) {
		if (syscall(SYS_renameat2, AT_FDCWD, "swapped", AT_FDCWD,
			    "to-folder", 2))
			return 2;
		fd = open("swapped/other", O_RDWR);
		if (fd < 0 && errno != EACCES)
			return 3;
		if (fd >= 0 && (read(fd, text, 6) != 6 || memcmp(text, "inside", 6)))
			return 4;
		if (fd >= 0)
			close(fd);
	}
	printf("it never left\n");
	return 0;
}
