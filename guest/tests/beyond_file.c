/*
 * beyond_file.c: what a program is told that touches what a file has not.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "signals.h"

#define PAGE 4096

static sigjmp_buf back;
static char *map;

static void tell(int signal, siginfo_t *info, void *context)
{
	(void)context;
	printf("signal %d code %d at %+ld\n", signal, info->si_code,
	       (long)((char *)info->si_addr - map));
	siglongjmp(back, 1);
}

static void touch(long at)
{
	if (sigsetjmp(back, 1) == 0)
		printf("%ld: %d\n", at, *(volatile char *)(map + at));
}

static void put(long at)
{
	if (sigsetjmp(back, 1) == 0) {
		*(volatile char *)(map + at) = 7;
		printf("%ld written\n", at);
	}
}

int main(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0600);

	setvbuf(stdout, NULL, _IOLBF, 0);
	handle_info(SIGBUS, tell, 0);
	handle_info(SIGSEGV, tell, 0);
	ftruncate(fd, PAGE + 100);
	map = mmap(0, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	put(PAGE + 99);
	touch(PAGE + 3000);
	touch(2 * PAGE + 5);
	put(4 * PAGE - 1);
	/* It grows, and shrinks again. */
	ftruncate(fd, 4 * PAGE);
	put(2 * PAGE + 5);
	put(4 * PAGE - 1);
	touch(4 * PAGE + 1);
	ftruncate(fd, PAGE);
	touch(2 * PAGE + 5);
	put(3 * PAGE + 17);
	touch(0);
	ftruncate(fd, 5 * PAGE);
	touch(2 * PAGE + 5);
	/* A part that begins elsewhere in the file. */
	ftruncate(fd, 3 * PAGE);
	munmap(map, 5 * PAGE);
	map = mmap(0, 3 * PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE);
	touch(1);
	touch(PAGE + 1);
	put(1);
	ftruncate(fd, 0);
	touch(1);
	/* A copy of a file's pages knows its end, too. */
	munmap(map, 3 * PAGE);
	ftruncate(fd, PAGE);
	map = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	put(1);
	put(PAGE + 1);
	return 0;
}
