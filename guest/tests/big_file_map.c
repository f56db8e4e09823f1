/* big_file_map.c MIB: maps a file that is so long. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 1) << 20;
	int fd = open("long", O_CREAT | O_RDWR, 0600);
	void *p;

	if (ftruncate(fd, bytes) < 0)
		return 1;
	p = mmap(0, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	printf("%d %d\n", p == MAP_FAILED, p == MAP_FAILED ? errno : 0);
	return 0;
}
