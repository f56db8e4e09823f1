/*
 * scheduling.c: policies, priorities and the CPUs that a thread may use; groups,
 * capabilities, barriers and the list of futexes: what of it does not depend on
 * who starts the program, or on the machine.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

#define NOBODY 0x7ffffff0

/* linux/membarrier.h and linux/capability.h, which musl-gcc does not find. */
#define MEMBARRIER_CMD_QUERY 0
#define MEMBARRIER_CMD_GLOBAL 1
#define MEMBARRIERS 127
#define CAPABILITY_VERSIONS 0x19980330, 0x20071026, 0x20080522

struct header {
	unsigned version;
	int pid;
};

struct rights {
	unsigned effective, permitted, inheritable;
};

static long get_param(long pid, void *p)
{
	return syscall(SYS_sched_getparam, pid, p);
}

static long set_param(long pid, void *p)
{
	return syscall(SYS_sched_setparam, pid, p);
}

static long set_policy(long pid, long policy, void *p)
{
	return syscall(SYS_sched_setscheduler, pid, policy, p);
}

static void policies(void)
{
	struct sched_param p = { .sched_priority = 77 };

	SHOW(syscall(SYS_sched_getscheduler, 0));
	SHOW(syscall(SYS_sched_getscheduler, getpid()));
	SHOW(syscall(SYS_sched_getscheduler, NOBODY));
	SHOW(syscall(SYS_sched_getscheduler, -1));
	SHOW(get_param(0, &p));
	SHOW(p.sched_priority);
	SHOW(get_param(getpid(), &p));
	SHOW(get_param(NOBODY, &p));
	SHOW(get_param(-1, &p));
	SHOW(get_param(-1, (void *)8));
	SHOW(get_param(NOBODY, (void *)8));
	SHOW(get_param(0, 0));
	SHOW(get_param(0, (void *)8));
	SHOW(set_param(0, &p));
	SHOW(set_param(NOBODY, &p));
	SHOW(set_param(-1, &p));
	SHOW(set_param(-1, (void *)8));
	SHOW(set_param(0, 0));
	SHOW(set_param(0, (void *)8));
	SHOW(set_policy(0, SCHED_OTHER, &p));
	SHOW(set_policy(getpid(), SCHED_OTHER, &p));
	SHOW(set_policy(NOBODY, SCHED_OTHER, &p));
	SHOW(set_policy(-1, SCHED_OTHER, &p));
	SHOW(set_policy(-1, SCHED_OTHER, (void *)8));
	SHOW(set_policy(0, -1, &p));
	SHOW(set_policy(0, -1, (void *)8));
	SHOW(set_policy(0, 4, &p));
	SHOW(set_policy(0, 99, &p));
	SHOW(set_policy(NOBODY, 99, &p));
	SHOW(set_policy(0, SCHED_OTHER, 0));
	SHOW(set_policy(0, SCHED_OTHER, (void *)8));
	/* Those that need a priority, without one or with none that is. */
	SHOW(set_policy(0, SCHED_FIFO, &p));
	SHOW(set_policy(0, SCHED_RR, &p));
	p.sched_priority = 100;
	SHOW(set_policy(0, SCHED_FIFO, &p));
	p.sched_priority = -1;
	SHOW(set_policy(0, SCHED_RR, &p));
	p.sched_priority = 1;
	SHOW(set_param(0, &p));
	SHOW(set_policy(0, SCHED_OTHER, &p));
	SHOW(set_policy(0, SCHED_BATCH, &p));
	SHOW(syscall(SYS_sched_getscheduler, 0));
	for (int policy = -1; policy <= 6; policy++) {
		SHOW(syscall(SYS_sched_get_priority_max, policy));
		SHOW(syscall(SYS_sched_get_priority_min, policy));
	}
	SHOW(syscall(SYS_sched_get_priority_max, 99));
	SHOW(syscall(SYS_sched_get_priority_min, 99));
}

/* struct sched_attr of linux/sched/types.h, which not every C library has. */
struct attributes {
	unsigned size, policy;
	unsigned long flags;
	int nice;
	unsigned priority;
	unsigned long times[3];
	unsigned least, most;
	char more[5000];
};

static long get_attributes(long pid, void *a, unsigned size, unsigned flags)
{
	return syscall(SYS_sched_getattr, pid, a, size, flags);
}

static long set_attributes(long pid, void *a, unsigned flags)
{
	return syscall(SYS_sched_setattr, pid, a, flags);
}

