/* environment.c: prints its environment, a variable a line. */
#include <stdio.h>

extern char **environ;

int main(void)
{
	for (char **at = environ; *at; at++)
		puts(*at);
	return 0;
}
