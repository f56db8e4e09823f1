/*
 * scratchvm.h: what a guest program can ask of ScratchVM.
 *
 * The program is an ordinary Linux program: it builds with any C or C++
 * compiler for x86-64 Linux and runs natively too, where SAVE() fails with
 * ENOSYS.
 */
#ifndef SCRATCHVM_H
#define SCRATCHVM_H

#include <errno.h>

/* The number that SAVE() passes to `syscall`: no system call of Linux's. */
#define SCRATCHVM_SAVE 0x53564d01L

/*
 * Saves the whole program: memory, registers, open files, pending I/O.
 *
 * Returns 0 when the program goes on after the save, 1 when it has been thawed
 * from it, and -1 with errno set when it could not be saved (ENOSYS when the
 * program does not run in ScratchVM).
 */
static inline int SAVE(void)
{
	long result = SCRATCHVM_SAVE;

	__asm__ volatile("syscall"
			 : "+a"(result)
			 :
			 : "rcx", "r11", "memory");
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return (int)result;
}

#endif
