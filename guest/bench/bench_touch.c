/* bench_touch.c MIB: nanoseconds to map memory and write one byte of each page. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

int main(int argc, char **argv)
{
	size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 256) << 20;
	struct timespec start, end;

	clock_gettime(CLOCK_MONOTONIC, &start);
	char *memory = mmap(0, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 1;
	/* As a program may that knows what it is about to do. */
	if (argc > 2)
		madvise(memory, bytes, MADV_HUGEPAGE);
	for (size_t at = 0; at < bytes; at += 4096)
		*(volatile char *)(memory + at) = 1;
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000ll +
				 end.tv_nsec - start.tv_nsec);
	return 0;
}