static void attributes(void)
{
	static const unsigned sizes[] = {
		0, 1, 47, 48, 49, 55, 56, 57, 64, 4096, 4097, 5000, -1,
	};
	static struct attributes a;
	int nice;

	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		memset(&a, 0x55, sizeof a);
		printf("%u bytes\n", sizes[i]);
		SHOW(get_attributes(0, &a, sizes[i], 0));
		printf("%u %x %lx %x\n", a.size, a.policy, a.flags, a.priority);
	}
	SHOW(get_attributes(getpid(), &a, 48, 0));
	nice = a.nice;
	SHOW(get_attributes(0, &a, 48, 1));
	SHOW(get_attributes(-1, &a, 48, 0));
	SHOW(get_attributes(NOBODY, &a, 48, 0));
	SHOW(get_attributes(NOBODY, (void *)8, 48, 0));
	SHOW(get_attributes(0, 0, 48, 0));
	SHOW(get_attributes(0, (void *)8, 48, 0));
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		for (int more = 0; more < 2; more++) {
			memset(&a, 0, sizeof a);
			a.nice = nice;
			a.size = sizes[i];
			a.more[0] = (char)more;
			printf("%u bytes, then %d\n", sizes[i], more);
			SHOW(set_attributes(0, &a, 0));
			SHOW(a.size);
		}
	}
	memset(&a, 0, sizeof a);
	a.size = 48;
	a.nice = nice;
	SHOW(set_attributes(0, &a, 1));
	SHOW(set_attributes(-1, &a, 0));
	SHOW(set_attributes(NOBODY, &a, 0));
	SHOW(set_attributes(0, 0, 0));
	SHOW(set_attributes(0, (void *)8, 0));
	SHOW(set_attributes(-1, (void *)8, 0));
	for (int policy = -2; policy < 9; policy++) {
		a.policy = (unsigned)policy;
		printf("policy %d\n", policy);
		/* Without a priority, or times, where there must be one. */
		if (policy != SCHED_IDLE)
			SHOW(set_attributes(0, &a, 0));
		a.priority = 100;
		SHOW(set_attributes(0, &a, 0));
		a.priority = policy == SCHED_FIFO || policy == SCHED_RR ? 0 : 1;
		SHOW(set_attributes(0, &a, 0));
		a.priority = 0;
	}
	a.policy = SCHED_OTHER;
	SHOW(set_attributes(0, &a, 0));
	/* The first last: to take it back is not for everybody. */
	for (int bit = 1; bit <= 12; bit++) {
		a.flags = 1UL << bit % 12;
		printf("flag %lx\n", a.flags);
		SHOW(set_attributes(0, &a, 0));
	}
}

static void turns(void)
{
	long time[2];

	SHOW(syscall(SYS_sched_rr_get_interval, 0, time));
	SHOW(time[0]);
	SHOW(syscall(SYS_sched_rr_get_interval, getpid(), time));
	SHOW(syscall(SYS_sched_rr_get_interval, -1, time));
	SHOW(syscall(SYS_sched_rr_get_interval, NOBODY, time));
	SHOW(syscall(SYS_sched_rr_get_interval, 0, 0));
	SHOW(syscall(SYS_sched_rr_get_interval, 0, 8));
	SHOW(syscall(SYS_sched_rr_get_interval, NOBODY, 8));
}

static long set_disk(long which, long who, long value)
{
	return syscall(SYS_ioprio_set, which, who, value);
}

static void disks(void)
{
	SHOW_OK(syscall(SYS_ioprio_get, 1, 0));
	SHOW_OK(syscall(SYS_ioprio_get, 1, getpid()));
	SHOW_OK(syscall(SYS_ioprio_get, 2, 0));
	SHOW_OK(syscall(SYS_ioprio_get, 3, 0));
	SHOW_OK(syscall(SYS_ioprio_get, 3, getuid()));
	SHOW(syscall(SYS_ioprio_get, 1, NOBODY));
	SHOW(syscall(SYS_ioprio_get, 1, -1));
	SHOW(syscall(SYS_ioprio_get, 2, NOBODY));
	SHOW(syscall(SYS_ioprio_get, 0, 0));
	SHOW(syscall(SYS_ioprio_get, 4, 0));
	SHOW(syscall(SYS_ioprio_get, -1, 0));
	SHOW(set_disk(1, 0, 0));
	SHOW(set_disk(1, 0, 4));
	SHOW(set_disk(1, 0, 2 << 13));
	SHOW(set_disk(1, 0, 2 << 13 | 7));
	SHOW(set_disk(1, getpid(), 3 << 13));
	for (long kind = 4; kind < 8; kind++)
		SHOW(set_disk(1, 0, kind << 13));
	SHOW(set_disk(1, 0, -1));
	SHOW(set_disk(1, NOBODY, 2 << 13));
	SHOW(set_disk(1, NOBODY, 7 << 13));
	SHOW(set_disk(1, -1, 2 << 13));
	SHOW(set_disk(0, 0, 2 << 13));
	SHOW(set_disk(4, 0, 2 << 13));
}

