/* spin.c: says "ready", then computes for ever, without a system call. */
#include <stdio.h>

int main(void)
{
	volatile unsigned long n = 0;

	puts("ready");
	fflush(stdout);
	for (;;)
		n++;
}
