/*
 * bench_compute.c STEPS: nanoseconds for STEPS steps of integer and floating
 * point arithmetic over a table of 1 MiB, without a system call.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WORDS (1 << 17)

static double table[WORDS];

int main(int argc, char **argv)
{
	uint64_t steps = argc > 1 ? strtoull(argv[1], 0, 10) : 100000000;
	uint64_t random = 0x9e3779b97f4a7c15ull;
	double sum = 0;
	struct timespec start, end;

	for (int i = 0; i < WORDS; i++)
		table[i] = 1.0 / (i + 1);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint64_t i = 0; i < steps; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		sum = sum * 0.5 + table[random % WORDS];
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* Used, so that the loop stays. */
	if (sum < 0)
		return 1;
	printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000ll +
				 end.tv_nsec - start.tv_nsec);
	return 0;
}
