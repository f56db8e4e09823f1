/*
 * show.h: prints a call, its result and its errno, so that two runs can be
 * compared line by line.
 */
#ifndef SHOW_H
#define SHOW_H

#include <errno.h>
#include <stdio.h>

/* A call whose result means the same everywhere. */
#define SHOW(call)                                                            \
	do {                                                                  \
		errno = 0;                                                    \
		long r_ = (long)(call);                                       \
		printf("%-60s %ld %d\n", #call, r_, r_ < 0 ? errno : 0);     \
	} while (0)

/* A call whose result, when it is no error, differs from run to run. */
#define SHOW_OK(call)                                                         \
	do {                                                                  \
		errno = 0;                                                    \
		long r_ = (long)(call);                                       \
		printf("%-60s %s %d\n", #call, r_ < 0 ? "-1" : "ok",         \
		       r_ < 0 ? errno : 0);                                   \
	} while (0)

/* A call that gives an address: shown as its distance from `base`. */
#define SHOW_AT(call, base)                                                   \
	do {                                                                  \
		errno = 0;                                                    \
		char *r_ = (char *)(call);                                    \
		if (r_ == (char *)-1)                                         \
			printf("%-60s -1 %d\n", #call, errno);                \
		else                                                          \
			printf("%-60s at %+ld\n", #call,                      \
			       (long)(r_ - (char *)(base)));                  \
	} while (0)

#endif
