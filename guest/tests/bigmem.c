/*
 * bigmem.c MIB: fills memory with numbers that follow from their place, calls
 * SAVE(), and checks them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "scratchvm.h"

int main(int argc, char **argv)
{
	size_t count = (size_t)(argc > 1 ? atoi(argv[1]) : 16) << 17;
	uint64_t *words = malloc(count * sizeof *words);
	size_t wrong = 0;

	for (size_t i = 0; i < count; i++)
		words[i] = i * 0x9e3779b97f4a7c15ull;
	SAVE();
	for (size_t i = 0; i < count; i++)
		wrong += words[i] != i * 0x9e3779b97f4a7c15ull;
	printf("%zu wrong\n", wrong);
	return 0;
}
