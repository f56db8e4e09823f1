/* fault.c HOW: ends itself in the way named; each as Linux would have it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static volatile int zero;

static int deeper(int n)
{
	volatile char frame[65536];

	frame[0] = (char)n;
	return zero ? n : deeper(n + 1) + frame[0];
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	char *page = mmap(0, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	page[0] = page[4096] = 1;
	if (!strcmp(how, "null"))
		*(volatile int *)(uintptr_t)zero = 1;
	if (!strcmp(how, "wild"))
		*(volatile int *)0x123456789000 = 1;
	if (!strcmp(how, "noncanonical"))
		*(volatile int *)0x1234567890000000 = 1;
	if (!strcmp(how, "kernel-read"))
		printf("%d\n", *(volatile int *)0xffff800000003000);
	if (!strcmp(how, "top-read"))
		printf("%d\n", *(volatile int *)0xfffffffffffffff8);
	if (!strcmp(how, "pagetable-write"))
		*(volatile long *)0xffff800000002000 = 7;
	if (!strcmp(how, "stub-write"))
		*(volatile char *)0x7ffffffff000 = 0;
	if (!strcmp(how, "write-ro")) {
		mprotect(page, 4096, PROT_READ);
		page[0] = 2;
	}
	if (!strcmp(how, "read-none")) {
		mprotect(page, 8192, PROT_NONE);
		printf("%d\n", *(volatile char *)page);
	}
	if (!strcmp(how, "after-munmap")) {
		munmap(page, 4096);
		page[0] = 2;
	}
	if (!strcmp(how, "exec-nx")) {
		page[0] = (char)0xc3;
		((void (*)(void))page)();
	}
	if (!strcmp(how, "div0"))
		__asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; idivl %0"
				 :
				 : "m"(zero)
				 : "eax", "edx", "cc");
	if (!strcmp(how, "ud2"))
		__asm__ volatile("ud2");
	if (!strcmp(how, "int3"))
		__asm__ volatile("int3");
	if (!strcmp(how, "hlt"))
		__asm__ volatile("hlt");
	if (!strcmp(how, "cli"))
		__asm__ volatile("cli");
	if (!strcmp(how, "in"))
		__asm__ volatile("in $0x60, %%al" ::: "eax");
	if (!strcmp(how, "out"))
		__asm__ volatile("out %%al, $0x55" ::: "memory");
	if (!strcmp(how, "forge-syscall"))
		__asm__ volatile("mov $60, %%eax; out %%al, $0x10" ::: "eax");
	if (!strcmp(how, "forge-fault"))
		__asm__ volatile("out %%al, $0x8e" ::: "memory");
	if (!strcmp(how, "forge-string"))
		__asm__ volatile("mov $0x10, %%edx; mov $100, %%ecx; rep outsb"
				 :
				 : "S"(page)
				 : "ecx", "edx", "memory");
	if (!strcmp(how, "stack-overflow"))
		return deeper(0);
	if (!strcmp(how, "abort"))
		abort();
	printf("went on\n");
	return 0;
}
