/* pipe_half.c: a pipe that is half full across SAVE(). */
#include <stdio.h>
#include <unistd.h>

#include "scratchvm.h"

int main(void)
{
	int fds[2];
	char chunk[1000], got[1000];
	long total = 0;
	ssize_t n;

	if (pipe(fds) < 0)
		return 1;
	for (int i = 0; i < 32; i++) {
		for (size_t j = 0; j < sizeof chunk; j++)
			chunk[j] = (char)(i + j);
		if (write(fds[1], chunk, sizeof chunk) != sizeof chunk)
			return 2;
	}
	/* Move the start of what is in it away from the pipe's own start. */
	for (int i = 0; i < 5; i++)
		if (read(fds[0], got, sizeof got) != sizeof got)
			return 3;
	SAVE();
	close(fds[1]);
	for (int i = 5; (n = read(fds[0], got, sizeof got)) > 0; i++) {
		for (ssize_t j = 0; j < n; j++)
			if (got[j] != (char)(i + j))
				printf("byte %ld is wrong\n", total + j);
		total += n;
	}
	printf("drained %ld, end %zd\n", total, n);
	return 0;
}
