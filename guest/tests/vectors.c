/*
 * vectors.c: readv, writev, preadv, pwritev: counts and lengths at their
 * bounds, vectors that are good in part, files that others append to.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "show.h"

static struct iovec v[1030];
static char area[8192];

static void fill(int count, size_t each)
{
	for (int i = 0; i < count; i++)
		v[i] = (struct iovec){ area + i % 4096, each };
}

/* Raw: libc may merge or split. */
static long vec(long call, int fd, const void *at, long count, long offset)
{
	return syscall(call, fd, at, count, offset, 0L);
}

static void rewind_to(long offset)
{
	lseek(3, offset, SEEK_SET);
}

int main(void)
{
	char *page = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(page + 8192, 4096);
	memset(area, 'a', sizeof area);
	memset(page, 'p', 8192);
	SHOW(open("f", O_RDWR | O_CREAT, 0644));
	fill(1030, 3);
	SHOW(vec(SYS_writev, 3, v, 0, 0));
	SHOW(vec(SYS_writev, 3, v, 1024, 0));
	SHOW(vec(SYS_writev, 3, v, 1025, 0));
	SHOW(vec(SYS_writev, 3, v, -1, 0));
	SHOW(vec(SYS_writev, 3, v, 1L << 32, 0));
	SHOW(vec(SYS_writev, 3, v, (1L << 32) + 2, 0));
	SHOW(vec(SYS_readv, 3, v, 1025, 0));
	SHOW(vec(SYS_readv, 3, 0, 0, 0));
	SHOW(vec(SYS_readv, 3, 0, 1, 0));
	SHOW(vec(SYS_readv, 3, (void *)-16, 1, 0));
	SHOW(vec(SYS_readv, 99, v, 1, 0));
	SHOW(vec(SYS_readv, 99, 0, -1, 0));
	rewind_to(0);
	SHOW(vec(SYS_readv, 3, v, 1024, 0));
	SHOW(vec(SYS_readv, 3, v, 1024, 0));
	SHOW(vec(SYS_preadv, 3, v, 2, 3070));
	SHOW(vec(SYS_preadv, 3, v, 2, -1));
	SHOW(vec(SYS_preadv, 3, v, 0, 0));
	SHOW(vec(SYS_preadv, 3, v, 1025, 0));
	SHOW(vec(SYS_pwritev, 3, v, 2, 5000));
	SHOW(vec(SYS_pwritev, 3, v, 2, -5));
	SHOW(vec(SYS_pwritev, 99, v, 2, -5));
	SHOW(lseek(3, 0, SEEK_END));

	/* Lengths. */
	fill(4, 0);
	SHOW(vec(SYS_writev, 3, v, 4, 0));
	v[2].iov_len = 5;
	SHOW(vec(SYS_writev, 3, v, 4, 0));
	v[2].iov_len = -1;
	SHOW(vec(SYS_writev, 3, v, 4, 0));
	SHOW(vec(SYS_readv, 3, v, 4, 0));
	v[1].iov_len = LONG_MAX;
	v[2].iov_len = 1;
	SHOW(vec(SYS_writev, 3, v, 4, 0));
	v[1].iov_len = 1UL << 46;
	v[2].iov_len = 1UL << 46;
	rewind_to(5000);
	SHOW(vec(SYS_readv, 3, v, 4, 0));
	v[3].iov_len = -1;
	SHOW(vec(SYS_readv, 3, v, 4, 0));

	/* Good in part. */
	fill(3, 4);
	v[1].iov_base = (void *)0x1000;
	SHOW(lseek(3, 0, SEEK_END));
	SHOW(vec(SYS_writev, 3, v, 3, 0));
	SHOW(lseek(3, 0, SEEK_END));
	rewind_to(0);
	SHOW(vec(SYS_readv, 3, v, 3, 0));
	SHOW(lseek(3, 0, SEEK_CUR));
	v[0].iov_base = (void *)0x1000;
	v[1].iov_base = area;
	SHOW(vec(SYS_readv, 3, v, 3, 0));
	SHOW(vec(SYS_writev, 3, v, 3, 0));
	v[0].iov_base = (void *)0xffff800000000000;
	SHOW(vec(SYS_readv, 3, v, 3, 0));
	v[0].iov_base = area;
	v[2].iov_base = (void *)0xffff800000000000;
	SHOW(vec(SYS_readv, 3, v, 3, 0));
	v[2].iov_len = 0;
	SHOW(vec(SYS_readv, 3, v, 3, 0));
	v[1].iov_len = 0;
	v[1].iov_base = (void *)0x1000;
	SHOW(vec(SYS_readv, 3, v, 3, 0));

	/* A buffer, and the array itself, that end at a page that is not there. */
	v[0] = (struct iovec){ page + 8192 - 6, 10 };
	v[1] = (struct iovec){ area, 10 };
	rewind_to(0);
	SHOW(vec(SYS_readv, 3, v, 2, 0));
	SHOW(lseek(3, 0, SEEK_CUR));
	rewind_to(0);
	SHOW(vec(SYS_writev, 3, v, 2, 0));
	SHOW(lseek(3, 0, SEEK_CUR));
	SHOW(read(3, page + 8192 - 100, 200));
	SHOW(write(3, page + 8192 - 100, 200));
	SHOW(read(3, page + 8192, 1));
	SHOW(read(3, page + 8192, 0));
	struct iovec *last = (struct iovec *)(page + 8192) - 2;
	last[0] = (struct iovec){ area, 1 };
	last[1] = (struct iovec){ area, 1 };
	SHOW(vec(SYS_readv, 3, last, 2, 0));
	SHOW(vec(SYS_readv, 3, last, 3, 0));
	SHOW(vec(SYS_readv, 3, last + 1, 2, 0));

	/* The same buffer twice; the array among what is read. */
	v[0] = (struct iovec){ area, 4 };
	v[1] = (struct iovec){ area + 2, 4 };
	SHOW(pwrite(3, "12345678", 8, 0));
	rewind_to(0);
	SHOW(vec(SYS_readv, 3, v, 2, 0));
	printf("%.6s\n", area);
	v[0] = (struct iovec){ v, 16 };
	v[1] = (struct iovec){ area, 4 };
	rewind_to(0);
	SHOW(vec(SYS_readv, 3, v, 2, 0));

	/* Where appended bytes go. */
	SHOW(open("f", O_WRONLY | O_APPEND));
	v[0] = (struct iovec){ "app", 3 };
	v[1] = (struct iovec){ "end", 3 };
	SHOW(vec(SYS_writev, 4, v, 2, 0));
	SHOW(vec(SYS_pwritev, 4, v, 2, 1));
	SHOW(lseek(4, 0, SEEK_CUR));
	SHOW(lseek(3, 0, SEEK_END));
	SHOW(write(3, "more", 4));
	SHOW(write(4, "last", 4));
	SHOW(lseek(4, 0, SEEK_CUR));
	SHOW(vec(SYS_readv, 4, v, 1, 0));
	return 0;
}
