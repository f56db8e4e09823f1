/*
 * Maps, unmaps and protects at random, while threads touch what may be there
 * at the moment, and pass it to system calls. `hostile_maps SEED ROUNDS`
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define BASE 0x100000000000UL
#define PAGE 4096UL
#define PAGES 1600UL /* a little more than three large pages */
#define THREADS 3

static __thread sigjmp_buf faulted;
static volatile long touched, faults;
static volatile int is_over;
static int file, pipe_ends[2];

static uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(faulted, 1);
}

static char *anywhere(uint64_t *s)
{
	/* Mostly close to where large pages begin. */
	uint64_t page = next(s) % 2 ? next(s) % PAGES :
				      next(s) % 4 * 512 + next(s) % 8;

	return (char *)BASE + page * PAGE + next(s) % PAGE;
}

static void touch(uint64_t *s)
{
	char *at = anywhere(s);
	struct iovec two[2] = { { anywhere(s), next(s) % 9000 },
				{ anywhere(s), next(s) % 9000 } };

	if (sigsetjmp(faulted, 1)) {
		__atomic_add_fetch(&faults, 1, __ATOMIC_RELAXED);
		return;
	}
	switch (next(s) % 8) {
	case 0:
		pread(file, at, next(s) % 9000, 0);
		break;
	case 1:
		pwrite(file, at, next(s) % 9000, 0);
		break;
	case 2:
		readv(pipe_ends[0], two, 2);
		break;
	case 3:
		writev(pipe_ends[1], two, 2);
		break;
	case 4:
	case 5:
		*(volatile char *)at = 1;
		break;
	default:
		*(volatile char *)at;
	}
	__atomic_add_fetch(&touched, 1, __ATOMIC_RELAXED);
}

static void *toucher(void *seed)
{
	uint64_t s = (uint64_t)seed;

	while (!is_over)
		touch(&s);
	return 0;
}

static void change(uint64_t *s)
{
	static const int prots[] = { PROT_NONE, PROT_READ,
				     PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_EXEC };
	char *at = (char *)((uint64_t)anywhere(s) & ~(PAGE - 1));
	char *to = (char *)((uint64_t)anywhere(s) & ~(PAGE - 1));
	size_t length = (next(s) % 3 ? next(s) % 9 + 1 : next(s) % 600 + 1) * PAGE;
	int prot = prots[next(s) % 5];

	switch (next(s) % 9) {
	case 0:
	case 1:
		mmap(at, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     -1, 0);
		break;
	case 2:
		mmap(at, length, prot, MAP_SHARED | MAP_FIXED, file, 0);
		break;
	case 3:
		mmap(at, length, prot, MAP_PRIVATE | MAP_FIXED, file, 0);
		break;
	case 4:
		munmap(at, length);
		break;
	case 5:
	case 6:
		mprotect(at, length, prot);
		break;
	case 7:
		mremap(at, length, (next(s) % 9 + 1) * PAGE,
		       MREMAP_MAYMOVE | MREMAP_FIXED, to);
		break;
	default:
		madvise(at, length, next(s) % 2 ? MADV_DONTNEED : 23);
	}
	if (next(s) % 50 == 0)
		ftruncate(file, (off_t)(next(s) % 100000));
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_fault };
	pthread_t threads[THREADS];

	if (argc != 3)
		return 2;
	uint64_t s = strtoull(argv[1], 0, 0) * 0x9e3779b97f4a7c15 | 1;
	long rounds = atol(argv[2]);

	sigaction(SIGSEGV, &action, 0);
	sigaction(SIGBUS, &action, 0);
	file = open("file", O_RDWR | O_CREAT, 0644);
	ftruncate(file, 50000);
	pipe2(pipe_ends, O_NONBLOCK);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], 0, toucher, (void *)next(&s));
	for (long n = 0; n < rounds; n++) {
		change(&s);
		touch(&s);
	}
	is_over = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], 0);
	char text[99];
	int length = snprintf(text, sizeof text,
			      "%ld rounds, %ld touched, %ld faults\n", rounds,
			      touched, faults);
	write(1, text, (size_t)length);
	_exit(0);
}
