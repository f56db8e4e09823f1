/*
 * locks.c: flock and record locks, within one process and against another open
 * file; extended attributes, space and other calls on files.
 *
 * With "held": holds a lock of each kind over a save. With "wait": waits for a
 * lock on f. With "interrupted": has signals interrupt such waits.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "scratchvm.h"
#include "signals.h"

static struct flock lock_of(int type, int whence, long start, long length)
{
	return (struct flock){ .l_type = type, .l_whence = whence,
			       .l_start = start, .l_len = length };
}

#define LOCK(fd, command, type, whence, start, length)                        \
	do {                                                                  \
		struct flock l = lock_of(type, whence, start, length);        \
		SHOW(fcntl(fd, command, &l));                                 \
		printf("%d %d %ld %ld\n", l.l_type, l.l_whence,               \
		       (long)l.l_start, (long)l.l_len);                       \
	} while (0)

static void flocks(int a, int b)
{
	SHOW(flock(a, LOCK_EX));
	SHOW(flock(b, LOCK_EX | LOCK_NB));
	SHOW(flock(b, LOCK_SH | LOCK_NB));
	SHOW(flock(a, LOCK_SH));
	SHOW(flock(b, LOCK_SH | LOCK_NB));
	SHOW(flock(a, LOCK_EX | LOCK_NB));
	SHOW(flock(b, LOCK_UN));
	SHOW(flock(a, LOCK_UN));
	SHOW(flock(a, 0));
	SHOW(flock(a, 99));
	SHOW(flock(99, LOCK_SH));
	SHOW(flock(99, 99));
	SHOW(flock(open("f", O_PATH), LOCK_SH));
}

static void records(int a, int b)
{
	int only = open("f", O_RDONLY), write = open("f", O_WRONLY);

	LOCK(a, F_SETLK, F_WRLCK, SEEK_SET, 0, 10);
	LOCK(b, F_SETLK, F_WRLCK, SEEK_SET, 5, 10);
	LOCK(b, F_GETLK, F_WRLCK, SEEK_SET, 0, 0);
	LOCK(b, F_OFD_SETLK, F_WRLCK, SEEK_SET, 5, 10);
	LOCK(b, F_OFD_SETLK, F_WRLCK, SEEK_SET, 20, 10);
	LOCK(a, F_OFD_SETLK, F_RDLCK, SEEK_SET, 20, 1);
	LOCK(a, F_SETLK, F_WRLCK, SEEK_SET, 25, 1);
	LOCK(b, F_OFD_SETLK, F_UNLCK, SEEK_SET, 0, 0);
	LOCK(a, F_SETLK, F_UNLCK, SEEK_SET, 0, 0);
	LOCK(a, F_SETLK, 9, SEEK_SET, 0, 0);
	LOCK(a, F_GETLK, F_UNLCK, SEEK_SET, 0, 0);
	LOCK(a, F_SETLK, F_RDLCK, 7, 0, 0);
	LOCK(a, F_SETLK, F_RDLCK, SEEK_SET, -1, 0);
	LOCK(a, F_SETLK, F_RDLCK, SEEK_SET, 5, -5);
	LOCK(a, F_SETLK, F_RDLCK, SEEK_SET, 5, -6);
	LOCK(only, F_SETLK, F_WRLCK, SEEK_SET, 0, 1);
	LOCK(write, F_SETLK, F_RDLCK, SEEK_SET, 0, 1);
	SHOW(fcntl(a, F_SETLK, (void *)8));
	SHOW(lseek(a, 3, SEEK_SET));
	LOCK(a, F_SETLKW, F_WRLCK, SEEK_CUR, 1, 2);
	LOCK(b, F_OFD_SETLK, F_WRLCK, SEEK_SET, 4, 1);
	/* Closing any descriptor of the file ends the process's locks. */
	SHOW(close(only));
	LOCK(b, F_OFD_SETLK, F_WRLCK, SEEK_SET, 4, 1);
	SHOW(close(write));
}

