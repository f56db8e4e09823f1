/*
 * exec.c: puts itself in its own place, again and again, and shows what is left
 * of the program before. exec.c STAGE [ARGUMENTS]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <xmmintrin.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "../scratchvm.h"
#include "show.h"

extern char **environ;

/* No address of anything; the compiler cannot tell. */
static void *volatile bad = (void *)8;

static void handler(int signal)
{
	(void)signal;
}

static void show_start(int argc, char **argv)
{
	char name[16] = "", path[4096] = "";

	for (int i = 0; i < argc; i++)
		printf("argv[%d] = \"%s\"\n", i, argv[i]);
	for (char **at = environ; argc > 2 && *at; at++)
		printf("environment: \"%s\"\n", *at);
	prctl(PR_GET_NAME, name);
	printf("name %s, %s\n", argc > 1 ? name : "", gettid() == getpid() ? "first" : "other");
	SHOW_OK(readlink("/proc/self/exe", path, sizeof path - 1));
	printf("%s\n", strrchr(path, '/'));
	fflush(stdout);
}

/* Programs that cannot be run: this one goes on. */
static void refused(void)
{
	char *argv[] = { "x", 0 }, *none[] = { 0 };
	static char large[200 * 1024];
	int fd;

	SHOW(execve("missing", argv, none));
	SHOW(execve("", argv, none));
	SHOW(execve(".", argv, none));
	SHOW(execve(bad, argv, none));
	SHOW(close(open("plain", O_CREAT | O_WRONLY, 0644)));
	SHOW(execve("plain", argv, none));
	SHOW(chmod("plain", 0755));
	SHOW(execve("plain", argv, none));
	SHOW(execve("plain/below", argv, none));
	fd = open("script", O_CREAT | O_WRONLY, 0755);
	SHOW(write(fd, "#!./missing\n", 12));
	close(fd);
	SHOW(execve("./script", argv, none));
	fd = open("endless", O_CREAT | O_WRONLY, 0755);
	SHOW(write(fd, "#!./endless\n", 12));
	close(fd);
	SHOW(execve("./endless", argv, none));
	fd = open("short", O_CREAT | O_WRONLY, 0755);
	SHOW(write(fd, "\177ELF\2\1\1", 7));
	close(fd);
	SHOW(execve("./short", argv, none));
	SHOW(symlink("loop", "loop"));
	SHOW(execve("loop", argv, none));
	memset(large, 'x', sizeof large - 1);
	argv[0] = large;
	SHOW(execve("/proc/self/exe", argv, none));
	SHOW(execve("/proc/self/exe", bad, none));
	argv[0] = bad;
	SHOW(execve("/proc/self/exe", argv, none));
	argv[0] = "x";
	SHOW(execve("/proc/self/exe", argv, bad));
	SHOW(syscall(SYS_execveat, AT_FDCWD, "", argv, none, 0));
	SHOW(syscall(SYS_execveat, AT_FDCWD, "plain", argv, none, 0x4000));
	SHOW(syscall(SYS_execveat, 99, "", argv, none, AT_EMPTY_PATH));
	SHOW(syscall(SYS_execveat, AT_FDCWD, "loop", argv, none,
		     AT_SYMLINK_NOFOLLOW));
	fflush(stdout);
}

/* What is given up, and what is kept. */
static void prepare(void)
{
	static char stack[65536];
	stack_t own = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction action = { .sa_handler = handler };
	struct itimerval alarm = { .it_value = { .tv_sec = 1000 } };
	sigset_t set;
	timer_t timer;

	SHOW(open("kept", O_CREAT | O_RDWR, 0644));
	SHOW(open("closed", O_CREAT | O_RDWR | O_CLOEXEC, 0644));
	SHOW(write(3, "kept", 4));
	SHOW(sigaltstack(&own, 0));
	SHOW(sigaction(SIGUSR1, &action, 0));
	SHOW(signal(SIGUSR2, SIG_IGN) == SIG_ERR);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	SHOW(sigprocmask(SIG_BLOCK, &set, 0));
	SHOW(raise(SIGHUP));
	SHOW(timer_create(CLOCK_MONOTONIC, 0, &timer));
	SHOW(setitimer(ITIMER_REAL, &alarm, 0));
	_mm_setcsr(0x3f80);
	SHOW(umask(027));
	SHOW(mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
	     == MAP_FAILED);
	SHOW(prctl(PR_SET_NAME, "renamed"));
	fflush(stdout);
}

