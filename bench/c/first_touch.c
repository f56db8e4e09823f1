/* first_touch.c MIB: nanoseconds for a guest to write one byte a page of fresh memory. */
#include "vmm.h"

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? atoi(argv[1]) : 256) * MIB;
	uint32_t from = BLOCK, pages = bytes / 4096;
	uint8_t code[] = {
		0xe6, PORT_START,			/* out %al, $PORT_START */
		0xbf, 0, 0, 0, 0,			/* mov $from, %edi */
		0xbb, 0, 0, 0, 0,			/* mov $pages, %ebx */
		0xc6, 0x07, 0x01,			/* 1: movb $1, (%rdi) */
		0x48, 0x81, 0xc7, 0x00, 0x10, 0, 0,	/* add $4096, %rdi */
		0xff, 0xcb,				/* dec %ebx */
		0x75, 0xf2,				/* jnz 1b */
		0xe6, PORT_END,				/* out %al, $PORT_END */
	};
	struct vmm v;

	memcpy(code + 3, &from, 4);
	memcpy(code + 8, &pages, 4);
	vmm_reserve(&v, bytes + BLOCK);
	vmm_create(&v);
	vmm_code(&v, CODE, code, sizeof code);
	if (vmm_run(&v) != PORT_START)
		return 1;
	uint64_t start = now_ns();

	if (vmm_run(&v) != PORT_END)
		return 1;
	printf("%lu\n", now_ns() - start);
	return 0;
}
