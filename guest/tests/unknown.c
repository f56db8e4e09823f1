/* unknown.c: calls that are not there: ENOSYS for each, as often as it is made. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

int main(void)
{
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
