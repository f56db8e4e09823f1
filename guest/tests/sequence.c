/*
 * Makes the system calls that a script names, and prints what came of each, so
 * that two runs can be compared. `sequence SCRIPT`; a script is lines:
 *
 *   sequence N                 all is fresh again, in a folder of its own
 *   write 3 @100 5             a call of sequence_calls.h
 *   peek @100  poke @100 7     a byte of memory
 *   monotone                   no clock goes back
 *   save                       SAVE(), which shows nothing
 *
 * A sequence begins with two pipes, 40 and 41, 42 and 43, and an epoll set, 44.
 *
 * Arguments: a number; @N, the arena's byte N; "path (to the line's end or the
 * next blank); {1,@2,3}, the address of these words; S, of a buffer; C, of one
 * that is never changed; R, what the call before gave.
 *
 * Needs glibc: close_range.
 */
#include "sequence_calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include "scratchvm.h"

#define PAGE 4096L
#define ARENA 0x100000000000L
#define ARENA_ROOM (16L << 20) /* what is cleared on both sides of it */
#define ARENA_PAGES 16 /* what is there at first */
#define ARGUMENTS 6
#define LITERAL_WORDS 16

static char script[8 << 20], output[1 << 16], home[4096], folder[64];
static size_t output_length;
static char *first_break;
static struct timespec clocks[3];

/* What arguments point to. */
static char paths[ARGUMENTS][8192];
static long literals[ARGUMENTS][LITERAL_WORDS];
static int literal_words[ARGUMENTS];
static char scratch[1 << 16] __attribute__((aligned(4096)));
static char constant[1 << 16] __attribute__((aligned(4096)));
static long result_before;

static void flush(void)
{
	for (size_t done = 0; done < output_length;) {
		ssize_t n = write(1, output + done, output_length - done);
		if (n <= 0)
			_exit(9);
		done += (size_t)n;
	}
	output_length = 0;
}

/* No memory is allocated: the program break is the script's. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list list;

	if (output_length > sizeof output - 8192)
		flush();
	va_start(list, format);
	output_length += (size_t)vsnprintf(output + output_length, 8192,
					   format, list);
	va_end(list);
}

static sigjmp_buf faulted;
static siginfo_t fault;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	fault = *info;
	siglongjmp(faulted, 1);
}

static unsigned long digest(unsigned long sum, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * 0x100000001b3;
	return sum;
}

/* Each page that is there by a digest, or by how it may not be read. */
static void show_page(volatile long page)
{
	if (sigsetjmp(faulted, 1) == 0)
		say(" %ld:%08lx", page,
		    digest(1, (char *)ARENA + page * PAGE, PAGE) & 0xffffffff);
	else
		say(" %ld:signal %d, %d", page, fault.si_signo, fault.si_code);
}

/* The first pages of each part of the arena, where they are there. */
static void show_arena(void)
{
	static const long parts[][2] = {
		{ -4, 20 }, { 508, 516 }, { 1020, 1028 }, { 1532, 1540 },
	};
	int fd = open("/proc/self/maps", O_RDONLY);
	unsigned long start, end;
	ssize_t n = 0, more;

	while ((more = read(fd, scratch + n, sizeof scratch - 1 - n)) > 0)
		n += more;
	close(fd);
	scratch[n] = 0;
	for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
		long page = parts[i][0];

		for (char *line = scratch; *line; line = strchr(line, '\n') + 1) {
			start = strtoul(line, &line, 16);
			end = strtoul(line + 1, &line, 16);
			for (; page < parts[i][1] &&
			       ARENA + page * PAGE < (long)end; page++)
				if (ARENA + page * PAGE >= (long)start)
					show_page(page);
		}
	}
}

static void show_file(const char *name)
{
	struct stat st;
	unsigned long sum = 1;
	ssize_t n = 0, total = 0;

	if (lstat(name, &st) < 0)
		return;
	say(" %s: %o %lu", name, st.st_mode, st.st_nlink);
	if (S_ISLNK(st.st_mode) || S_ISREG(st.st_mode))
		say(" %ld", (long)st.st_size);
	if (S_ISREG(st.st_mode)) {
		int fd = open(name, O_RDONLY);
		while (total < 4 << 20 && (n = read(fd, scratch, sizeof scratch)) > 0) {
			sum = digest(sum, scratch, (size_t)n);
			total += n;
		}
		close(fd);
		say(" %zd %lx", n, sum);
	}
	say("\n");
}

static void show_files(void)
{
	static const char *const names[] = {
		"f0", "f1", "f2", "d0", "d1", "l0", "d0/f0", "d0/f1", "p0",
	};

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		show_file(names[i]);
}

static void move_to(int fd, int wanted)
{
	if (dup2(fd, wanted) < 0)
		exit(6);
	close(fd);
}

