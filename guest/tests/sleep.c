/* sleep.c MS: sleeps, and says how long it took by the clock it can see. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	long ms = argc > 1 ? atol(argv[1]) : 100;
	struct timespec before, after, left = { ms / 1000, ms % 1000 * 1000000 };

	printf("ready\n");
	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &before);
	if (nanosleep(&left, &left) < 0)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &after);
	long took = (after.tv_sec - before.tv_sec) * 1000 +
		    (after.tv_nsec - before.tv_nsec) / 1000000;
	printf("%s\n", took >= ms ? "slept long enough" : "woke too early");
	printf("%s\n", took < ms + 900 ? "not much longer" : "overslept");
	return 0;
}