static void show_left(void)
{
	stack_t own;
	struct sigaction action;
	struct itimerval alarm;
	struct itimerspec left;
	sigset_t set;
	char text[8] = "";

	SHOW(lseek(3, 0, SEEK_CUR));
	SHOW(pread(3, text, 7, 0));
	puts(text);
	SHOW(fcntl(4, F_GETFD));
	SHOW(sigaltstack(0, &own));
	printf("stack %d\n", own.ss_flags);
	SHOW(sigaction(SIGUSR1, 0, &action));
	printf("handler %d\n", action.sa_handler == SIG_DFL);
	SHOW(sigaction(SIGUSR2, 0, &action));
	printf("ignored %d\n", action.sa_handler == SIG_IGN);
	SHOW(sigprocmask(SIG_BLOCK, 0, &set));
	printf("blocked %d\n", sigismember(&set, SIGHUP));
	SHOW(sigpending(&set));
	printf("pending %d\n", sigismember(&set, SIGHUP));
	SHOW(timer_gettime((timer_t)0, &left));
	SHOW(getitimer(ITIMER_REAL, &alarm));
	printf("alarm %d\n", alarm.it_value.tv_sec > 0);
	printf("mxcsr %x\n", _mm_getcsr());
	SHOW(umask(022));
	SHOW(msync((void *)0x10000000, 4096, MS_ASYNC));
	fflush(stdout);
}

static char *self;

static void become(const char *stage)
{
	char *argv[] = { self, (char *)stage, "two words", "\377", "", 0 };
	char *with[] = { "A=1", "B=\376 x", 0 };

	execve("/proc/self/exe", argv, with);
	printf("%s: %d\n", stage, errno);
	exit(1);
}

static void *spin(void *unused)
{
	(void)unused;
	for (;;)
		sched_yield();
	return 0;
}

static void *sleeper(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return 0;
}

/* A thread that is not the first takes the first one's place. */
static void *becoming(void *unused)
{
	(void)unused;
	become("left");
	return 0;
}

static void threaded(void)
{
	pthread_t thread;

	pthread_create(&thread, 0, spin, 0);
	pthread_create(&thread, 0, sleeper, 0);
	pthread_create(&thread, 0, becoming, 0);
	pthread_join(thread, 0);
}

/* A program that begins at an address that is none. */
static void nowhere(void)
{
	static char bytes[4 << 20];
	char *argv[] = { "x", 0 };
	int from = open("/proc/self/exe", O_RDONLY);
	int to = open("nowhere", O_CREAT | O_WRONLY, 0755);
	ssize_t length = read(from, bytes, sizeof bytes);

	*(unsigned long *)(bytes + 24) = 1UL << 52;
	SHOW(write(to, bytes, length) == length);
	SHOW(close(to));
	fflush(stdout);
	execve("./nowhere", argv, argv + 1);
}

int main(int argc, char **argv)
{
	const char *stage = argc > 1 ? argv[1] : argv[0][0] ? "refused" : "";

	self = argv[0];
	show_start(argc, argv);
	if (!strcmp(stage, "refused")) {
		refused();
		become("prepare");
	} else if (!strcmp(stage, "prepare")) {
		prepare();
		SAVE();
		threaded();
	} else if (!strcmp(stage, "left")) {
		show_left();
		SAVE();
		int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
		char *none[] = { 0 };
		SHOW(close(open("twice", O_CREAT | O_WRONLY, 0644)));
		fflush(stdout);
		syscall(SYS_execveat, fd, "", none, none, AT_EMPTY_PATH);
		printf("fexecve: %d\n", errno);
	} else if (!strcmp(stage, "nowhere")) {
		nowhere();
	} else {
		puts("the end");
	}
	return 3;
}
