/*
 * new_addresses.c: uses a page in each of ever new regions of 2 MiB, one at a
 * time, and looks whether what is gone stays gone.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

enum { ROUNDS = 4000, PAGE = 4096 };

static sigjmp_buf back;

static void fault(int signal)
{
	siglongjmp(back, signal);
}

/* Every region its own, some of them so far apart that all tables are new. */
static char *region(long i)
{
	return (char *)(1L << 40) + i * (2 << 20) + (i % 64) * (1L << 30);
}

static char *map(char *at)
{
	return mmap(at, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* Whether a byte can be read. */
static int is_there(volatile char *at)
{
	if (sigsetjmp(back, 1))
		return 0;
	(void)*at;
	return 1;
}

int main(void)
{
	volatile long failed = 0, full = 0, there = 0, lost = 0;
	volatile char *kept = map((char *)(1L << 39));

	signal(SIGSEGV, fault);
	*kept = 77;
	for (volatile long i = 0; i < ROUNDS; i++) {
		char *at = region(i);

		if (map(at) != at) {
			failed++;
			continue;
		}
		full += *at != 0;
		*at = 1;
		if (i % 5 == 4) {
			there += is_there(region(i * 7919 % (i - 1)));
			there += is_there(region(i - 1));
		}
		lost += *kept != 77 || *at != 1;
		munmap(at, PAGE);
	}
	printf("failed %ld, not empty %ld, still there %ld, lost %ld\n",
	       failed, full, there, lost);
	return 0;
}
