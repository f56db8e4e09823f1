/*
 * primes.c LIMIT STEP [save]: counts the primes below LIMIT, the slow way, and
 * says how far it is every STEP numbers. With "save" it then calls SAVE().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scratchvm.h"

static int is_prime(unsigned long n)
{
	for (unsigned long d = 2; d * d <= n; d++)
		if (n % d == 0)
			return 0;
	return n > 1;
}

int main(int argc, char **argv)
{
	unsigned long limit = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	unsigned long step = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	int saves = argc > 3 && !strcmp(argv[3], "save");
	unsigned long found = 0;

	if (step == 0)
		step = limit;
	for (unsigned long n = 1; n <= limit; n++) {
		if (n % step == 0 || n == limit) {
			printf("below %lu: %lu primes\n", n, found);
			fflush(stdout);
			if (saves && n < limit && SAVE() < 0)
				perror("SAVE");
		}
		found += is_prime(n);
	}
	return 0;
}
