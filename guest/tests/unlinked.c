/* unlinked.c: a file without a name is read and written across SAVE(). */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "scratchvm.h"

int main(void)
{
	int fd = open("gone.txt", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char got[32] = { 0 };

	unlink("gone.txt");
	if (write(fd, "still here\n", 11) != 11)
		return 1;
	SAVE();
	if (write(fd, "and more\n", 9) != 9)
		return 2;
	lseek(fd, 0, SEEK_SET);
	printf("%zd\n%s", read(fd, got, sizeof got - 1), got);
	return 0;
}