static long affinity(long pid, long length, void *set)
{
	return syscall(SYS_sched_setaffinity, pid, length, set);
}

static void cpus(void)
{
	unsigned long set[16] = { 0 }, none[16] = { 0 };

	SHOW_OK(syscall(SYS_sched_getaffinity, 0, sizeof set, set));
	SHOW(affinity(0, sizeof set, set));
	SHOW(affinity(getpid(), sizeof set, set));
	SHOW(affinity(0, sizeof none, none));
	SHOW(affinity(0, 0, set));
	SHOW(affinity(0, sizeof set, (void *)8));
	SHOW(affinity(NOBODY, sizeof set, set));
	SHOW(affinity(NOBODY, sizeof set, (void *)8));
	SHOW(affinity(-1, sizeof set, set));
	/* One that no machine has, and one that may be used. */
	none[15] = 1UL << 63;
	SHOW(affinity(0, sizeof none, none));
	none[0] = set[0];
	SHOW(affinity(0, sizeof none, none));
}

static void groups(void)
{
	unsigned ids[65536 / sizeof(unsigned)];
	int count = getgroups(0, 0);

	SHOW(count >= 0);
	SHOW(syscall(SYS_getgroups, sizeof ids / sizeof *ids, ids) == count);
	SHOW(syscall(SYS_getgroups, -1, ids));
	SHOW(syscall(SYS_getgroups, 0, 8) == count);
}

static long capabilities(unsigned version, int pid, void *data)
{
	struct header header = { version, pid };
	long r = syscall(SYS_capget, &header, data);
	int error = errno;

	printf("version %x ", header.version);
	errno = error;
	return r;
}

static void rights(void)
{
	struct rights data[2];
	static const unsigned versions[] = { CAPABILITY_VERSIONS };

	for (int i = 0; i < 3; i++) {
		memset(data, 0x55, sizeof data);
		SHOW(capabilities(versions[i], 0, data));
		/* One part, or two. */
		SHOW(data[1].effective != 0x55555555);
		SHOW(data[0].effective & ~data[0].permitted);
		SHOW(capabilities(versions[i], getpid(), data));
		SHOW(capabilities(versions[i], NOBODY, data));
		SHOW(capabilities(versions[i], -1, data));
		SHOW(capabilities(versions[i], -1, 0));
		SHOW(capabilities(versions[i], NOBODY, 0));
		SHOW(capabilities(versions[i], 0, 0));
		SHOW(capabilities(versions[i], 0, (void *)8));
	}
	SHOW(capabilities(0, 0, 0));
	SHOW(capabilities(0, 0, data));
	SHOW(capabilities(99, -1, data));
	SHOW(syscall(SYS_capget, 8, data));
	SHOW(syscall(SYS_capget, 8, 0));
}

static void barriers(void)
{
	SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) &
	     MEMBARRIERS);
	for (int command = 64; command > 1; command /= 4) {
		// To register for it, and it.
		SHOW(syscall(SYS_membarrier, command, 0, 0));
		SHOW(syscall(SYS_membarrier, command / 2, 0, 0));
		SHOW(syscall(SYS_membarrier, command, 1, 0));
	}
	SHOW(syscall(SYS_membarrier, 3, 0, 0));
	SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
	SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 1, 0));
	SHOW(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, -1, 0));
	SHOW(syscall(SYS_membarrier, -1, 0, 0));
	SHOW(syscall(SYS_membarrier, 1 << 20, 0, 0));
}

static void robust_list(void)
{
	static struct { void *next; long offset; void *pending; } head;
	void *at = 0;
	unsigned long length = 0;

	head.next = &head;
	SHOW(syscall(SYS_set_robust_list, &head, 24));
	SHOW(syscall(SYS_get_robust_list, 0, &at, &length));
	SHOW(at == &head);
	SHOW(length);
	SHOW(syscall(SYS_get_robust_list, getpid(), &at, &length));
	SHOW(at == &head);
	SHOW(syscall(SYS_get_robust_list, NOBODY, &at, &length));
	SHOW(syscall(SYS_get_robust_list, -1, &at, &length));
	length = 0;
	SHOW(syscall(SYS_get_robust_list, 0, 8, &length));
	SHOW(length);
	at = 0;
	SHOW(syscall(SYS_get_robust_list, 0, &at, 8));
	SHOW(at == 0);
	SHOW(syscall(SYS_set_robust_list, 0, 24));
	SHOW(syscall(SYS_get_robust_list, 0, &at, &length));
	SHOW(at == 0);
}

int main(void)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	policies();
	turns();
	disks();
	cpus();
	groups();
	rights();
	barriers();
	robust_list();
	attributes();
	return 0;
}