static void attributes(int fd)
{
	char value[32];

	/* Not every file system has them: compared all the same. */
	/* An access list: the owner reads and writes, its group reads. */
	static const unsigned char list[] = {
		2, 0, 0, 0,
		0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,
		0x04, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
		0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
	};
	struct stat listed;

	SHOW(setxattr("f", "system.posix_acl_access", list, sizeof list, 0));
	SHOW(setxattr("f", "system.posix_acl_access", list, 5, 0));
	SHOW(setxattr("f", "system.posix_acl_default", list, sizeof list, 0));
	SHOW(stat("f", &listed));
	SHOW(listed.st_mode);
	SHOW(setxattr("f", "user.a", "one", 3, 0));
	SHOW(setxattr("f", "user.a", "two", 3, XATTR_CREATE));
	SHOW(fsetxattr(fd, "user.b", "three", 5, XATTR_CREATE));
	SHOW(setxattr("f", "user.c", "x", 1, XATTR_REPLACE));
	SHOW(setxattr("f", "user.c", "x", 1, 8));
	SHOW(setxattr("f", "", "x", 1, 0));
	SHOW(setxattr("none", "user.c", "x", 1, 0));
	SHOW(getxattr("f", "user.a", value, sizeof value));
	SHOW(getxattr("f", "user.a", value, 0));
	SHOW(getxattr("f", "user.a", value, 2));
	SHOW(getxattr("f", "user.none", value, 2));
	SHOW(fgetxattr(99, "user.a", value, 2));
	SHOW(lgetxattr("f", "user.b", value, sizeof value));
	SHOW(getxattr("f", (char *)8, value, 2));
	SHOW(removexattr("f", "user.a"));
	SHOW(removexattr("f", "user.a"));
	SHOW(fremovexattr(fd, "user.b"));
}

/* Those of `user.`, in order: others are the file system's own. */
static void show_listed(long length, const char *names)
{
	char sum = 0;
	int count = 0;

	for (long at = 0; at < length; at += strlen(names + at) + 1)
		if (strncmp(names + at, "user.", 5) == 0)
			sum += names[at + 5], count++;
	printf("listed %d %d\n", count, sum);
}

static void attribute_lists(int fd)
{
	char names[1000] = "";
	/* What the compiler may not see through. */
	char *volatile bad = (char *)8;
	int folder, path = open("f", O_PATH), pipes[2];

	SHOW(mkdir("attributes", 0755));
	SHOW(symlink("f", "to-f"));
	SHOW(pipe(pipes));
	folder = open("attributes", O_RDONLY);
	SHOW(lsetxattr("f", "user.l", "one", 3, XATTR_CREATE));
	SHOW(lsetxattr("f", "user.l", "two", 3, XATTR_CREATE));
	SHOW(lsetxattr("f", "user.l", "four", 4, XATTR_REPLACE));
	SHOW(setxattr("to-f", "user.m", "", 0, 0));
	/* A link has no attributes of its own. */
	SHOW(lsetxattr("to-f", "user.l", "one", 3, 0));
	SHOW(lgetxattr("to-f", "user.l", names, sizeof names));
	SHOW(lremovexattr("to-f", "user.l"));
	SHOW(lsetxattr("none", "user.l", "one", 3, 0));
	SHOW(setxattr("attributes", "user.f", "x", 1, 0));
	SHOW(fsetxattr(folder, "user.g", "x", 1, 0));
	show_listed(listxattr("f", names, sizeof names), names);
	show_listed(listxattr("to-f", names, sizeof names), names);
	show_listed(llistxattr("f", names, sizeof names), names);
	show_listed(llistxattr("to-f", names, sizeof names), names);
	show_listed(flistxattr(fd, names, sizeof names), names);
	show_listed(flistxattr(folder, names, sizeof names), names);
	show_listed(listxattr("attributes", names, sizeof names), names);
	/* Without a buffer only the length is told. */
	SHOW(listxattr("f", 0, 0) == listxattr("f", names, sizeof names));
	SHOW(flistxattr(fd, 0, 0) == llistxattr("f", 0, 0));
	SHOW(listxattr("f", names, 1));
	SHOW(listxattr("f", bad, sizeof names));
	SHOW(listxattr("none", names, sizeof names));
	SHOW(listxattr(bad, names, sizeof names));
	SHOW(llistxattr("", names, sizeof names));
	SHOW(flistxattr(99, names, sizeof names));
	SHOW(flistxattr(path, names, sizeof names));
	SHOW(fsetxattr(path, "user.a", "x", 1, 0));
	SHOW(flistxattr(pipes[0], names, sizeof names));
	SHOW(fgetxattr(pipes[0], "user.a", names, sizeof names));
	SHOW(fsetxattr(pipes[0], "user.a", "x", 1, 0));
	SHOW(fremovexattr(pipes[0], "user.a"));
	SHOW(lremovexattr("f", "user.l"));
	SHOW(lremovexattr("f", "user.l"));
	SHOW(removexattr("to-f", "user.m"));
	SHOW(lremovexattr("none", "user.l"));
	SHOW(lremovexattr("f", bad));
	show_listed(flistxattr(fd, names, sizeof names), names);
	SHOW(unlink("to-f"));
	close(folder);
	close(path);
	close(pipes[0]);
	close(pipes[1]);
}

