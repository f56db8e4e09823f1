/*
 * files.c: every call on files, with good and bad arguments; prints results and
 * errno values, which must be those of Linux.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHOW(call)                                                            \
	do {                                                                  \
		errno = 0;                                                    \
		long r_ = (long)(call);                                       \
		printf("%-60s %ld %d\n", #call, r_, r_ < 0 ? errno : 0);     \
	} while (0)

/* musl's headers have no statx: its structure, from linux/stat.h. */
struct statx_buffer {
	unsigned int mask, blksize;
	unsigned long long attributes;
	unsigned int nlink, uid, gid;
	unsigned short mode, spare;
	unsigned long long ino, size, blocks, rest[26];
};
#define SIZE_AND_MODE 0x202
#define BASIC_STATS 0x7ff

static void *const bad = (void *)0x1000;
static char buffer[256];

static void opening(void)
{
	SHOW(open("a.txt", O_RDWR | O_CREAT | O_EXCL, 0640));
	SHOW(open("a.txt", O_RDWR | O_CREAT | O_EXCL, 0640));
	SHOW(open("none.txt", O_RDONLY));
	SHOW(open("", O_RDONLY));
	SHOW(open("a.txt/below", O_RDONLY));
	SHOW(open(".", O_RDWR));
	SHOW(open("a.txt", O_DIRECTORY));
	SHOW(open("a.txt", O_RDONLY | O_NOFOLLOW));
	SHOW(open(bad, O_RDONLY));
	SHOW(openat(77, "a.txt", O_RDONLY));
	SHOW(openat(3, "a.txt", O_RDONLY));
	SHOW(openat(AT_FDCWD, "a.txt", O_WRONLY | O_APPEND | O_CLOEXEC));
	SHOW(fcntl(5, F_GETFL));
	SHOW(fcntl(5, F_GETFD));
	SHOW(fcntl(3, F_SETFL, O_APPEND | O_NONBLOCK));
	SHOW(fcntl(3, F_GETFL));
	SHOW(fcntl(3, F_SETFL, 0));
	SHOW(fcntl(3, 9999, 0));
	SHOW(fcntl(99, F_GETFL));
	SHOW(close(4));
	SHOW(close(4));
	SHOW(close(5));
	SHOW(close(-1));
}

static void moving(void)
{
	struct iovec out[3] = { { "one", 3 }, { 0, 0 }, { "two!", 4 } };
	struct iovec in[2] = { { buffer, 2 }, { buffer + 100, 50 } };
	struct iovec wrong[2] = { { "ok", 2 }, { bad, 4 } };
	struct iovec huge[1] = { { buffer, -1 } };

	SHOW(write(3, "hello, world", 12));
	SHOW(writev(3, out, 3));
	SHOW(lseek(3, 0, SEEK_CUR));
	SHOW(lseek(3, -5, SEEK_END));
	SHOW(read(3, buffer, 100));
	SHOW(read(3, buffer, 100));
	SHOW(pread(3, buffer, 5, 7));
	printf("%.5s\n", buffer);
	SHOW(pwrite(3, "WORLD", 5, 7));
	SHOW(lseek(3, 0, SEEK_SET));
	SHOW(readv(3, in, 2));
	printf("%.2s|%.10s\n", buffer, buffer + 100);
	SHOW(lseek(3, -1, SEEK_SET));
	SHOW(lseek(3, 0, 77));
	SHOW(lseek(1000, 0, SEEK_SET));
	SHOW(lseek(3, 1000, SEEK_SET));
	SHOW(read(3, buffer, 10));
	SHOW(read(3, bad, 0));
	SHOW(read(99, buffer, 10));
	SHOW(write(3, bad, 10));
	SHOW(pread(3, buffer, 10, -1));
	SHOW(read(3, (void *)-8, 4));
	SHOW(lseek(3, 0, SEEK_SET));
	SHOW(read(3, bad, 10));
	SHOW(writev(3, wrong, 2));
	SHOW(writev(3, huge, 1));
	SHOW(syscall(SYS_writev, 3, out, 2000));
	SHOW(syscall(SYS_writev, 3, out, -1));
	SHOW(writev(3, bad, 1));
	SHOW(readv(3, in, 0));
	SHOW(ftruncate(3, 5));
	SHOW(lseek(3, 0, SEEK_END));
	SHOW(ftruncate(3, -1));
	SHOW(truncate("a.txt", 9));
	SHOW(truncate("none.txt", 9));
	SHOW(truncate(".", 9));
	SHOW(fsync(3));
	SHOW(fdatasync(3));
	SHOW(fsync(99));
}

