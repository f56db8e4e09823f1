/*
 * long_call.c MIB: one pread and one write of so many MiB, which the VMM does
 * not do in one go, and what came of them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 100) << 20;
	size_t count = bytes / sizeof(uint64_t), wrong = 0;
	uint64_t *words = malloc(bytes);
	int fd = open("long", O_CREAT | O_TRUNC | O_RDWR, 0600);
	struct stat st;

	for (size_t i = 0; i < count; i++)
		words[i] = i * 0x9e3779b97f4a7c15ull;
	printf("wrote %zd\n", write(fd, words, bytes));
	fstat(fd, &st);
	printf("size %ld, at %ld\n", (long)st.st_size,
	       (long)lseek(fd, 0, SEEK_CUR));
	for (size_t i = 0; i < count; i++)
		words[i] = 0;
	printf("read %zd\n", pread(fd, words, bytes, 8));
	for (size_t i = 0; i + 1 < count; i++)
		wrong += words[i] != (i + 1) * 0x9e3779b97f4a7c15ull;
	printf("%zu wrong\n", wrong);
	return 0;
}
