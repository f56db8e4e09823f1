/*
 * proc.c: what a program asks of /proc, /sys and /dev: types and errno values,
 * and the texts as far as they are the same on every machine.
 *
 * With "held": keeps files of /proc open over a save.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratchvm.h"
#include "show.h"

static char buffer[1 << 16];

/* No memory; the compiler is not to know. */
static char *volatile bad = (char *)8;

/* All of a file; what it holds ends with a zero. */
static long slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	long total = 0, n;

	if (fd < 0)
		return -1;
	while ((n = read(fd, buffer + total, sizeof buffer - 1 - total)) > 0)
		total += n;
	close(fd);
	buffer[total] = 0;
	return n < 0 ? n : total;
}

static void types(void)
{
	static const char *const paths[] = {
		"/proc", "/proc/", "/proc/.", "/proc/self", "/proc/self/",
		"/proc/self/exe", "/proc/self/exe/", "/proc/self/maps",
		"/proc/self/maps/", "/proc/self/maps/x", "/proc/self/fd",
		"/proc/self/fd/0", "/proc/self/fd/77", "/proc/self/fd/x",
		"/proc/self/fd/00", "/proc/self/cwd",
		"/proc/self/cwd/f", "/proc/self/cwd/none", "/proc/self/none",
		"/proc/none", "/proc/4194303", "/proc/self/task",
		"/proc/thread-self", "/proc/thread-self/status",
		"/proc/self/../cpuinfo", "/proc/../proc/cpuinfo",
		"//proc//self//stat", "/./proc/stat", "/proc/meminfo",
		"/proc/sys/kernel/osrelease", "/proc/sys/kernel",
		"/sys/devices/system/cpu/online", "/sys/devices/system/cpu",
		"/sys/none", "/dev/null", "/dev/null/", "/dev/zero",
		"/dev/full", "/dev/urandom",
		"/proc/mounts", "/proc/uptime", "/proc/self/environ",
	};
	struct stat st;

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		printf("%s\n", paths[i]);
		SHOW(lstat(paths[i], &st));
		if (lstat(paths[i], &st) == 0)
			SHOW(st.st_mode & S_IFMT);
		/* A standard stream is not the same in both runs. */
		if (strcmp(paths[i], "/proc/self/fd/0")) {
			SHOW(stat(paths[i], &st));
			if (stat(paths[i], &st) == 0)
				SHOW(st.st_mode & S_IFMT);
		}
		SHOW(access(paths[i], F_OK));
		SHOW(access(paths[i], R_OK));
	}
}

static void opening(void)
{
	SHOW(open("/proc/self/maps", O_RDONLY | O_DIRECTORY));
	SHOW(open("/proc/none", O_WRONLY | O_CREAT, 0644));
	SHOW(open("/proc/cpuinfo", O_RDONLY | O_CREAT | O_EXCL, 0644));
	SHOW(open("/proc", O_WRONLY));
	SHOW(open("/proc/self/exe", O_RDONLY | O_NOFOLLOW));
	SHOW(open("/proc/self/exe", O_WRONLY) < 0);
	SHOW(mkdir("/proc/folder", 0755));
	SHOW(unlink("/proc/none"));
	SHOW(readlink("/proc/self/maps", buffer, 99));
	SHOW(readlink("/proc/self/none", buffer, 99));
	SHOW(symlink("x", "/proc/none/x"));
	int fd = open("/proc/version", O_RDONLY);

	SHOW(fd);
	SHOW(write(fd, "x", 1));
	SHOW(lseek(fd, 3, SEEK_SET));
	SHOW(lseek(fd, -4, SEEK_CUR));
	SHOW(lseek(fd, 2, SEEK_CUR));
	SHOW(pread(fd, buffer, 5, 0));
	printf("%.5s\n", buffer);
	SHOW(pread(fd, buffer, 5, 1 << 20));
	SHOW(read(fd, bad, 5));
	SHOW(ftruncate(fd, 0));
	SHOW(close(fd));
}

static void itself(int argc, char **argv)
{
	char path[64], link[4096];
	long n;

	SHOW(slurp("/proc/self/cmdline"));
	for (long at = 0, i = 0; i < argc; i++) {
		SHOW(strcmp(buffer + at, argv[i]));
		at += strlen(buffer + at) + 1;
	}
	n = readlink("/proc/self/exe", link, sizeof link - 1);
	link[n < 0 ? 0 : n] = 0;
	printf("exe %s\n", strrchr(link, '/'));
	sprintf(path, "/proc/%d/exe", getpid());
	SHOW(readlink(path, buffer, 4096) == n);
	SHOW(readlink("/proc/self/exe", buffer, 3));
	n = readlink("/proc/self", buffer, 99);
	buffer[n] = 0;
	SHOW(atoi(buffer) == getpid());
	n = readlink("/proc/self/cwd", buffer, 4096);
	buffer[n] = 0;
	SHOW(strcmp(buffer, getcwd(link, sizeof link)));
	SHOW(readlink("/proc/self/root", buffer, 99));

	SHOW(slurp("/proc/self/auxv") % 16);
	unsigned long *auxv = (unsigned long *)buffer;

	for (; *auxv; auxv += 2)
		/* glibc gives AT_HWCAP another meaning. */
		if (*auxv != AT_HWCAP && auxv[1] != getauxval(*auxv))
			printf("auxv %lu differs\n", *auxv);
	SHOW(slurp("/proc/self/environ") > 0);
	SHOW(memmem(buffer, sizeof buffer, "NO_COLOR=1", 11) != 0);
	SHOW(slurp("/proc/self/comm"));
	printf("%s", buffer);
}

