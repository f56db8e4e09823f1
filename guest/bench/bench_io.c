/*
 * bench_io.c write|read FILE MIB CALL_BYTES: nanoseconds to write a new file, or
 * to read one, in calls of CALL_BYTES.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec start, end;

	if (argc < 5)
		return 2;
	int writes = argv[1][0] == 'w';
	size_t total = (size_t)atoi(argv[3]) << 20, call = atoi(argv[4]);
	int fd = open(argv[2], writes ? O_WRONLY | O_CREAT | O_EXCL : O_RDONLY, 0600);
	char *buffer = malloc(call);

	if (fd < 0 || !buffer)
		return 1;
	memset(buffer, 'x', call);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (size_t done = 0; done < total;) {
		ssize_t n = writes ? write(fd, buffer, call) : read(fd, buffer, call);

		if (n <= 0)
			return 1;
		done += n;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000ll +
				 end.tv_nsec - start.tv_nsec);
	return 0;
}
