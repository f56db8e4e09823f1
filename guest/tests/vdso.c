/*
 * vdso.c [COUNT]: finds the vDSO's functions as the C libraries do, by both
 * tables of hashes, and compares what they say with the system calls: none of
 * the two may ever go back against the other. Prints what holds; on standard
 * error, what was measured.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "show.h"

static const char *base;
static const Elf64_Sym *symbols;
static const char *strings;
static const Elf64_Half *versions;
static const char *definitions;
static const uint32_t *sysv, *gnu;

static void read_tables(void)
{
	const Elf64_Ehdr *header = (const void *)base;
	const Elf64_Phdr *segment = (const void *)(base + header->e_phoff);
	const Elf64_Dyn *entry = 0;
	const char *bias = 0;

	for (int i = 0; i < header->e_phnum; i++) {
		if (segment[i].p_type == PT_LOAD && !bias)
			bias = base + segment[i].p_offset - segment[i].p_vaddr;
		if (segment[i].p_type == PT_DYNAMIC)
			entry = (const void *)(base + segment[i].p_offset);
	}
	for (; entry && entry->d_tag != DT_NULL; entry++) {
		const void *at = bias + entry->d_un.d_ptr;

		switch (entry->d_tag) {
		case DT_SYMTAB: symbols = at; break;
		case DT_STRTAB: strings = at; break;
		case DT_VERSYM: versions = at; break;
		case DT_VERDEF: definitions = at; break;
		case DT_HASH: sysv = at; break;
		case DT_GNU_HASH: gnu = at; break;
		}
	}
}

static int has_version(int symbol, const char *wanted)
{
	const char *at = definitions;
	int index = versions[symbol] & 0x7fff;

	for (;;) {
		const Elf64_Verdef *definition = (const void *)at;
		const Elf64_Verdaux *name = (const void *)(at + definition->vd_aux);

		if (!(definition->vd_flags & VER_FLG_BASE) &&
		    (definition->vd_ndx & 0x7fff) == index)
			return !strcmp(strings + name->vda_name, wanted);
		if (!definition->vd_next)
			return 0;
		at += definition->vd_next;
	}
}

static int is_it(int symbol, const char *name)
{
	return symbols[symbol].st_shndx != SHN_UNDEF &&
	       !strcmp(strings + symbols[symbol].st_name, name) &&
	       has_version(symbol, "LINUX_2.6");
}

static const void *address(int symbol)
{
	return base + symbols[symbol].st_value;
}

static const void *by_sysv(const char *name)
{
	uint32_t hash = 0;

	for (const char *c = name; *c; c++) {
		hash = (hash << 4) + (unsigned char)*c;
		hash = (hash ^ ((hash >> 24) & 0xf0)) & 0xfffffff;
	}
	for (uint32_t i = sysv[2 + hash % sysv[0]]; i; i = sysv[2 + sysv[0] + i])
		if (is_it(i, name))
			return address(i);
	return 0;
}

static const void *by_gnu(const char *name)
{
	uint32_t hash = 5381;
	const uint64_t *bloom = (const void *)(gnu + 4);
	const uint32_t *buckets = gnu + 4 + 2 * gnu[2];
	const uint32_t *chain = buckets + gnu[0] - gnu[1];
	uint64_t word;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	word = bloom[(hash / 64) % gnu[2]];
	if (!(word >> (hash % 64) & 1) || !(word >> ((hash >> gnu[3]) % 64) & 1))
		return 0;
	for (uint32_t i = buckets[hash % gnu[0]]; i; i++) {
		if ((chain[i] | 1) == (hash | 1) && is_it(i, name))
			return address(i);
		if (chain[i] & 1)
			return 0;
	}
	return 0;
}

static const void *find(const char *name)
{
	/* Linux 6.11 and later have no System V table. */
	const void *found = by_gnu(name);

	if (sysv && by_sysv(name) != found)
		printf("the tables differ for %s\n", name);
	return found;
}

static long long ns_of(const struct timespec *t)
{
	return t->tv_sec * 1000000000ll + t->tv_nsec;
}

typedef long gettime(clockid_t, struct timespec *);

static long raw(clockid_t clock, struct timespec *t)
{
	return syscall(SYS_clock_gettime, clock, t);
}