static void looking(void)
{
	struct stat st;
	struct statx_buffer sx;

	SHOW(fstat(3, &st));
	printf("size %ld mode %o links %ld\n", (long)st.st_size, st.st_mode,
	       (long)st.st_nlink);
	SHOW(stat("a.txt", &st));
	SHOW(stat("none", &st));
	SHOW(stat("a.txt", bad));
	SHOW(lstat(".", &st));
	printf("mode %o\n", st.st_mode & S_IFMT);
	SHOW(fstatat(AT_FDCWD, "a.txt", &st, 0x4000000));
	SHOW(fstatat(3, "", &st, AT_EMPTY_PATH));
	SHOW(fstatat(AT_FDCWD, "", &st, 0));
	SHOW(fstat(99, &st));
	SHOW(syscall(SYS_statx, AT_FDCWD, "a.txt", 0, SIZE_AND_MODE, &sx));
	printf("size %llu mode %o\n", sx.size, sx.mode);
	SHOW(syscall(SYS_statx, 3, "", AT_EMPTY_PATH, BASIC_STATS, &sx));
	SHOW(syscall(SYS_statx, AT_FDCWD, "a.txt", 0x40000000, BASIC_STATS, &sx));
	SHOW(access("a.txt", R_OK | W_OK));
	SHOW(access("a.txt", X_OK));
	SHOW(access("none", F_OK));
	SHOW(access("a.txt", 99));
	SHOW(faccessat(AT_FDCWD, "a.txt", R_OK, AT_EACCESS));
	SHOW(stat("/dev/null", &st));
	printf("mode %o\n", st.st_mode & S_IFMT);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void folders(void)
{
	char *names[16];
	int count = 0;
	DIR *dir;

	umask(022);
	SHOW(mkdir("d", 0777));
	SHOW(mkdir("d", 0777));
	SHOW(mkdir("none/d", 0777));
	SHOW(mkdir(bad, 0777));
	SHOW(open("d/x.txt", O_WRONLY | O_CREAT, 0666));
	SHOW(write(4, "x", 1));
	SHOW(close(4));
	SHOW(symlinkat("x.txt", AT_FDCWD, "d/link") < 0 && errno != ENOSYS);
	SHOW(rename("d/x.txt", "d/y.txt"));
	SHOW(rename("d/x.txt", "d/z.txt"));
	SHOW(rename("d", "d/inside"));
	SHOW(rename("a.txt", bad));
	SHOW(readlink("a.txt", buffer, 10));
	SHOW(readlink("none", buffer, 10));
	SHOW(readlink("a.txt", buffer, 0));
	SHOW(rmdir("d"));
	SHOW(unlink("d"));
	SHOW(rmdir("a.txt"));
	SHOW(chdir("d"));
	SHOW(getcwd(buffer, sizeof buffer) != 0);
	printf("%s\n", strrchr(buffer, '/'));
	SHOW(getcwd(buffer, 2) != 0);
	SHOW(syscall(SYS_getcwd, bad, 4096));
	dir = opendir(".");
	for (struct dirent *e; dir && (e = readdir(dir)) && count < 16;)
		if (strcmp(e->d_name, "link"))
			names[count++] = strdup(e->d_name);
	closedir(dir);
	qsort(names, (size_t)count, sizeof *names, by_name);
	for (int i = 0; i < count; i++)
		printf("entry %s\n", names[i]);
	SHOW(syscall(SYS_getdents64, 3, buffer, 200));
	SHOW(syscall(SYS_getdents64, 99, buffer, 200));
	SHOW(unlink("link") < 0 && errno != ENOENT);
	SHOW(unlink("y.txt"));
	SHOW(unlink("y.txt"));
	SHOW(chdir(".."));
	SHOW(chdir("a.txt"));
	SHOW(chdir("none"));
	SHOW(rmdir("d"));
	SHOW(unlink("."));
	SHOW(unlink(""));
}

static void duplicates(void)
{
	int fds[2];

	SHOW(dup(3));
	SHOW(dup(99));
	SHOW(dup2(3, 10));
	SHOW(dup2(3, 3));
	SHOW(dup2(99, 5));
	SHOW(dup2(3, 100000));
	SHOW(dup3(3, 11, O_CLOEXEC));
	SHOW(dup3(3, 3, 0));
	SHOW(dup3(3, 12, 1));
	SHOW(fcntl(11, F_GETFD));
	SHOW(fcntl(3, F_DUPFD, 20));
	SHOW(fcntl(3, F_DUPFD_CLOEXEC, 20));
	SHOW(fcntl(3, F_DUPFD, 100000));
	SHOW(fcntl(21, F_GETFD));
	SHOW(pipe(fds));
	printf("%d %d\n", fds[0], fds[1]);
	SHOW(write(fds[1], "through", 7));
	SHOW(read(fds[0], buffer, 3));
	SHOW(write(fds[0], "x", 1));
	SHOW(read(fds[1], buffer, 1));
	SHOW(lseek(fds[0], 0, SEEK_SET));
	SHOW(pread(fds[0], buffer, 1, 0));
	SHOW(close(fds[1]));
	SHOW(read(fds[0], buffer, 100));
	SHOW(read(fds[0], buffer, 100));
	SHOW(pipe2(fds, O_NONBLOCK | O_CLOEXEC));
	SHOW(read(fds[0], buffer, 1));
	SHOW(fcntl(fds[0], F_GETFL));
	SHOW(fcntl(fds[1], F_GETFL));
	SHOW(pipe2(fds, 0x12345));
	SHOW(pipe(bad));
	static char full[70000];
	SHOW(write(fds[1], full, sizeof full));
	SHOW(write(fds[1], full, 1));
	SHOW(isatty(3));
}

static void advising(void)
{
	int ends[2], file = open("d/x.txt", O_RDONLY);

	SHOW(syscall(SYS_fadvise64, file, 0, 0, 2));
	SHOW(syscall(SYS_fadvise64, file, -1, 4096, 5));
	SHOW(syscall(SYS_fadvise64, file, 0, 4096, 6));
	SHOW(syscall(SYS_fadvise64, file, 0, 4096, -1));
	SHOW(syscall(SYS_fadvise64, file, 0, -1, 0));
	SHOW(syscall(SYS_fadvise64, 99, 0, -1, 9));
	SHOW(syscall(SYS_fadvise64, open("/dev/null", O_RDONLY), 0, 1, 9));
	SHOW(syscall(SYS_fadvise64, open("/dev/null", O_RDONLY), 0, 1, 4));
	SHOW(syscall(SYS_fadvise64, open(".", O_RDONLY), 0, 1, 4));
	SHOW(syscall(SYS_fadvise64, open(".", O_PATH), 0, 1, 0));
	SHOW(pipe(ends));
	SHOW(syscall(SYS_fadvise64, ends[0], 0, -1, 9));
}

int main(void)
{
	opening();
	moving();
	looking();
	folders();
	duplicates();
	advising();
	SHOW(unlink("a.txt"));
	SHOW(unlink("a.txt"));
	return 0;
}
