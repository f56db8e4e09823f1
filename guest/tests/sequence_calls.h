/*
 * sequence_calls.h: the system calls that sequence.c knows, and what of each
 * may be compared from one run to another.
 */
#ifndef SEQUENCE_CALLS_H
#define SEQUENCE_CALLS_H

#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

/* What a call's result means. */
enum result {
	RAW, /* the same everywhere */
	OKAY, /* whether it is an error */
	ADDRESS, /* a mapping of argument 1's length, seen from the arena */
	MOVED, /* as ADDRESS, of argument 2's length */
	BREAK, /* seen from the first program break */
	HIDDEN, /* an error, or nothing that may be compared */
};

/* What a call leaves behind an argument that points to a buffer. */
enum output {
	NOTHING,
	WORDS, /* the words of each {...} */
	STAT, /* a struct stat behind S */
	STATX, /* a struct statx behind S */
	BYTES, /* as many bytes behind S as the result says */
	NAMES, /* entries of a folder behind S */
	ATTRIBUTES, /* names of extended attributes behind S */
};

struct call {
	const char *name;
	long number;
	enum result result;
	enum output output;
};

#define CALL(name, result, output) { #name, SYS_##name, result, output }

static const struct call calls[] = {
	CALL(open, RAW, NOTHING),
	CALL(openat, RAW, NOTHING),
	CALL(creat, RAW, NOTHING),
	CALL(openat2, RAW, NOTHING),
	CALL(close, RAW, NOTHING),
	CALL(close_range, RAW, NOTHING),
	CALL(dup, RAW, NOTHING),
	CALL(dup2, RAW, NOTHING),
	CALL(dup3, RAW, NOTHING),
	CALL(fcntl, RAW, WORDS),
	CALL(ioctl, RAW, WORDS),
	CALL(flock, RAW, NOTHING),
	CALL(read, RAW, NOTHING),
	CALL(write, RAW, NOTHING),
	CALL(pread64, RAW, NOTHING),
	CALL(pwrite64, RAW, NOTHING),
	CALL(readv, RAW, NOTHING),
	CALL(writev, RAW, NOTHING),
	CALL(preadv, RAW, NOTHING),
	CALL(pwritev, RAW, NOTHING),
	CALL(preadv2, RAW, NOTHING),
	CALL(pwritev2, RAW, NOTHING),
	CALL(lseek, RAW, NOTHING),
	CALL(truncate, RAW, NOTHING),
	CALL(ftruncate, RAW, NOTHING),
	CALL(fallocate, RAW, NOTHING),
	CALL(fsync, RAW, NOTHING),
	CALL(fdatasync, RAW, NOTHING),
	CALL(sync_file_range, RAW, NOTHING),
	CALL(fadvise64, RAW, NOTHING),
	CALL(readahead, RAW, NOTHING),
	CALL(sendfile, RAW, WORDS),
	CALL(copy_file_range, RAW, WORDS),
	CALL(splice, RAW, WORDS),
	CALL(tee, RAW, NOTHING),
	CALL(vmsplice, RAW, NOTHING),
	CALL(stat, RAW, STAT),
	CALL(lstat, RAW, STAT),
	CALL(fstat, RAW, STAT),
	CALL(newfstatat, RAW, STAT),
	CALL(statx, RAW, STATX),
	CALL(access, RAW, NOTHING),
	CALL(faccessat, RAW, NOTHING),
	CALL(faccessat2, RAW, NOTHING),
	CALL(mkdir, RAW, NOTHING),
	CALL(mkdirat, RAW, NOTHING),
	CALL(rmdir, RAW, NOTHING),
	CALL(unlink, RAW, NOTHING),
	CALL(unlinkat, RAW, NOTHING),
	CALL(rename, RAW, NOTHING),
	CALL(renameat, RAW, NOTHING),
	CALL(renameat2, RAW, NOTHING),
	CALL(link, RAW, NOTHING),
	CALL(linkat, RAW, NOTHING),
	CALL(symlink, RAW, NOTHING),
	CALL(symlinkat, RAW, NOTHING),
	CALL(readlink, RAW, BYTES),
	CALL(readlinkat, RAW, BYTES),
	CALL(chmod, RAW, NOTHING),
	CALL(fchmod, RAW, NOTHING),
	CALL(fchmodat, RAW, NOTHING),
	CALL(chown, RAW, NOTHING),
	CALL(lchown, RAW, NOTHING),
	CALL(fchown, RAW, NOTHING),
	CALL(fchownat, RAW, NOTHING),
	CALL(mknod, RAW, NOTHING),
	CALL(mknodat, RAW, NOTHING),
	CALL(setxattr, RAW, NOTHING),
	CALL(lsetxattr, RAW, NOTHING),
	CALL(fsetxattr, RAW, NOTHING),
	CALL(getxattr, RAW, BYTES),
	CALL(lgetxattr, RAW, BYTES),
	CALL(fgetxattr, RAW, BYTES),
	CALL(listxattr, HIDDEN, ATTRIBUTES),
	CALL(llistxattr, HIDDEN, ATTRIBUTES),
	CALL(flistxattr, HIDDEN, ATTRIBUTES),
	CALL(removexattr, RAW, NOTHING),
	CALL(lremovexattr, RAW, NOTHING),
	CALL(fremovexattr, RAW, NOTHING),
	CALL(umask, RAW, NOTHING),
	CALL(chdir, RAW, NOTHING),
	CALL(fchdir, RAW, NOTHING),
	CALL(getdents64, RAW, NAMES),
	CALL(utimensat, RAW, NOTHING),
	CALL(pipe2, RAW, WORDS),
	CALL(socketpair, RAW, WORDS),
	CALL(shutdown, RAW, NOTHING),
	CALL(eventfd2, RAW, NOTHING),
	CALL(memfd_create, RAW, NOTHING),
	CALL(timerfd_create, RAW, NOTHING),
	CALL(timerfd_settime, RAW, NOTHING),
	CALL(timerfd_gettime, RAW, NOTHING),
	CALL(poll, RAW, WORDS),
	CALL(ppoll, RAW, WORDS),
	CALL(select, RAW, WORDS),
	CALL(pselect6, RAW, WORDS),
	CALL(epoll_create1, RAW, NOTHING),
	CALL(epoll_ctl, RAW, NOTHING),
	CALL(epoll_wait, RAW, WORDS),
	CALL(epoll_pwait, RAW, WORDS),
	CALL(epoll_pwait2, RAW, WORDS),
	CALL(mmap, ADDRESS, NOTHING),
	CALL(munmap, RAW, NOTHING),
	CALL(mprotect, RAW, NOTHING),
	CALL(mremap, MOVED, NOTHING),
	CALL(madvise, RAW, NOTHING),
	CALL(msync, RAW, NOTHING),
	CALL(mincore, RAW, NOTHING),
	CALL(brk, BREAK, NOTHING),
	CALL(nanosleep, RAW, NOTHING),
	CALL(clock_nanosleep, RAW, NOTHING),
	CALL(clock_gettime, RAW, NOTHING),
	CALL(clock_getres, RAW, NOTHING),
	CALL(gettimeofday, RAW, NOTHING),
	CALL(time, OKAY, NOTHING),
	CALL(times, OKAY, NOTHING),
	CALL(getitimer, RAW, NOTHING),
	CALL(setitimer, RAW, NOTHING),
};

#endif