/* Where no other descriptor comes to be, and none is ever a file. */
static void open_waiting(void)
{
	int ends[2];

	for (int fd = 40; fd < 44; fd += 2) {
		if (pipe2(ends, O_NONBLOCK) < 0)
			exit(6);
		move_to(ends[0], fd);
		move_to(ends[1], fd + 1);
	}
	move_to(epoll_create1(0), 44);
}

/* Everything as it was before the first call. */
static void begin(const char *number)
{
	static const struct itimerval never;
	char *at = (char *)ARENA;

	say("sequence %s\n", number);
	flush();
	close_range(3, ~0U, 0);
	open_waiting();
	umask(022);
	munmap(at - ARENA_ROOM, 2 * ARENA_ROOM);
	if (mmap(at, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		exit(8);
	for (long i = 0; i < ARENA_PAGES * PAGE; i++)
		at[i] = (char)(i * 7 + (i >> 12));
	brk(first_break);
	setitimer(ITIMER_REAL, &never, 0);
	memset(scratch, 0, sizeof scratch);
	result_before = -1;
	snprintf(folder, sizeof folder, "s%s", number);
	if (chdir(home) || (mkdir(folder, 0755) && errno != EEXIST) ||
	    chdir(folder))
		exit(7);
}

static void end(void)
{
	close_range(3, ~0U, 0);
	say("\n");
	if (chdir(home) == 0 && chdir(folder) == 0)
		show_files();
	show_arena();
}

static long number(const char *text)
{
	if (*text == '@')
		return ARENA + strtol(text + 1, 0, 0);
	if (*text == 'S')
		return (long)scratch;
	if (*text == 'C')
		return (long)constant;
	if (*text == 'R')
		return result_before;
	return (long)(*text == '-' ? (unsigned long)strtol(text, 0, 0) :
				     strtoul(text, 0, 0));
}

static long argument(char *text, int i)
{
	literal_words[i] = 0;
	if (*text == '"') {
		/* Long ones are not written out. */
		memset(paths[i], 0, sizeof paths[i]);
		if (strcmp(text, "\"long") == 0)
			memset(paths[i], 'n', 300);
		else if (strcmp(text, "\"longest") == 0)
			memset(paths[i], '/', 5000);
		else
			strcpy(paths[i], text + 1);
		return (long)paths[i];
	}
	if (*text != '{')
		return number(text);
	for (char *word = text; word && literal_words[i] < LITERAL_WORDS;
	     word = strchr(word, ','))
		literals[i][literal_words[i]++] = number(++word);
	return (long)literals[i];
}

static void show_words(long before[ARGUMENTS][LITERAL_WORDS])
{
	for (int i = 0; i < ARGUMENTS; i++)
		for (int w = 0; w < literal_words[i]; w++)
			if (literals[i][w] != before[i][w])
				say(" [%d.%d]=%lx", i, w, literals[i][w]);
}

static void show_stat(void)
{
	struct stat *st = (void *)scratch;

	say(" %o %lu", st->st_mode, st->st_nlink);
	if (!S_ISDIR(st->st_mode))
		say(" %ld", (long)st->st_size);
}

static void show_statx(void)
{
	struct statx *st = (void *)scratch;

	say(" %o %u", st->stx_mode, st->stx_nlink);
	if (!S_ISDIR(st->stx_mode))
		say(" %ld", (long)st->stx_size);
}

/* In whatever order they come. */
static void show_names(long length)
{
	unsigned long sum = 0, count = 0;

	for (long at = 0; at < length;) {
		struct dirent64 *entry = (void *)(scratch + at);

		sum += digest(entry->d_type, entry->d_name,
			      strlen(entry->d_name));
		count++;
		at += entry->d_reclen;
	}
	say(" %lu names, %lx", count, sum);
}

/* Those of the program's, in whatever order: others are the system's. */
static void show_attributes(long length)
{
	unsigned long sum = 0, count = 0;

	for (long at = 0; at < length; at += (long)strlen(scratch + at) + 1)
		if (strncmp(scratch + at, "user.", 5) == 0) {
			sum += digest(1, scratch + at, strlen(scratch + at));
			count++;
		}
	say(" %lu attributes, %lx", count, sum);
}

/* A mapping that is not where it was asked for is of no use. */
static void show_address(long at, unsigned long length)
{
	if (at >= ARENA - ARENA_ROOM && at < ARENA + ARENA_ROOM) {
		say(" @%ld", at - ARENA);
	} else {
		say(" elsewhere");
		munmap((void *)at, length);
	}
}

static void show_result(const struct call *c, long r, const long *a)
{
	if (r < 0 && r > -4096) {
		say(" -%ld", -r);
		return;
	}
	switch (c->result) {
	case RAW:
		say(" %ld", r);
		break;
	case OKAY:
		say(" ok");
		break;
	case ADDRESS:
		show_address(r, (unsigned long)a[1]);
		break;
	case MOVED:
		show_address(r, (unsigned long)a[2]);
		break;
	case BREAK:
		say(" %+ld", r - (long)first_break);
		break;
	case HIDDEN:
		break;
	}
	if (c->output == STAT && r == 0)
		show_stat();
	if (c->output == STATX && r == 0)
		show_statx();
	if (c->output == NAMES)
		show_names(r);
	if (c->output == BYTES)
		say(" %lx", digest(1, scratch, (size_t)r));
	if (c->output == ATTRIBUTES)
		show_attributes(r);
}

static void make(const struct call *c, const long *a)
{
	long before[ARGUMENTS][LITERAL_WORDS];
	long r;

	memcpy(before, literals, sizeof before);
	memset(scratch, 0, 512);
	/* Not by way of the C library, which looks at arguments. */
	register long a3 __asm__("r10") = a[3];
	register long a4 __asm__("r8") = a[4];
	register long a5 __asm__("r9") = a[5];
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(c->number), "D"(a[0]), "S"(a[1]), "d"(a[2]),
			   "r"(a3), "r"(a4), "r"(a5)
			 : "rcx", "r11", "memory");
	result_before = r;
	show_result(c, r, a);
	if (c->output == WORDS)
		show_words(before);
}

static void monotone(void)
{
	static const clockid_t ids[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME,
					 CLOCK_MONOTONIC_RAW };

	for (int i = 0; i < 3; i++) {
		struct timespec now;

		clock_gettime(ids[i], &now);
		say(" %d", now.tv_sec > clocks[i].tv_sec ||
				   (now.tv_sec == clocks[i].tv_sec &&
				    now.tv_nsec >= clocks[i].tv_nsec));
		clocks[i] = now;
	}
}

static void access_memory(volatile char *at, int write, long value)
{
	if (sigsetjmp(faulted, 1)) {
		say(" signal %d, %d", fault.si_signo, fault.si_code);
		if (fault.si_code != SI_KERNEL)
			say(" at @%ld", (long)fault.si_addr - ARENA);
		return;
	}
	if (write)
		*at = (char)value;
	say(" %d", *at);
}

static void step(char *line)
{
	char *save, *name = strtok_r(line, " ", &save), *word;
	long a[ARGUMENTS] = { 0 };

	if (strcmp(name, "sequence") == 0)
		return begin(strtok_r(0, " ", &save));
	if (strcmp(name, "save") == 0) {
		SAVE();
		return;
	}
	say("%s %s:", name, save);
	memset(literal_words, 0, sizeof literal_words);
	for (int i = 0; i < ARGUMENTS && (word = strtok_r(0, " ", &save)); i++)
		a[i] = argument(word, i);
	if (strcmp(name, "monotone") == 0)
		monotone();
	else if (strcmp(name, "peek") == 0 || strcmp(name, "poke") == 0)
		access_memory((char *)a[0], name[1] == 'o', a[1]);
	else if (strcmp(name, "end") == 0)
		end();
	else
		for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
			if (strcmp(name, calls[i].name) == 0)
				make(&calls[i], a);
	say("\n");
}

/*
 * Gives up mapping addresses close to 0, as only root may: a VM has none there.
 * (linux/capability.h is not everywhere.)
 */
static void give_up_low_addresses(void)
{
	struct { unsigned version; int pid; } header = { 0x20080522, 0 };
	unsigned rights[6] = { 0 };

	if (syscall(SYS_capget, &header, rights) < 0)
		return;
	rights[0] &= ~(1U << 17); /* CAP_SYS_RAWIO: effective, permitted */
	rights[1] &= ~(1U << 17);
	syscall(SYS_capset, &header, rights);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_fault,
				    .sa_flags = SA_SIGINFO };
	struct rlimit files = { 1024, 1024 };
	/* A file in memory would take all there is. */
	struct rlimit length = { 1UL << 40, 1UL << 40 };
	char *save;
	int fd;

	if (argc != 2 || (fd = open(argv[1], O_RDONLY)) < 0 ||
	    read(fd, script, sizeof script - 1) <= 0 ||
	    !getcwd(home, sizeof home))
		return 1;
	give_up_low_addresses();
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_FSIZE, &length);
	sigaction(SIGSEGV, &action, 0);
	sigaction(SIGBUS, &action, 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	first_break = sbrk(0);
	for (unsigned i = 0; i < sizeof constant; i++)
		constant[i] = (char)(i * 13 + (i >> 8));
	for (char *line = strtok_r(script, "\n", &save); line;
	     line = strtok_r(0, "\n", &save))
		step(line);
	flush();
	return 0;
}
