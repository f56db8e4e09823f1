/* nameless.c: a file that never had a name, across SAVE(). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "scratchvm.h"

int main(void)
{
	char bytes[32];
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	ssize_t n;

	if (fd < 0 || write(fd, "nameless", 8) != 8)
		return 1;
	SAVE();
	if (write(fd, "!", 1) != 1)
		return 2;
	n = pread(fd, bytes, sizeof bytes, 0);
	printf("%.*s at %ld\n", (int)n, bytes, (long)lseek(fd, 0, SEEK_CUR));
	return 0;
}
