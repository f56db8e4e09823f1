/*
 * refused.c: calls that ask for what there is not, and which errno says so.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

/* linux/futex.h, which musl-gcc does not find. */
#define WAIT 0
#define WAKE 1
#define REQUEUE 3
#define CMP_REQUEUE 4
#define WAKE_OP 5
#define LOCK_PI 6
#define UNLOCK_PI 7
#define TRYLOCK_PI 8
#define WAIT_BITSET 9
#define WAKE_BITSET 10
#define LOCK_PI2 13
#define PRIVATE 128
#define REALTIME 256

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif
#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 3
#endif

#define FUTEX(...) syscall(SYS_futex, __VA_ARGS__)

static unsigned word, other;
static const long soon[2] = { 0, 1000 };

static void futex_at(long at, long private)
{
	printf("futex at %lx, %ld\n", at, private);
	SHOW(FUTEX(at, WAIT | private, 0, soon));
	SHOW(FUTEX(at, WAKE | private, 1));
	SHOW(FUTEX(at, WAIT_BITSET | private, 0, soon, 0, -1));
	SHOW(FUTEX(at, WAKE_BITSET | private, 1, 0, 0, -1));
	SHOW(FUTEX(at, REQUEUE | private, 1, 1, &word));
	SHOW(FUTEX(&word, REQUEUE | private, 1, 1, at));
	SHOW(FUTEX(at, CMP_REQUEUE | private, 1, 1, &word, 0));
	SHOW(FUTEX(&word, CMP_REQUEUE | private, 1, 1, at, 0));
	SHOW(FUTEX(&word, CMP_REQUEUE | private, 1, 1, at, 9));
	SHOW(FUTEX(at, WAKE_OP | private, 1, 1, &other, 0));
	SHOW(FUTEX(&word, WAKE_OP | private, 1, 1, at, 0));
	SHOW(FUTEX(at, LOCK_PI | private, 0, soon));
	SHOW(FUTEX(at, UNLOCK_PI | private, 0));
	SHOW(FUTEX(at, TRYLOCK_PI | private, 0));
	SHOW(FUTEX(at, LOCK_PI2 | private, 0, soon));
}

static void futexes(void)
{
	/* Not there, too high, and none that a program can have, odd as well. */
	static const long where[] = {
		0, 0x10000000, 1L << 53, 1L << 60, (1L << 60) + 1,
		(long)0xffff800000003000, -1, -4, -8,
	};

	for (unsigned i = 0; i < sizeof where / sizeof *where; i++) {
		futex_at(where[i], 0);
		futex_at(where[i], PRIVATE);
	}
	SHOW(FUTEX((char *)&word + 1, UNLOCK_PI, 0));
	SHOW(FUTEX(3, WAKE_OP, 1, 1, &word, 0xf0000000));
	SHOW(FUTEX(&word, WAKE_OP, 1, 1, 3, 0));
	SHOW(FUTEX(&word, WAKE_OP, 1, 1, &other, 0x70000000));
	SHOW(FUTEX(&word, WAKE_OP, 1, 1, &other, 0x0f000000));
	/* Which of them may be given a time of CLOCK_REALTIME. */
	SHOW(FUTEX(&word, WAIT | REALTIME, 0, soon));
	SHOW(FUTEX(&word, WAIT | REALTIME | PRIVATE, 1, soon));
	SHOW(FUTEX(&word, WAIT | REALTIME, 0, 8));
	SHOW(FUTEX(&word, WAIT_BITSET | REALTIME, 0, soon, 0, -1));
	SHOW(FUTEX(&word, WAKE | REALTIME, 1));
	SHOW(FUTEX(&word, WAKE | REALTIME, 1, 8));
	SHOW(FUTEX(&word, LOCK_PI | REALTIME, 0, soon));
	SHOW(FUTEX(&word, LOCK_PI | REALTIME, 0, 8));
	SHOW(FUTEX(&word, LOCK_PI2 | REALTIME, 0, soon));
	SHOW(FUTEX(&word, UNLOCK_PI, 0));
}

static long map(long prot, long flags, int fd)
{
	void *at = (void *)syscall(SYS_mmap, 0, 4096, prot, flags, fd, 0);

	if (at == MAP_FAILED)
		return -1;
	munmap(at, 4096);
	return 0;
}

