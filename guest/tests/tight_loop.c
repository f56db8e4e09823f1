/* tight_loop.c N: computes N steps without a system call in between. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], 0, 0) : 1000000;
	uint64_t x = 88172645463325252ull;
	double f = 1;

	for (uint64_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		f = f * 1.0000001 + 0.5;
	}
	printf("%llx %.6f\n", (unsigned long long)x, f);
	return 0;
}
