/* saves.c N: calls SAVE() N times and prints what each call returned. */
#include <stdio.h>
#include <stdlib.h>

#include "scratchvm.h"

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1;

	for (int i = 0; i < n; i++) {
		errno = 0;
		int result = SAVE();

		printf("%d %d\n", result, errno);
		fflush(stdout);
	}
	return 0;
}
