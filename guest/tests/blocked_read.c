/* blocked_read.c: echoes lines, and so mostly waits in a read. */
#include <stdio.h>
#include <string.h>

int main(void)
{
	char line[256];
	int n = 0;

	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		printf("%d: %s", ++n, line);
		fflush(stdout);
	}
	printf("end after %d\n", n);
	return 0;
}