static unsigned random_bits(void)
{
	static unsigned state = 12345;

	state = state * 1103515245 + 12345;
	return state >> 16;
}

static void compare(clockid_t clock, gettime *inside, int count)
{
	long long last = 0, back = 0, furthest = 0;

	for (int i = 0; i < count; i++) {
		int out = random_bits() % 2048 == 0;
		struct timespec t = { 0, 0 };
		long long now;

		if ((out ? raw : inside)(clock, &t))
			printf("clock %d failed\n", clock);
		now = ns_of(&t);
		back += now < last || t.tv_nsec < 0 || t.tv_nsec >= 1000000000;
		last = now;
		if (out) {
			/* Between two system calls: at most what they take. */
			struct timespec before, middle, after;

			raw(clock, &before);
			inside(clock, &middle);
			raw(clock, &after);
			back += ns_of(&middle) < ns_of(&before) ||
				ns_of(&after) < ns_of(&middle);
			if (ns_of(&after) - ns_of(&before) > furthest)
				furthest = ns_of(&after) - ns_of(&before);
			last = ns_of(&after);
		}
	}
	printf("clock %d went back %lld times\n", clock, back);
	fprintf(stderr, "clock %d: %lld ns at most around one\n", clock, furthest);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {
		"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time",
		"__vdso_clock_getres", "__vdso_getcpu",
	};
	static const clockid_t clocks[] = { 0, 1, 4, 7 };
	int count = argc > 1 ? atoi(argv[1]) : 2000;
	gettime *inside;
	int (*day)(struct timeval *, void *);
	time_t (*seconds)(time_t *);
	struct timespec t, nap = { 0, 3000000 };
	struct timeval tv;
	time_t now, same;
	unsigned cpu = 99, node = 99;

	base = (const char *)getauxval(AT_SYSINFO_EHDR);
	printf("there is one: %d\n", base != 0);
	if (!base)
		return 1;
	read_tables();
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		printf("%s: %d\n", names[i], find(names[i]) != 0);
	printf("others: %d\n", find("__vdso_nothing") != 0);
	inside = (gettime *)find(names[0]);
	day = (int (*)(struct timeval *, void *))find(names[1]);
	seconds = (time_t (*)(time_t *))find(names[2]);

	SHOW(inside(2, &t));
	SHOW(inside(3, &t));
	SHOW(inside(100, &t));
	SHOW(inside(10, &t));
	SHOW(((gettime *)find(names[3]))(1, &t));
	printf("%ld\n", t.tv_nsec);
	SHOW(((long (*)(unsigned *, unsigned *, void *))find(names[4]))(
		&cpu, &node, 0));
	printf("%d\n", cpu < 4096 && node < 4096);
	SHOW(day(0, 0));

	/* Enough calls for the rate to be known, and then some from within. */
	for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++)
		compare(clocks[i], inside, count);

	for (int i = 0, wrong = 0; i <= 100; i++) {
		struct timespec before, after;

		raw(0, &before);
		if (day(&tv, 0))
			wrong++;
		now = seconds(&same);
		raw(0, &after);
		wrong += tv.tv_usec < 0 || tv.tv_usec >= 1000000;
		wrong += tv.tv_sec * 1000000ll + tv.tv_usec < ns_of(&before) / 1000;
		wrong += tv.tv_sec * 1000000ll + tv.tv_usec > ns_of(&after) / 1000;
		/* Natively a tick of the kernel's clock behind. */
		wrong += now < before.tv_sec - 1 || now > after.tv_sec;
		wrong += now != same;
		if (i == 100)
			printf("time of day: %d wrong\n", wrong);
	}

	/* A sleep has lasted, whichever clock is asked. */
	for (int i = 0, early = 0; i <= 10; i++) {
		struct timespec before, after;

		inside(1, &before);
		nanosleep(&nap, 0);
		inside(1, &after);
		early += ns_of(&after) - ns_of(&before) < nap.tv_nsec;
		t = after;
		t.tv_nsec += 2000000;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0);
		inside(1, &after);
		early += ns_of(&after) < ns_of(&t);
		if (i == 10)
			printf("sleeps: %d too short\n", early);
	}
	return 0;
}
