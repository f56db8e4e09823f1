/*
 * restore.c FILE map|read: makes a VM whose memory is FILE, mapped privately or
 * read; prints the nanoseconds until the guest's first exit, and until it has
 * read a word of every page.
 */
#include <sys/stat.h>
#include "vmm.h"

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	uint32_t from = BLOCK, pages;
	uint8_t code[] = {
		0xe6, PORT_START,			/* out %al, $PORT_START */
		0xbf, 0, 0, 0, 0,			/* mov $from, %edi */
		0xbb, 0, 0, 0, 0,			/* mov $pages, %ebx */
		0x48, 0x03, 0x07,			/* 1: add (%rdi), %rax */
		0x48, 0x81, 0xc7, 0x00, 0x10, 0, 0,	/* add $4096, %rdi */
		0xff, 0xcb,				/* dec %ebx */
		0x75, 0xf2,				/* jnz 1b */
		0xe6, PORT_END,				/* out %al, $PORT_END */
	};
	struct vmm v;
	struct stat stat;
	uint64_t start = now_ns();
	int fd = check("open", open(argv[1], O_RDONLY));

	check("fstat", fstat(fd, &stat));
	size_t bytes = stat.st_size & -4096ul;

	vmm_reserve(&v, ((bytes + BLOCK - 1) & -BLOCK) + BLOCK);
	if (argv[2][0] == 'm') {
		if (mmap(v.memory + BLOCK, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, 0) ==
		    MAP_FAILED)
			die("mmap");
	} else {
		for (size_t at = 0; at < bytes;)
			at += check("read", read(fd, v.memory + BLOCK + at,
						 bytes - at));
	}
	vmm_create(&v);
	pages = bytes / 4096;
	memcpy(code + 3, &from, 4);
	memcpy(code + 8, &pages, 4);
	vmm_code(&v, CODE, code, sizeof code);
	if (vmm_run(&v) != PORT_START)
		return 1;
	uint64_t first = now_ns(), sum = v.run->s.regs.regs.rax;

	if (vmm_run(&v) != PORT_END)
		return 1;
	uint64_t end = now_ns();

	/* What the guest read is what the file holds. */
	for (size_t at = 0; at < bytes; at += 4096)
		sum += *(uint64_t *)(v.memory + BLOCK + at);
	if (sum != v.run->s.regs.regs.rax)
		return 1;
	printf("%lu\n%lu\n", first - start, end - start);
	return 0;
}
