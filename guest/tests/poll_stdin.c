/* poll_stdin.c MS: waits for input with a timeout, again and again. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int ms = argc > 1 ? atoi(argv[1]) : 100;
	struct pollfd fds[2] = { { 0, POLLIN, 0 }, { 99, POLLIN, 0 } };
	char buffer[64];

	printf("bad %d", poll(fds + 1, 1, 0));
	printf(" %x\n", fds[1].revents);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int n = poll(fds, 1, ms);

		if (n == 0) {
			printf("timeout\n");
			return 0;
		}
		ssize_t got = read(0, buffer, sizeof buffer - 1);

		if (got <= 0)
			return 1;
		buffer[got] = 0;
		printf("%d %x %s", n, fds[0].revents, buffer);
		fflush(stdout);
	}
}
