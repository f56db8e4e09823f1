/*
 * held.c: opens one of everything, then waits for input; prints what became of
 * it all. Runs in a folder that it may write.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void on_signal(int number)
{
	(void)number;
}

int main(void)
{
	char line[64], rest[128];
	int fds[2], file, copy, folder, null;
	ssize_t n;
	char *map = mmap(0, 3 << 20, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	file = open("held.txt", O_RDWR | O_CREAT | O_TRUNC, 0644);
	folder = open(".", O_RDONLY | O_DIRECTORY);
	null = open("/dev/null", O_WRONLY);
	if (map == MAP_FAILED || file < 0 || folder < 0 || null < 0 || pipe(fds))
		return 1;
	copy = dup(file);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	strcpy(map + (2 << 20), "kept");
	if (write(copy, "before\n", 7) != 7 || write(fds[1], "in the pipe", 11) != 11)
		return 2;
	puts("ready");
	fflush(stdout);
	n = read(0, line, sizeof line);
	printf("read %zd, %s, offset %ld\n", n, map + (2 << 20),
	       (long)lseek(file, 0, SEEK_CUR));
	n = read(fds[0], rest, sizeof rest);
	printf("pipe %zd, null %zd\n", n, write(null, "x", 1));
	return write(file, "after\n", 6) == 6 ? 7 : 3;
}
