/*
 * badptr.c args | all NUMBER…: system calls with wrong pointers and lengths.
 *
 * With "args", each call of a table is made with one argument wrong at a time,
 * the others right; each result and errno is printed. With "all", each call
 * whose NUMBER is given is made with every argument wrong at once.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

#define PAGE 4096UL
#define ROOM (16 * PAGE)

enum kind {
	END, /* no more arguments */
	PLAIN, /* a number that is right */
	OUT, /* written to: `value` bytes */
	IN, /* read from: `value` bytes, copied from `data` */
	PATH, /* a path: `data` */
	LENGTH, /* of the buffer in the argument before */
	COUNT, /* of structures in the argument before */
};

struct argument {
	enum kind kind;
	long value;
	const void *data;
};

struct call {
	const char *name;
	long number;
	struct argument arguments[6];
};

static const struct { void *base; size_t n; } vec_in = { "vector", 6 };
static struct { void *base; size_t n; } vec_out;
static const long soon[2] = { 0, 1000 };
static const struct { int fd; short events, got; } to_poll = { 3, 1, 0 };
static const unsigned long to_select = 1 << 3;
static const long no_mask[2] = { 0, 8 };
static const long limit[2] = { -1, -1 };
static const long action[4] = { 1, 0, 0, 0 };
static const unsigned long mask;
static const struct { void *sp; int flags; size_t n; } no_stack = { 0, 2, 0 };
static const int number = 1;
/* A struct sched_attr that keeps policy and nice value. */
static const long attributes[6] = { 48, 0x18 };

#define FD3 { PLAIN, 3, 0 }
#define HERE { PLAIN, AT_FDCWD, 0 }
#define N(v) { PLAIN, v, 0 }
#define P(path) { PATH, 0, path }
#define LEN(v) { LENGTH, v, 0 }
#define CNT(v) { COUNT, v, 0 }
#define TO(n) { OUT, n, 0 }
#define FROM(n, what) { IN, n, what }

