/* bench_clock.c COUNT: nanoseconds for COUNT calls of clock_gettime. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 10000;
	struct timespec start, end;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < count; i++)
		if (clock_gettime(CLOCK_MONOTONIC, &end))
			return 1;
	printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000ll +
				 end.tv_nsec - start.tv_nsec);
	return 0;
}
