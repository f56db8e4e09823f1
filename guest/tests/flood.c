/* flood.c: prints lines for ever, many with each write. */
#include <stdio.h>

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	for (long n = 0; printf("line %ld\n", n) > 0; n++)
		;
	return 3;
}
