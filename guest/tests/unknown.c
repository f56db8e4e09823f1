/*
 * unknown.c: calls that are not there: ENOSYS for each, as often as it is made.
 * With an argument, so many different ones.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

int main(int argc, char **argv)
{
	for (int i = 0; argc > 1 && i < atoi(argv[1]); i++)
		if (syscall(1000 + i) != -1 || errno != ENOSYS)
			return 1;
	if (argc > 1)
		return 0;
	for (int i = 0; i < 3; i++) {
		SHOW(syscall(600, 1, 2, 3));
		SHOW(syscall(100000));
		SHOW(syscall(-1));
		/* The number is an int: this is read, of no descriptor. */
		SHOW(syscall(1L << 40, 99));
		SHOW(syscall(SYS_create_module, 0, 0));
	}
	SHOW(write(1, "", 0));
	return 0;
}