static void space(int fd)
{
	struct statfs fs;
	struct stat st;
	long offset = 2;
	int other = open("g", O_RDWR | O_CREAT, 0644);

	SHOW(fallocate(fd, 0, 0, 100));
	SHOW((fstat(fd, &st), st.st_size));
	SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 100, 100));
	SHOW((fstat(fd, &st), st.st_size));
	SHOW(fallocate(fd, 0, -1, 100));
	SHOW(fallocate(fd, 0, 0, 0));
	SHOW(fallocate(99, 0, 0, 0));
	SHOW(pwrite(fd, "0123456789", 10, 0));
	SHOW(copy_file_range(fd, &offset, other, 0, 5, 0));
	SHOW(offset);
	SHOW(lseek(other, 0, SEEK_CUR));
	SHOW(copy_file_range(fd, &offset, other, 0, 5, 1));
	SHOW(copy_file_range(99, 0, other, 0, 5, 0));
	offset = 8;
	SHOW(sendfile(other, fd, &offset, 2));
	SHOW(offset);
	SHOW(lseek(other, 0, SEEK_CUR));
	SHOW(sendfile(99, fd, 0, 2));
	SHOW(statfs(".", &fs));
	SHOW(fs.f_bsize);
	SHOW(fstatfs(fd, &fs));
	SHOW(fstatfs(99, &fs));
	SHOW(statfs("none", &fs));
	SHOW((statfs("/proc", &fs), fs.f_type));
	SHOW(readahead(fd, 0, 100));
	SHOW(readahead(99, 0, 100));
	SHOW(sync_file_range(fd, 0, 0, 7));
	SHOW(sync_file_range(fd, 0, 0, 8));
	SHOW(syncfs(99));
	struct iovec v = { &offset, 4 };

	SHOW(syscall(SYS_preadv2, fd, &v, 1, 0l, 0l, 0));
	SHOW(syscall(SYS_preadv2, fd, &v, 1, -1l, -1l, 0));
	SHOW(syscall(SYS_preadv2, fd, &v, 1, 0l, 0l, 1 << 20));
	SHOW(mknod("fifo", S_IFIFO | 0644, 0));
	SHOW(mknod("fifo", S_IFIFO | 0644, 0));
	SHOW(unlink("fifo"));
	SHOW(mknod("file", 0600, 0));
	SHOW(mknod("x", S_IFDIR | 0600, 0));
	SHOW(mknod("x", 0110000, 0));
	struct timeval times[2] = { { 5, 1 }, { 6, 2 } };

	SHOW(utimes("file", times));
	SHOW((stat("file", &st), st.st_mtim.tv_sec * 10 + st.st_mtim.tv_nsec));
	times[0].tv_usec = 1000000;
	SHOW(utimes("file", times));
	SHOW(futimesat(AT_FDCWD, "none", 0));
	struct utimbuf seconds = { 7, 8 };

	SHOW(utime("file", &seconds));
	SHOW((stat("file", &st), st.st_atim.tv_sec * 10 + st.st_mtim.tv_sec));
	SHOW(st.st_atim.tv_nsec + st.st_mtim.tv_nsec);
	SHOW(utime("file", 0));
	SHOW((stat("file", &st), st.st_mtim.tv_sec > 1000000));
	SHOW(utime("none", &seconds));
	/* Not by way of the C library, which looks at what it points to. */
	SHOW(syscall(SYS_utime, "file", 8));
	SHOW(syscall(SYS_utime, 8, 0));
	sync();
	int folder = open(".", O_RDONLY | O_DIRECTORY);

	SHOW(mkdir("made", 0755));
	SHOW(mknodat(folder, "made/fifo", S_IFIFO | 0640, 0));
	SHOW((lstat("made/fifo", &st), st.st_mode));
	SHOW(mknodat(folder, "made/fifo", S_IFREG | 0600, 0));
	SHOW(mknodat(folder, "made/file", 0604, 0));
	SHOW((lstat("made/file", &st), st.st_mode));
	SHOW(mknodat(folder, "made/x", S_IFDIR | 0600, 0));
	SHOW(mknodat(folder, "made/x", 0110000, 0));
	SHOW(mknodat(folder, "none/x", 0600, 0));
	SHOW(mknodat(99, "x", 0600, 0));
	SHOW(mknodat(fd, "x", 0600, 0));
	SHOW(mknodat(folder, "", 0600, 0));
	SHOW(mknodat(folder, (char *)8, 0600, 0));
	SHOW(unlink("made/fifo"));
	close(folder);
}

