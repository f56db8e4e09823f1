/* create.c MIB COUNT: nanoseconds, a line for each of COUNT VMs, from nothing to the first exit. */
#include "vmm.h"

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? atoi(argv[1]) : 1024) * MIB;
	int count = argc > 2 ? atoi(argv[2]) : 1;
	uint8_t code[] = { 0xe6, PORT_END };

	for (int i = 0; i < count; i++) {
		struct vmm v;
		uint64_t start = now_ns();

		vmm_reserve(&v, bytes);
		vmm_create(&v);
		vmm_code(&v, CODE, code, sizeof code);
		if (vmm_run(&v) != PORT_END)
			return 1;
		printf("%lu\n", now_ns() - start);
		vmm_destroy(&v);
	}
	return 0;
}
