/* exit_cost.c COUNT: nanoseconds for COUNT exits by `out`, each answered by nothing. */
#include "vmm.h"

int main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? atoi(argv[1]) : 10000;
	uint8_t code[] = {
		0xe6, PORT_START,	/* out %al, $PORT_START */
		0xbb, 0, 0, 0, 0,	/* mov $count, %ebx */
		0xe6, PORT_COUNT,	/* 1: out %al, $PORT_COUNT */
		0xff, 0xcb,		/* dec %ebx */
		0x75, 0xfa,		/* jnz 1b */
		0xe6, PORT_END,		/* out %al, $PORT_END */
	};
	struct vmm v;
	uint64_t start = 0, exits = 0;

	memcpy(code + 3, &count, 4);
	vmm_reserve(&v, 2 * BLOCK);
	vmm_create(&v);
	vmm_code(&v, CODE, code, sizeof code);
	for (;;) {
		int port = vmm_run(&v);

		if (port == PORT_COUNT)
			exits++;
		else if (port == PORT_START)
			start = now_ns();
		else
			break;
	}
	uint64_t end = now_ns();

	if (exits != count)
		return 1;
	printf("%lu\n", end - start);
	return 0;
}