static void nameless(void)
{
	char text[8] = "";
	int fd = memfd_create("name", 0);

	SHOW(fd >= 0);
	SHOW(write(fd, "memory", 6));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(pread(fd, text, 8, 0));
	SHOW(fcntl(memfd_create("", MFD_CLOEXEC), F_GETFD));
	SHOW(memfd_create("x", 0x1000));
	SHOW(memfd_create((char *)8, 0));
	struct { unsigned long flags, mode, resolve, more; } how = { 0 };

	SHOW(syscall(SYS_openat2, AT_FDCWD, "f", &how, 24) >= 0);
	SHOW(syscall(SYS_openat2, AT_FDCWD, "f", &how, 32) >= 0);
	SHOW(syscall(SYS_openat2, AT_FDCWD, "f", &how, 23));
	SHOW(syscall(SYS_openat2, AT_FDCWD, "f", 8, 24));
	how.mode = 1;
	SHOW(syscall(SYS_openat2, AT_FDCWD, "f", &how, 24));
	how.mode = 0, how.more = 1;
	SHOW(syscall(SYS_openat2, AT_FDCWD, "f", &how, 32));
	how.more = 0, how.flags = 1ul << 40;
	SHOW(syscall(SYS_openat2, AT_FDCWD, "f", &how, 24));
	how.flags = 0, how.resolve = 1 << 20;
	SHOW(syscall(SYS_openat2, AT_FDCWD, "f", &how, 24));
}

static int held(int fd)
{
	int memory = memfd_create("kept", 0);
	char text[8] = "";

	SHOW(write(memory, "kept", 4));
	SHOW(flock(fd, LOCK_EX));
	LOCK(fd, F_SETLK, F_WRLCK, SEEK_SET, 0, 10);
	LOCK(fd, F_OFD_SETLK, F_RDLCK, SEEK_SET, 20, 0);
	SHOW(SAVE() >= 0);
	SHOW(pread(memory, text, 8, 0));
	puts(text);
	int other = open("f", O_RDWR);

	SHOW(flock(other, LOCK_SH | LOCK_NB));
	LOCK(other, F_OFD_SETLK, F_RDLCK, SEEK_SET, 9, 1);
	LOCK(other, F_OFD_SETLK, F_RDLCK, SEEK_SET, 10, 5);
	LOCK(other, F_OFD_SETLK, F_WRLCK, SEEK_SET, 99, 1);
	return 0;
}

static int holder, most;

static void alarm_in(long ms)
{
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 0 },
						    { 0, ms * 1000 } }, 0);
}

/* The last alarm gives back what the call waits for, which goes on with it. */
static void alarmed(int signal)
{
	struct flock l = lock_of(F_UNLCK, SEEK_SET, 0, 0);

	count(signal);
	if (calls < most)
		return alarm_in(100);
	flock(holder, LOCK_UN);
	fcntl(holder, F_OFD_SETLK, &l);
	fcntl(holder, F_SETLK, &l);
}

static void alarms(int flags)
{
	calls = 0;
	most = flags & SA_RESTART ? 3 : 1000;
	handle(SIGALRM, alarmed, flags);
	alarm_in(100);
}

/* Each alarm comes when the call has looked for the lock a few times. */
static void interrupted(int a, int b)
{
	static const int flags[] = { 0, SA_RESTART };
	struct flock l = lock_of(F_WRLCK, SEEK_SET, 0, 10);
	struct flock none = lock_of(F_UNLCK, SEEK_SET, 0, 0);

	holder = b;
	for (int i = 0; i < 2; i++) {
		SHOW(flock(b, LOCK_EX));
		alarms(flags[i]);
		SHOW(flock(a, LOCK_EX));
		alarm_in(0);
		flock(a, LOCK_UN);
		flock(b, LOCK_UN);
		SHOW(fcntl(b, F_OFD_SETLK, &l));
		alarms(flags[i]);
		SHOW(fcntl(a, F_SETLKW, &l));
		alarm_in(0);
		fcntl(b, F_OFD_SETLK, &none);
		SHOW(fcntl(a, F_SETLK, &l));
		alarms(flags[i]);
		SHOW(fcntl(b, F_OFD_SETLKW, &l));
		alarm_in(0);
		fcntl(a, F_SETLK, &none);
		fcntl(b, F_OFD_SETLK, &none);
	}
}

int main(int argc, char **argv)
{
	int a = open("f", O_RDWR | O_CREAT, 0644), b = open("f", O_RDWR);

	setbuf(stdout, 0);
	if (argc > 1 && strcmp(argv[1], "held") == 0)
		return held(a);
	if (argc > 1 && strcmp(argv[1], "wait") == 0) {
		puts("waits");
		SHOW(flock(a, LOCK_EX));
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "interrupted") == 0) {
		interrupted(a, b);
		return 0;
	}
	flocks(a, b);
	records(a, b);
	attributes(a);
	attribute_lists(a);
	space(a);
	nameless();
	return 0;
}
