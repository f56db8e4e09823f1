/* chatter.c: prints lines for ever, or until nobody reads them. */
#include <stdio.h>

int main(void)
{
	for (long n = 0; printf("line %ld\n", n) > 0; n++)
		;
	return 3;
}
