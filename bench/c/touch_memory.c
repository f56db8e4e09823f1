/*
 * touch_memory.c MIB: writes to so much fresh memory and gives it back. Where
 * this machine is itself a virtual one, memory that it never used is slow the
 * first time, whoever uses it.
 */
#include "vmm.h"

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? atoi(argv[1]) : 1024) * MIB;
	char *memory = mmap(0, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t start = now_ns();

	if (memory == MAP_FAILED)
		die("mmap");
	madvise(memory, bytes, MADV_HUGEPAGE);
	for (size_t at = 0; at < bytes; at += 4096)
		*(volatile char *)(memory + at) = 1;
	printf("%lu\n", now_ns() - start);
	return 0;
}
