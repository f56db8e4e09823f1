/*
 * machine_code.c HEX [HEX...]: runs the bytes given, and "ret", in a page below
 * 2 GiB, with the page's address in RDI; says when that returned.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	unsigned char *page = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (page == MAP_FAILED)
		return 99;
	for (int i = 1; i < argc; i++) {
		size_t length = strlen(argv[i]) / 2;

		for (size_t at = 0; at < length; at++) {
			char byte[3] = { argv[i][2 * at], argv[i][2 * at + 1], 0 };

			page[at] = (unsigned char)strtoul(byte, 0, 16);
		}
		page[length] = 0xc3;
		((void (*)(void *))page)(page);
		puts("went on");
		fflush(stdout);
	}
	return 0;
}
