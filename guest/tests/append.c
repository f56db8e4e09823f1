/* append.c: O_APPEND writes at the end, whatever the offset, across SAVE(). */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "scratchvm.h"

int main(void)
{
	int fd = open("append.txt", O_RDWR | O_CREAT | O_APPEND, 0644);

	if (write(fd, "one\n", 4) != 4)
		return 1;
	lseek(fd, 1, SEEK_SET);
	SAVE();
	printf("offset %ld\n", (long)lseek(fd, 0, SEEK_CUR));
	if (write(fd, "two\n", 4) != 4)
		return 2;
	printf("offset %ld, append %d\n", (long)lseek(fd, 0, SEEK_CUR),
	       (fcntl(fd, F_GETFL) & O_APPEND) != 0);
	return 0;
}
