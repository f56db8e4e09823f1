/*
 * file_limit.c: the limit on how long files may become.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "signals.h"

static char bytes[3000];

static long length(int fd)
{
	return (long)lseek(fd, 0, SEEK_END);
}

int main(int argc, char **argv)
{
	struct rlimit limit = { 2000, 5000 };
	struct iovec two[] = { { bytes, 100 }, { bytes, 100 } };
	int from, to;

	(void)argv;
	setvbuf(stdout, NULL, _IOLBF, 0);
	handle(SIGXFSZ, count, 0);
	from = open("from", O_RDWR | O_CREAT, 0600);
	write(from, bytes, sizeof bytes);
	lseek(from, 0, SEEK_SET);
	SHOW(setrlimit(RLIMIT_FSIZE, &limit));
	to = open("to", O_RDWR | O_CREAT, 0600);
	SHOW(write(to, bytes, 1500));
	SHOW(write(to, bytes, 1500));
	SHOW(calls);
	SHOW(write(to, bytes, 1500));
	SHOW(calls);
	SHOW(write(to, bytes, 0));
	SHOW(write(to, (void *)0x1000, 10));
	SHOW(calls);
	SHOW(pwrite(to, bytes, 300, 1900));
	SHOW(pwrite(to, bytes, 300, 2000));
	SHOW(pwritev(to, two, 2, 1850));
	SHOW(calls);
	SHOW(ftruncate(to, 2001));
	SHOW(ftruncate(to, 2000));
	SHOW(truncate("to", 4000));
	SHOW(calls);
	/* One that is longer already may become shorter. */
	SHOW(ftruncate(from, 2500));
	SHOW(calls);
	SHOW(ftruncate(to, 0));
	SHOW(lseek(to, 1000, SEEK_SET));
	SHOW(lseek(from, 0, SEEK_SET));
	SHOW(sendfile(to, from, 0, 1000));
	SHOW(sendfile(to, from, 0, 2000));
	SHOW(calls);
	SHOW(length(to));
	fcntl(to, F_SETFL, O_APPEND);
	SHOW(pwrite(to, bytes, 10, 0));
	SHOW(ftruncate(to, 1990));
	SHOW(lseek(to, 0, SEEK_SET));
	SHOW(write(to, bytes, 100));
	SHOW(length(to));
	SHOW(calls);
	/* Pipes are not files. */
	int ends[2];
	SHOW(pipe(ends));
	SHOW(write(ends[1], bytes, 3000));
	if (argc > 1) {
		handle(SIGXFSZ, SIG_DFL, 0);
		write(to, bytes, 100);
	}
	return 0;
}
