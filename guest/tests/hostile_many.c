/*
 * Makes one thing without end, until it is refused, and says how many there
 * were and with what errno. `hostile_many WHAT`
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* More than may be had of anything. */
#define ENOUGH 2000000

static char page[4096];

/* A thread that needs no memory: it waits for ever. */
static long thread(void)
{
	static char stack[4096] __attribute__((aligned(16)));
	long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
		     CLONE_THREAD | CLONE_SYSVSEM;
	long r;

	/* The child makes one call again and again, and uses no stack. */
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n"
			 "2:\tmov $34, %%eax\n\t" /* pause */
			 "syscall\n\t"
			 "jmp 2b\n"
			 "1:"
			 : "=a"(r)
			 : "a"(SYS_clone), "D"(flags), "S"(stack + sizeof stack),
			   "d"(0)
			 : "rcx", "r11", "memory");
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

static long filled(void)
{
	int fds[2];

	if (pipe2(fds, O_NONBLOCK) < 0)
		return -1;
	fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
	while (write(fds[1], page, sizeof page) > 0)
		;
	uint64_t most = 0xfffffffffffffffe;
	int event = eventfd(0, EFD_NONBLOCK);
	if (event < 0)
		return -1;
	write(event, &most, sizeof most);
	write(event, &most, sizeof most);
	return 0;
}

/* Each epoll waits for the one before. */
static long nest(long n)
{
	static int last = -1;
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(0);

	(void)n;
	if (fd < 0)
		return -1;
	if (last >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, last, &event) < 0) {
		/* As deep as may be: then as wide. */
		if (errno != EINVAL && errno != ELOOP)
			return -1;
		close(fd);
		fd = epoll_create1(0);
		if (fd < 0)
			return -1;
		last = -1;
	}
	epoll_wait(fd, &event, 1, 0);
	last = fd;
	return 0;
}

/* Alternating protection, so that none joins the one before. */
static long area(long n)
{
	int prot = n % 2 ? PROT_READ : PROT_READ | PROT_WRITE;

	return mmap((void *)(0x100000000000 + n * 4096), 4096, prot,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		    0) == MAP_FAILED ? -1 : 0;
}

static long memory(int flags, int touch)
{
	char *at = mmap(0, 1 << 22, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (at == MAP_FAILED)
		return -1;
	for (long i = 0; touch && i < 1 << 22; i += 4096)
		at[i] = 1;
	return 0;
}

static long timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	int id;

	return syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id);
}

static long queued(void)
{
	union sigval value = { .sival_int = 1 };

	return sigqueue(getpid(), SIGRTMIN, value);
}

static long make(const char *what, long n)
{
	int fds[2];

	if (strcmp(what, "threads") == 0)
		return thread();
	if (strcmp(what, "opens") == 0)
		return open("file", O_RDWR | O_CREAT, 0644);
	if (strcmp(what, "pipes") == 0)
		return pipe(fds);
	if (strcmp(what, "filled") == 0)
		return filled();
	if (strcmp(what, "nests") == 0)
		return nest(n);
	if (strcmp(what, "sockets") == 0)
		return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
	if (strcmp(what, "areas") == 0)
		return area(n);
	if (strcmp(what, "memory") == 0)
		return memory(0, 0);
	if (strcmp(what, "touched") == 0)
		return memory(MAP_NORESERVE, 1);
	if (strcmp(what, "timers") == 0)
		return timer();
	if (strcmp(what, "memfds") == 0)
		return memfd_create("m", 0);
	if (strcmp(what, "queue") == 0)
		return queued();
	errno = 0;
	return -1;
}

int main(int argc, char **argv)
{
	sigset_t all;
	long n = 0;

	if (argc < 2)
		return 2;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, 0);
	while (n < ENOUGH && make(argv[1], n) >= 0)
		n++;
	int refused = errno;
	char text[64];
	int length = snprintf(text, sizeof text, "%ld made, then %d\n", n,
			      n < ENOUGH ? refused : 0);

	write(1, text, (size_t)length);
	_exit(0);
}
