/*
 * dup_offset.c: descriptors made by dup share an offset across SAVE(); one
 * from another open does not.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "scratchvm.h"

int main(void)
{
	int a = open("dup.txt", O_RDWR | O_CREAT | O_TRUNC, 0644);
	int b = dup(a), c = dup2(a, 20), d = open("dup.txt", O_RDONLY);
	char got[8] = { 0 };

	if (write(a, "0123456789", 10) != 10)
		return 1;
	lseek(b, 3, SEEK_SET);
	if (read(d, got, 2) != 2)
		return 2;
	fcntl(c, F_SETFD, FD_CLOEXEC);
	SAVE();
	printf("%d %d %d %d\n", a, b, c, d);
	printf("offsets %ld %ld %ld %ld\n", (long)lseek(a, 0, SEEK_CUR),
	       (long)lseek(b, 0, SEEK_CUR), (long)lseek(c, 0, SEEK_CUR),
	       (long)lseek(d, 0, SEEK_CUR));
	if (write(c, "x", 1) != 1)
		return 3;
	printf("after a write %ld %ld\n", (long)lseek(a, 0, SEEK_CUR),
	       (long)lseek(d, 0, SEEK_CUR));
	printf("cloexec %d %d\n", fcntl(b, F_GETFD), fcntl(c, F_GETFD));
	return 0;
}
