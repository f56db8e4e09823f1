/*
 * app.c: the lab's program. It writes half of a file, asks to be saved, and
 * writes the other half, in whichever process it then is.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "scratchvm.h"

int main(void)
{
	char before[] = "before the save\n";
	char after[] = "after it...\n";
	int fd = open("./ay_caramba", O_RDWR | O_CREAT, 0777);

	if (fd < 0) {
		perror("open ./ay_caramba");
		return 1;
	}
	if (write(fd, before, sizeof before - 1) != sizeof before - 1) {
		perror("write");
		return 1;
	}
	if (SAVE() < 0) {
		perror("SAVE");
		return 1;
	}
	if (write(fd, after, sizeof after - 1) != sizeof after - 1) {
		perror("write");
		return 1;
	}
	if (close(fd) < 0) {
		perror("close");
		return 1;
	}
	return 0;
}
