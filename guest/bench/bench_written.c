/*
 * bench_written.c MIB: fills memory with numbers that do not repeat, calls
 * SAVE(), says that it goes on, reads a word of every page, and says what it
 * found.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scratchvm.h"

#define FACTOR 0x9e3779b97f4a7c15ull

int main(int argc, char **argv)
{
	size_t count = (size_t)(argc > 1 ? atoi(argv[1]) : 16) << 17;
	size_t wrong = 0;
	uint64_t *words = count == 0 ? NULL :
		mmap(0, count * sizeof *words, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (words == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < count; i++)
		words[i] = (i + 1) * FACTOR;
	SAVE();
	if (write(1, "ready\n", 6) != 6)
		return 1;
	for (size_t i = 0; i < count; i += 512)
		wrong += words[i] != (i + 1) * FACTOR;
	printf("%zu wrong\n", wrong);
	return 0;
}