static const struct call calls[] = {
	{ "read", SYS_read, { FD3, TO(100), LEN(100) } },
	{ "write", SYS_write, { FD3, FROM(100, calls), LEN(100) } },
	{ "pread64", SYS_pread64, { FD3, TO(100), LEN(100), N(5) } },
	{ "pwrite64", SYS_pwrite64, { FD3, FROM(100, calls), LEN(100), N(5) } },
	{ "readv", SYS_readv, { FD3, FROM(16, &vec_out), CNT(1) } },
	{ "writev", SYS_writev, { FD3, FROM(16, &vec_in), CNT(1) } },
	{ "preadv", SYS_preadv, { FD3, FROM(16, &vec_out), CNT(1), N(0) } },
	{ "pwritev", SYS_pwritev, { FD3, FROM(16, &vec_in), CNT(1), N(0) } },
	{ "open", SYS_open, { P("f"), N(O_RDONLY) } },
	{ "openat", SYS_openat, { HERE, P("f"), N(O_RDONLY) } },
	{ "creat", SYS_creat, { P("c"), N(0644) } },
	{ "stat", SYS_stat, { P("f"), TO(144) } },
	{ "lstat", SYS_lstat, { P("f"), TO(144) } },
	{ "fstat", SYS_fstat, { FD3, TO(144) } },
	{ "newfstatat", SYS_newfstatat, { HERE, P("f"), TO(144), N(0) } },
	{ "statx", 332, { HERE, P("f"), N(0), N(0x7ff), TO(256) } },
	{ "access", SYS_access, { P("f"), N(0) } },
	{ "faccessat", SYS_faccessat, { HERE, P("f"), N(0) } },
	{ "faccessat2", 439, { HERE, P("f"), N(0), N(0) } },
	{ "readlink", SYS_readlink, { P("link"), TO(10), LEN(10) } },
	{ "readlinkat", SYS_readlinkat, { HERE, P("link"), TO(10), LEN(10) } },
	{ "truncate", SYS_truncate, { P("f"), LEN(10) } },
	{ "ftruncate", SYS_ftruncate, { FD3, LEN(10) } },
	{ "getcwd", SYS_getcwd, { TO(4096), LEN(4096) } },
	{ "chdir", SYS_chdir, { P(".") } },
	{ "mkdir", SYS_mkdir, { P("d"), N(0755) } },
	{ "mkdirat", SYS_mkdirat, { HERE, P("d"), N(0755) } },
	{ "rename", SYS_rename, { P("c"), P("c2") } },
	{ "renameat", SYS_renameat, { HERE, P("c2"), HERE, P("c") } },
	{ "renameat2", 316, { HERE, P("c"), HERE, P("c2"), N(0) } },
	{ "link", SYS_link, { P("f"), P("c3") } },
	{ "linkat", SYS_linkat, { HERE, P("f"), HERE, P("c3"), N(0) } },
	{ "symlink", SYS_symlink, { P("f"), P("c3") } },
	{ "symlinkat", SYS_symlinkat, { P("f"), HERE, P("c3") } },
	{ "rmdir", SYS_rmdir, { P("d") } },
	{ "unlink", SYS_unlink, { P("c2") } },
	{ "unlinkat", SYS_unlinkat, { HERE, P("c"), N(0) } },
	{ "getdents64", SYS_getdents64, { N(4), TO(1000), LEN(1000) } },
	{ "pipe", SYS_pipe, { TO(8) } },
	{ "pipe2", SYS_pipe2, { TO(8), N(O_CLOEXEC) } },
	{ "poll", SYS_poll, { FROM(8, &to_poll), CNT(1), N(0) } },
	{ "ppoll", SYS_ppoll, { FROM(8, &to_poll), CNT(1), FROM(16, soon),
				FROM(8, &mask), N(8) } },
	{ "select", SYS_select, { N(6), FROM(8, &to_select), TO(8), TO(8),
				  FROM(16, soon) } },
	{ "pselect6", SYS_pselect6, { N(6), FROM(8, &to_select), TO(8), TO(8),
				      FROM(16, soon), FROM(16, no_mask) } },
	{ "ioctl FIONREAD", SYS_ioctl, { N(5), N(0x541b), TO(4) } },
	{ "ioctl FIONBIO", SYS_ioctl, { N(5), N(0x5421), FROM(4, &number) } },
	{ "ioctl TCGETS", SYS_ioctl, { N(5), N(0x5401), TO(36) } },
	{ "fcntl F_GETLK", SYS_fcntl, { N(99), N(5), FROM(32, action) } },
	{ "rt_sigaction", SYS_rt_sigaction, { N(10), FROM(32, action), TO(32),
					      N(8) } },
	{ "rt_sigprocmask", SYS_rt_sigprocmask, { N(2), FROM(8, &mask), TO(8),
						  N(8) } },
	{ "rt_sigpending", SYS_rt_sigpending, { TO(8), N(8) } },
	{ "sigaltstack", SYS_sigaltstack, { FROM(24, &no_stack), TO(24) } },
	{ "nanosleep", SYS_nanosleep, { FROM(16, soon), TO(16) } },
	{ "clock_nanosleep", SYS_clock_nanosleep, { N(1), N(0), FROM(16, soon),
						    TO(16) } },
	{ "clock_gettime", SYS_clock_gettime, { N(1), TO(16) } },
	{ "clock_getres", SYS_clock_getres, { N(1), TO(16) } },
	{ "gettimeofday", SYS_gettimeofday, { TO(16), TO(8) } },
	{ "time", SYS_time, { TO(8) } },
	{ "times", SYS_times, { TO(32) } },
	{ "uname", SYS_uname, { TO(390) } },
	{ "sysinfo", SYS_sysinfo, { TO(112) } },
	{ "getrusage", SYS_getrusage, { N(0), TO(144) } },
	{ "getrlimit", SYS_getrlimit, { N(0), TO(16) } },
	{ "setrlimit", SYS_setrlimit, { N(0), FROM(16, limit) } },
	{ "prlimit64", SYS_prlimit64, { N(0), N(0), FROM(16, limit), TO(16) } },
	{ "getrandom", 318, { TO(64), LEN(64), N(0) } },
	{ "getcpu", SYS_getcpu, { TO(4), TO(4), N(0) } },
	{ "sched_getaffinity", SYS_sched_getaffinity, { N(0), N(128), TO(1024) } },
	{ "sched_rr_get_interval", SYS_sched_rr_get_interval, { N(0), TO(16) } },
	{ "sched_getattr", SYS_sched_getattr, { N(0), TO(48), N(48), N(0) } },
	{ "sched_setattr", SYS_sched_setattr, { N(0), FROM(48, attributes),
						N(0) } },
	{ "prctl PR_GET_PDEATHSIG", SYS_prctl, { N(2), TO(4) } },
	{ "prctl PR_SET_NAME", SYS_prctl, { N(15), FROM(16, "a name") } },
	{ "prctl PR_GET_NAME", SYS_prctl, { N(16), TO(16) } },
	{ "arch_prctl ARCH_GET_FS", SYS_arch_prctl, { N(0x1003), TO(8) } },
	{ "getresuid", SYS_getresuid, { TO(4), TO(4), TO(4) } },
	{ "getresgid", SYS_getresgid, { TO(4), TO(4), TO(4) } },
};

