/*
 * malloc_stack.c: a heap full of blocks of all sizes, and a deep stack, across
 * SAVE() at the bottom of a recursion.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scratchvm.h"

#define BLOCKS 2000
#define DEPTH 500

static unsigned char *blocks[BLOCKS];
static size_t sizes[BLOCKS];
static uint32_t seed = 12345;

static uint32_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static uint64_t sum(void)
{
	uint64_t total = 0;

	for (int i = 0; i < BLOCKS; i++)
		for (size_t j = 0; j < sizes[i]; j++)
			total = total * 31 + blocks[i][j];
	return total;
}

static uint64_t descend(int depth)
{
	volatile unsigned char frame[4096];
	uint64_t below;

	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = (unsigned char)(depth + i);
	if (depth == 0) {
		SAVE();
		below = sum();
	} else {
		below = descend(depth - 1);
	}
	for (size_t i = 0; i < sizeof frame; i++)
		if (frame[i] != (unsigned char)(depth + i))
			printf("frame %d is damaged\n", depth);
	return below + depth;
}

int main(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		sizes[i] = next() % (i % 50 == 0 ? 300000 : 3000);
		blocks[i] = malloc(sizes[i] + 1);
		memset(blocks[i], (int)next(), sizes[i]);
	}
	for (int i = 0; i < BLOCKS; i += 3) {
		sizes[i] = next() % 5000;
		blocks[i] = realloc(blocks[i], sizes[i] + 1);
		memset(blocks[i], (int)next(), sizes[i]);
	}
	printf("before %llx\n", (unsigned long long)sum());
	fflush(stdout);
	printf("after %llx\n", (unsigned long long)descend(DEPTH));
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	free(malloc(10000000));
	return 0;
}
