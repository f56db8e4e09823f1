/*
 * identity.c: who the program is, and what it says of itself: what of it does
 * not depend on who starts it, or on the machine.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "show.h"

#define NOBODY 0x7ffffff0
#define PRCTL(...) syscall(SYS_prctl, __VA_ARGS__)

static void ids(void)
{
	long u = getuid(), g = getgid();

	/* To whom it is already, and to nobody. */
	SHOW(syscall(SYS_setuid, u));
	SHOW(syscall(SYS_setuid, u + (1L << 32)));
	SHOW(syscall(SYS_setuid, -1));
	SHOW(syscall(SYS_setgid, g));
	SHOW(syscall(SYS_setgid, -1));
	SHOW(syscall(SYS_setreuid, u, u));
	SHOW(syscall(SYS_setreuid, -1, u));
	SHOW(syscall(SYS_setreuid, -1, -1));
	SHOW(syscall(SYS_setregid, g, -1));
	SHOW(syscall(SYS_setregid, g, g));
	SHOW(syscall(SYS_setresuid, u, u, u));
	SHOW(syscall(SYS_setresuid, -1, -1, -1));
	SHOW(syscall(SYS_setresgid, -1, g, -1));
	SHOW(syscall(SYS_setfsuid, u) == u);
	SHOW(syscall(SYS_setfsuid, -1) == u);
	SHOW(syscall(SYS_setfsgid, g) == g);
	SHOW(syscall(SYS_setfsgid, -1) == g);
	if (u != 0) {
		SHOW(syscall(SYS_setuid, 0));
		SHOW(syscall(SYS_setreuid, -1, 0));
		SHOW(syscall(SYS_setresuid, u, u, 0));
		SHOW(syscall(SYS_setgroups, 0, 0));
	} else {
		SHOW(syscall(SYS_setgroups, -1, &g));
		SHOW(syscall(SYS_setgroups, 65537, &g));
		SHOW(syscall(SYS_setgroups, 1, 8));
		SHOW(syscall(SYS_setgroups, 65536, 8));
		SHOW(syscall(SYS_setgroups, 0, 8));
		SHOW(getgroups(0, 0));
	}
}

static void groups(void)
{
	long own = getpid();

	SHOW(syscall(SYS_setpgid, 0, -1));
	SHOW(syscall(SYS_setpgid, -1, 0));
	SHOW(syscall(SYS_setpgid, -1, -1));
	SHOW(syscall(SYS_setpgid, 0, NOBODY));
	SHOW(syscall(SYS_setpgid, NOBODY, 0));
	SHOW(syscall(SYS_setpgid, NOBODY, -1));
	SHOW(syscall(SYS_setpgid, 0, 0));
	SHOW(syscall(SYS_setpgid, own, own));
	SHOW(syscall(SYS_setpgid, 0, own));
	SHOW(syscall(SYS_setpgid, own, 0));
	SHOW(getpgrp() == own);
	SHOW(getpgid(0) == own);
	/* It leads its group now. */
	SHOW(setsid());
}

static void itself(void)
{
	int number = 77;

	SHOW(syscall(SYS_personality, 0xffffffff));
	SHOW(syscall(SYS_personality, 0));
	SHOW(syscall(SYS_personality, -1));
	SHOW(PRCTL(PR_GET_DUMPABLE, 9, 9, 9, 9));
	SHOW(PRCTL(PR_SET_DUMPABLE, 1, 9, 9, 9));
	SHOW(PRCTL(PR_SET_DUMPABLE, 2));
	SHOW(PRCTL(PR_SET_DUMPABLE, -1));
	SHOW(PRCTL(PR_SET_DUMPABLE, 1L << 32));
	SHOW(PRCTL(PR_SET_DUMPABLE, 1L << 32 | 1));
	SHOW(PRCTL(PR_GET_DUMPABLE, 0));
	SHOW(PRCTL(PR_SET_DUMPABLE, 0));
	SHOW(PRCTL(PR_SET_DUMPABLE, 1));
	SHOW(PRCTL(PR_SET_PDEATHSIG, 65));
	SHOW(PRCTL(PR_SET_PDEATHSIG, -1));
	SHOW(PRCTL(PR_SET_PDEATHSIG, 1L << 32 | 10));
	SHOW(PRCTL(PR_SET_PDEATHSIG, 64));
	SHOW(PRCTL(PR_SET_PDEATHSIG, 0));
	SHOW(PRCTL(PR_GET_PDEATHSIG, &number));
	SHOW(number);
	SHOW(PRCTL(PR_GET_PDEATHSIG, 0));
	SHOW(PRCTL(PR_GET_PDEATHSIG, 8));
	SHOW_OK(PRCTL(PR_CAPBSET_READ, 0));
	SHOW_OK(PRCTL(PR_CAPBSET_READ, 40));
	SHOW(PRCTL(PR_CAPBSET_READ, 64));
	SHOW(PRCTL(PR_CAPBSET_READ, -1));
	SHOW_OK(PRCTL(PR_GET_TIMERSLACK));
	SHOW(PRCTL(PR_SET_TIMERSLACK, 1000));
	SHOW(PRCTL(PR_SET_TIMERSLACK, 0));
	SHOW(PRCTL(PR_SET_TIMERSLACK, -1));
	SHOW(PRCTL(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	SHOW(PRCTL(PR_GET_THP_DISABLE, 1, 0, 0, 0));
	SHOW(PRCTL(PR_SET_THP_DISABLE, 0, 1, 0, 0));
	SHOW(PRCTL(PR_SET_THP_DISABLE, 0, 0, 0, 0));
	SHOW(PRCTL(PR_GET_KEEPCAPS));
	SHOW(PRCTL(PR_SET_KEEPCAPS, 2));
	SHOW(PRCTL(PR_SET_KEEPCAPS, -1));
	SHOW(PRCTL(PR_SET_KEEPCAPS, 1));
	SHOW(PRCTL(PR_SET_KEEPCAPS, 0));
	SHOW(PRCTL(PR_GET_KEEPCAPS, 9, 9));
	SHOW(PRCTL(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0));
	SHOW(PRCTL(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 1));
	SHOW(PRCTL(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(PRCTL(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0));
	SHOW(PRCTL(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 1));
	SHOW(PRCTL(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	SHOW(PRCTL(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void locked(void)
{
	char *at = mmap(0, 4 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	SHOW(munmap(at + 2 * 4096, 4096));
	SHOW(syscall(SYS_mlock2, at, 4096, 0));
	SHOW(syscall(SYS_mlock2, at + 1, 4096, 1));
	SHOW(syscall(SYS_mlock2, at, 4096, 2));
	SHOW(syscall(SYS_mlock2, at, 4096, -1));
	SHOW(syscall(SYS_mlock2, at, 4096, 1L << 32));
	SHOW(syscall(SYS_mlock2, at, 0, 2));
	SHOW(syscall(SYS_mlock2, at, 3 * 4096, 1));
	SHOW(syscall(SYS_mlock2, 0, 4096, 0));
	SHOW(syscall(SYS_mlockall, 0));
	SHOW(syscall(SYS_mlockall, MCL_ONFAULT));
	SHOW(syscall(SYS_mlockall, 8));
	SHOW(syscall(SYS_mlockall, MCL_CURRENT | 8));
	SHOW(syscall(SYS_mlockall, 1L << 32));
	SHOW(syscall(SYS_mlockall, MCL_CURRENT));
	SHOW(syscall(SYS_munlockall));
}

int main(void)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	ids();
	groups();
	itself();
	locked();
	return 0;
}
