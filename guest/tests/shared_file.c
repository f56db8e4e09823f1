/* shared_file.c: asks to share a file's pages, which the VM does not do. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "show.h"

int main(void)
{
	SHOW(open("f", O_RDWR | O_CREAT, 0644));
	SHOW(ftruncate(3, 4096));
	SHOW_AT(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0), 0);
	return 0;
}
