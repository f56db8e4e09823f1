/*
 * no_vdso.c: reads the time, then puts memory of its own where the vDSO and its
 * data were, and asks for the time by system calls.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SIZE (3 * 4096)

int main(void)
{
	char *vdso = (char *)getauxval(AT_SYSINFO_EHDR);
	char *at = vdso - 2 * 4096;
	struct timespec t;
	int same = 1;

	for (int i = 0; i < 2000; i++)
		clock_gettime(CLOCK_MONOTONIC, &t);
	if (munmap(vdso - 4096, 2 * 4096))
		return 2;
	if (mmap(at, SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		return 3;
	memset(at, 0xa5, SIZE);
	for (int i = 0; i < 300; i++) {
		/* With readings of the counter, as the vDSO had it. */
		syscall(SYS_clock_gettime, 1, &t, 0x62637374L, (long)i, 0L);
		syscall(SYS_clock_gettime, 1, &t, 0x65637374L, (long)i, i + 9l);
		syscall(SYS_clock_gettime, 0, &t, 0L, 0L, 0L);
	}
	for (int i = 0; i < SIZE; i++)
		same &= (uint8_t)at[i] == 0xa5;
	printf("as it was left: %d\n", same);
	return 0;
}