static char *room; /* ends at a page that is not there */
static char *fixed; /* a page that is read only, after it one that is not */
static char *closed; /* a page that may not be used at all */

/* A right argument, in room of its own. */
static long right(const struct argument *a, int i)
{
	char *at = room + (unsigned long)i * 2 * PAGE;

	switch (a->kind) {
	case OUT:
		memset(at, 0, 2 * PAGE);
		return (long)at;
	case IN:
		memcpy(at, a->data, (size_t)a->value);
		return (long)at;
	case PATH:
		strcpy(at, a->data);
		return (long)at;
	default:
		return a->value;
	}
}

/* Every call finds the same files. */
static void prepare(void)
{
	static char content[300];

	memset(content, 'x', sizeof content);
	close(3);
	close(4);
	for (int fd = 7; fd < 40; fd++)
		close(fd);
	rmdir("d");
	unlink("c3");
	close(open("c", O_WRONLY | O_CREAT, 0644));
	close(open("c2", O_WRONLY | O_CREAT, 0644));
	if (open("f", O_RDWR | O_CREAT | O_TRUNC, 0644) != 3 ||
	    write(3, content, sizeof content) != sizeof content ||
	    lseek(3, 0, SEEK_SET) != 0 || open(".", O_RDONLY) != 4)
		printf("cannot prepare: %d\n", errno);
	vec_out.base = room + 15 * PAGE;
	vec_out.n = 50;
}

