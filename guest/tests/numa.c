/* numa.c: asks where memory is, as libraries do that begin with that. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

int main(void)
{
	SHOW(syscall(SYS_get_mempolicy, 0, 0, 0, 0, 0));
	SHOW(syscall(SYS_set_mempolicy, 0, 0, 0));
	SHOW(syscall(SYS_mbind, 0, 0, 0, 0, 0, 0));
	SHOW(syscall(SYS_move_pages, 0, 0, 0, 0, 0, 0));
	return 0;
}
