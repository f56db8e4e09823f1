/*
 * factors.c: makes a table of the smallest factor of each number, which takes
 * a while, calls SAVE(), and then factors the numbers of its standard input.
 */
#include <stdio.h>

#include "scratchvm.h"

#define LIMIT 1000000

static unsigned smallest[LIMIT];

int main(void)
{
	unsigned n;

	for (unsigned i = 2; i < LIMIT; i++)
		for (unsigned long j = i; j < LIMIT; j += i)
			if (smallest[j] == 0)
				smallest[j] = i;
	puts("the table is made");
	fflush(stdout);
	if (SAVE() < 0) {
		perror("SAVE");
		return 1;
	}
	while (scanf("%u", &n) == 1) {
		if (n < 2 || n >= LIMIT) {
			fprintf(stderr, "not in the table: %u\n", n);
			return 2;
		}
		printf("%u =", n);
		for (const char *sign = ""; n > 1; n /= smallest[n], sign = " *")
			printf("%s %u", sign, smallest[n]);
		printf("\n");
	}
	return 0;
}