static void mapped(void)
{
	unsigned long start, end, code = (unsigned long)&mapped;
	unsigned long stack = (unsigned long)&start;
	char flags[8], name[256];
	void *heap = sbrk(4096);

	char found[3][300] = { "" };

	slurp("/proc/self/maps");
	for (char *line = strtok(buffer, "\n"); line; line = strtok(0, "\n")) {
		name[0] = 0;
		sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &start, &end,
		       flags, name);
		if (code >= start && code < end)
			sprintf(found[0], "%s %s", flags, strrchr(name, '/'));
		if (stack >= start && stack < end)
			sprintf(found[1], "%s %s", flags, name);
		if ((unsigned long)heap >= start && (unsigned long)heap < end)
			sprintf(found[2], "%s %s", flags, name);
	}
	for (int i = 0; i < 3; i++)
		puts(found[i]);
}

/* A line of a file by the word it begins with. */
static void line(const char *path, const char *word)
{
	slurp(path);
	char *at = strstr(buffer, word);
	if (!at)
		printf("%s: no %s\n", path, word);
	else
		printf("%.*s\n", (int)strcspn(at, "\n"), at);
}

/* What the CPU itself says it is called. */
static void cpu_name(void)
{
	unsigned name[13] = {0};

	for (unsigned i = 0; i < 3; i++) {
		unsigned *part = name + 4 * i;

		__get_cpuid(0x80000002 + i, part, part + 1, part + 2, part + 3);
	}
	// Linux tells it without the spaces around it.
	char *first = (char *)name + strspn((char *)name, " "), *end = first;

	for (char *at = first; *at; at++)
		if (*at != ' ')
			end = at + 1;
	printf("%.*s\n", (int)(end - first), first);
}

static void texts(void)
{
	line("/proc/self/status", "Name:");
	line("/proc/self/status", "Umask:");
	line("/proc/self/status", "Threads:");
	line("/proc/self/status", "SigBlk:");
	line("/proc/self/status", "TracerPid:");
	line("/proc/self/limits", "Limit ");
	line("/proc/self/limits", "Max stack size");
	line("/proc/sys/kernel/ostype", "Linux");
	line("/proc/cpuinfo", "model name");
	cpu_name();
	SHOW(slurp("/proc/sys/kernel/random/uuid"));
	SHOW(slurp("/proc/meminfo") > 0);
	SHOW(strstr(buffer, "MemTotal:") == buffer);
	SHOW(slurp("/proc/cpuinfo") > 0);
	SHOW(strstr(buffer, "processor\t: 0\nvendor_id\t: ") == buffer);
	SHOW(strstr(buffer, " sse2 ") != 0);
	int pid, fields = 0;
	char name[32], state;

	slurp("/proc/self/stat");
	SHOW(sscanf(buffer, "%d %31s %c", &pid, name, &state));
	SHOW(pid == getpid());
	printf("%s %c\n", name, state);
	for (char *word = strtok(buffer, " \n"); word; word = strtok(0, " \n"))
		fields++;
	SHOW(fields);
}

static void descriptors(void)
{
	char link[4096], cwd[4096], path[64];
	int found = 0;
	int fd = open("f", O_RDWR | O_CREAT, 0644), again;

	SHOW(write(fd, "content", 7));
	sprintf(path, "/proc/self/fd/%d", fd);
	long n = readlink(path, link, sizeof link - 1);
	link[n] = 0;
	getcwd(cwd, sizeof cwd);
	printf("%s\n", link + strlen(cwd));
	again = open(path, O_RDONLY);
	SHOW(again);
	SHOW(read(again, buffer, 99));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(close(again));
	SHOW(open(path, O_RDONLY | O_DIRECTORY));
	SHOW(open(path, O_RDONLY | O_CREAT | O_EXCL));
	SHOW(unlink("f"));
	again = open(path, O_RDONLY);
	SHOW(read(again, buffer, 99));
	SHOW(close(again));
	DIR *folder = opendir("/proc/self/fd");

	for (struct dirent *e; (e = readdir(folder));)
		found += atoi(e->d_name) == fd && e->d_type == DT_LNK;
	closedir(folder);
	SHOW(found);
	int ends[2];

	SHOW(pipe(ends));
	sprintf(path, "/proc/self/fd/%d", ends[1]);
	SHOW(again = open(path, O_WRONLY));
	SHOW(write(again, "piped", 5));
	SHOW(read(ends[0], buffer, 9));
	SHOW(close(again) | close(ends[0]) | close(ends[1]) | close(fd));
	fd = open(".", O_RDONLY | O_DIRECTORY);
	sprintf(path, "/proc/self/fd/%d/g", fd);
	SHOW(again = open(path, O_WRONLY | O_CREAT, 0600));
	SHOW(close(again));
	SHOW(close(fd));
	SHOW(chdir("/proc/self"));
	SHOW(open("status", O_RDONLY));
	fd = open("/proc", O_RDONLY);
	SHOW(openat(fd, "self/statm", O_RDONLY));
	SHOW(fchdir(fd));
	printf("%s\n", getcwd(buffer, 99));
	SHOW(chdir("/proc/version"));
}

static int held(void)
{
	int fd = open("/proc/self/limits", O_RDONLY);
	int folder = open("/proc/self", O_RDONLY | O_DIRECTORY);
	char before[64] = "";

	SHOW(read(fd, before, 6));
	SHOW(SAVE() >= 0);
	SHOW(read(fd, before, 40));
	printf("%s\n", before);
	SHOW(openat(folder, "status", O_RDONLY) >= 0);
	SHOW(syscall(217, folder, buffer, sizeof buffer) > 100);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "held") == 0)
		return held();
	types();
	opening();
	itself(argc, argv);
	mapped();
	texts();
	descriptors();
	return 0;
}