static void mappings(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	int reads = open("f", O_RDONLY);
	char *at = mmap(0, 4 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	int pipes[2];

	SHOW(ftruncate(fd, 4096));
	SHOW(pipe(pipes));
	for (long type = MAP_SHARED; type <= MAP_SHARED_VALIDATE; type++) {
		printf("mmap %ld\n", type);
		SHOW(map(PROT_READ, type | MAP_GROWSDOWN, fd));
		SHOW(map(PROT_READ, type | MAP_GROWSDOWN, pipes[0]));
		SHOW(map(PROT_READ, type | MAP_GROWSDOWN | MAP_ANONYMOUS, -1));
		SHOW(map(PROT_WRITE, type | MAP_GROWSDOWN, reads));
		SHOW(map(PROT_READ, type | MAP_HUGETLB, fd));
		SHOW(map(PROT_READ, type | MAP_HUGETLB, 99));
		SHOW(map(PROT_READ, type | MAP_DENYWRITE | MAP_LOCKED, fd));
		SHOW(map(PROT_READ, type | 1L << 32, fd));
		SHOW(map(PROT_READ, type | 1L << 21, fd));
	}
	SHOW(map(PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd));
	SHOW(map(PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, pipes[0]));
	SHOW(map(PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC | MAP_ANONYMOUS, -1));
	SHOW(syscall(SYS_mremap, at, 4096, 4096, 0x100000001));
	SHOW(syscall(SYS_mremap, at, 4096, 8192, 1L << 32));
	SHOW(syscall(SYS_mremap, at, 4096, 4096, 8));
	SHOW(unlink("f"));
}

static void links(void)
{
	char to[300], name[64];
	int fds[2], folder = open(".", O_RDONLY);

	SHOW(readlink("/proc/self/exe/", to, sizeof to));
	SHOW(readlink("/proc/self/exe/.", to, sizeof to));
	SHOW(readlink("/proc/self/exe/x", to, sizeof to));
	SHOW(open("/proc/self/exe/", O_RDONLY));
	SHOW(access("/proc/self/exe/", F_OK));
	SHOW(chdir("/proc/self/exe/"));
	SHOW(readlink("/proc/self/", to, sizeof to));
	SHOW(readlink("/proc/self/cwd/", to, sizeof to));
	SHOW(pipe(fds));
	snprintf(name, sizeof name, "/proc/self/fd/%d/", fds[0]);
	SHOW(readlink(name, to, sizeof to));
	SHOW(access(name, F_OK));
	SHOW(open(name, O_RDONLY));
	snprintf(name, sizeof name, "/proc/self/fd/%d/", folder);
	SHOW(readlink(name, to, sizeof to));
}

static void attributes_of(const char *what, int fd)
{
	static const char *const names[] = {
		"user.x", "system.x", "system.sockprotoname", "x", "",
	};
	char value[100] = { 0 };

	puts(what);
	SHOW(syscall(SYS_flistxattr, fd, 0, 0));
	SHOW(syscall(SYS_flistxattr, fd, value, sizeof value));
	puts(value);
	SHOW(syscall(SYS_flistxattr, fd, value, 1));
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		const char *name = names[i];

		printf("\"%s\"\n", name);
		memset(value, 0, sizeof value);
		SHOW(syscall(SYS_fgetxattr, fd, name, 0, 0));
		SHOW(syscall(SYS_fgetxattr, fd, name, value, sizeof value));
		puts(value);
		SHOW(syscall(SYS_fgetxattr, fd, name, value, 1));
		if (fd > 99)
			continue; /* what may be set depends on the user */
		SHOW(syscall(SYS_fsetxattr, fd, name, "v", 1, 0));
		SHOW(syscall(SYS_fremovexattr, fd, name));
	}
}

static void attributes(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	int fds[2];

	for (int i = 0; i < 3; i++) {
		SHOW(socketpair(AF_UNIX, types[i], 0, fds));
		attributes_of("socket", fds[0]);
	}
	SHOW(pipe(fds));
	attributes_of("pipe", fds[0]);
	attributes_of("its other end", fds[1]);
	SHOW(dup2(open("/proc/self/status", O_RDONLY), 100));
	attributes_of("file of /proc", 100);
}

static void actions(void)
{
	struct {
		long handler;
		unsigned long flags;
		long restorer, mask;
	} action = { 1, -1UL, 0, 0 };

	SHOW(syscall(SYS_rt_sigaction, 10, &action, 0, 8));
	SHOW(syscall(SYS_rt_sigaction, 10, 0, &action, 8));
	printf("%lx\n", action.flags);
	action.flags = 0x400; /* SA_UNSUPPORTED */
	SHOW(syscall(SYS_rt_sigaction, 10, &action, 0, 8));
	SHOW(syscall(SYS_rt_sigaction, 10, 0, &action, 8));
	printf("%lx\n", action.flags);
}

static void full_queue(void)
{
	static const int sent[] = { 12, 41, 43 };
	struct rlimit few = { 100, 100 };
	sigset_t set;
	long result = 0;
	int error;

	sigfillset(&set);
	SHOW(sigprocmask(SIG_BLOCK, &set, 0));
	SHOW(setrlimit(RLIMIT_SIGPENDING, &few));
	for (int i = 0; i < 100000 && result == 0; i++)
		result = syscall(SYS_tkill, getpid(), 40);
	error = errno;
	SHOW(result);
	printf("%d\n", error);
	SHOW(syscall(SYS_tgkill, getpid(), getpid(), 43));
	SHOW(syscall(SYS_tkill, getpid(), 12));
	SHOW(kill(getpid(), 41));
	SHOW(kill(getpid(), 41));
	sigpending(&set);
	for (int i = 0; i < 3; i++)
		printf("%d: %d\n", sent[i], sigismember(&set, sent[i]));
}

int main(void)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	futexes();
	mappings();
	links();
	attributes();
	actions();
	full_queue();
	return 0;
}
