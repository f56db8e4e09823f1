/*
 * clock_loop.c MS: reads CLOCK_MONOTONIC for so long, by its own count of it;
 * prints how often it went back, and the longest step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int main(int argc, char **argv)
{
	long long start = now(), last = start, back = 0, longest = 0;
	long long end = start + (argc > 1 ? atoi(argv[1]) : 100) * 1000000ll;

	puts("started");
	fflush(stdout);
	while (last < end) {
		long long next = now();

		back += next < last;
		if (next - last > longest)
			longest = next - last;
		last = next;
	}
	printf("went back %lld times\n", back);
	printf("longest step %lld ms\n", longest / 1000000);
	return 0;
}