static long make(const struct call *c, int wrong, long value)
{
	long a[6] = { 0 };

	prepare();
	for (int i = 0; i < 6; i++)
		a[i] = i == wrong ? value : right(&c->arguments[i], i);
	return syscall(c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void show(const struct call *c, int i, const char *what, long value)
{
	errno = 0;
	long r = make(c, i, value);

	/* A time or an amount says nothing; how many bytes moved does. */
	if (r > 0 && (c->number == SYS_time || c->number == SYS_times ||
		      c->number == SYS_getcwd || c->number == SYS_getdents64 ||
		      c->number == SYS_sched_getaffinity))
		r = 1;
	printf("%s, argument %d %s: %ld %d\n", c->name, i, what, r,
	       r < 0 ? errno : 0);
}

static void wrong_pointers(const struct call *c, int i)
{
	const struct argument *a = &c->arguments[i];
	char *end = room + ROOM;

	show(c, i, "NULL", 0);
	show(c, i, "low", 0x1000);
	show(c, i, "after the room", (long)end);
	show(c, i, "unusable", (long)closed);
	show(c, i, "kernel's", (long)0xffff800000003000);
	show(c, i, "kernel's stub", (long)0xffffffff81000000);
	show(c, i, "not canonical", 0x1234567890000000);
	show(c, i, "just not canonical", 0x800000000000);
	show(c, i, "end of user space", 0x7ffffffff000);
	show(c, i, "across that end", 0x7fffffffeffc);
	show(c, i, "-1", -1);
	show(c, i, "-8", -8);
	show(c, i, "-4096", -4096);
	show(c, i, "lowest negative", (long)(1UL << 63));
	if (a->kind == OUT) {
		show(c, i, "read only", (long)fixed);
		show(c, i, "cut after 1", (long)(end - 1));
		show(c, i, "cut after 3", (long)(end - 3));
		show(c, i, "from read only", (long)(fixed + PAGE - 2));
		if (a->value > 4)
			show(c, i, "cut before the last", (long)(end - a->value + 1));
		show(c, i, "just fits", (long)(end - a->value));
	} else if (a->kind == IN) {
		memcpy(end - a->value, a->data, (size_t)a->value);
		show(c, i, "just fits", (long)(end - a->value));
		memcpy(end - a->value + 1, a->data, (size_t)a->value - 1);
		show(c, i, "cut before the last", (long)(end - a->value + 1));
		end[-1] = 0;
		show(c, i, "cut after 1", (long)(end - 1));
	} else {
		memset(end - PAGE, 'n', PAGE);
		show(c, i, "without an end", (long)(end - PAGE));
		show(c, i, "short without an end", (long)(end - 1));
		strcpy(end - strlen(a->data) - 1, a->data);
		show(c, i, "just fits", (long)(end - strlen(a->data) - 1));
		end[-1] = 0;
		show(c, i, "empty", (long)(end - 1));
		char *at = room + 12 * PAGE;
		memset(at, 'n', 2 * PAGE);
		at[2 * PAGE - 1] = 0;
		show(c, i, "too long", (long)at);
		/* The longest path there is, and one byte more. */
		for (int more = 0; more < 2; more++) {
			char *name = at + PAGE - 1 - strlen(a->data) + more;

			memset(at, '/', PAGE);
			*at = '.';
			strcpy(name, a->data);
			show(c, i, more ? "4096 bytes" : "4095 bytes", (long)at);
		}
	}
}

static void wrong_lengths(const struct call *c, int i)
{
	static const struct { const char *name; long value; } all[] = {
		{ "0", 0 }, { "1", 1 }, { "-1", -1 }, { "-4096", -4096 },
		{ "2^31 - 1", 0x7fffffff }, { "2^31", 0x80000000 },
		{ "2^32 - 1", 0xffffffff }, { "2^32", 0x100000000 },
		{ "2^47", 1L << 47 }, { "2^53", 1L << 53 },
		{ "2^53 + 1", (1L << 53) + 1 }, { "2^62", 1L << 62 },
		{ "2^63 - 1", 0x7fffffffffffffff }, { "-2^63", (long)(1UL << 63) },
	};

	for (unsigned n = 0; n < sizeof all / sizeof *all; n++) {
		long value = all[n].value;

		/* As a new file's size these depend on the file system. */
		if ((c->number == SYS_truncate || c->number == SYS_ftruncate) &&
		    value > 1 && value < 1L << 62)
			continue;
		/* Counts are of 32 bits: what is above is cut off. */
		show(c, i, all[n].name, value);
	}
}

static void one_by_one(void)
{
	for (unsigned n = 0; n < sizeof calls / sizeof *calls; n++) {
		const struct call *c = &calls[n];

		show(c, -1, "all right", 0);
		for (int i = 0; i < 6 && c->arguments[i].kind != END; i++) {
			enum kind kind = c->arguments[i].kind;

			if (kind == OUT || kind == IN || kind == PATH)
				wrong_pointers(c, i);
			else if (kind == LENGTH || kind == COUNT)
				wrong_lengths(c, i);
		}
	}
}

static void all_wrong(long n)
{
	static const struct { const char *name; long value; } all[] = {
		{ "0", 0 },
		{ "beyond user space", 0x2000001000000 },
		{ "kernel's", (long)0xffff8000f0003000 },
		{ "not canonical", 0x12345678f0000000 },
		{ "end of user space", 0x7ffffffff000 },
		{ "-1", -1 },
		{ "lowest negative", (long)(1UL << 63) },
	};

	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		long v = all[i].value;

		/* Wait for ever, as they should. */
		if ((n == SYS_ppoll || n == SYS_select || n == SYS_pselect6) &&
		    v == 0)
			continue;
		errno = 0;
		long r = syscall(n, v, v, v, v, v, v);
		printf("%ld %s: %s %d\n", n, all[i].name, r < 0 && r > -4096 ?
		       "-1" : "ok", r < 0 && r > -4096 ? errno : 0);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static char buffer[1 << 16];
	int fds[2];

	setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
	room = mmap(0, ROOM + PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(room + ROOM, PAGE);
	fixed = mmap(0, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(fixed + PAGE, PAGE, PROT_READ | PROT_WRITE);
	closed = mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	close(open("f", O_WRONLY | O_CREAT, 0644));
	dup2(0, 3);
	dup2(0, 4);
	if (pipe(fds) || fds[0] != 5)
		return 1;
	if (argc == 2) {
		one_by_one();
		prepare();
	}
	for (int i = 2; i < argc; i++)
		all_wrong(atol(argv[i]));
	printf("end\n");
	return 0;
}
