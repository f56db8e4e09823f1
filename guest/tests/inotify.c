/*
 * inotify.c: files that tell of changes of others.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../scratchvm.h"
#include "signals.h"

static int fd;
static char buffer[65536] __attribute__((aligned(8)));

static int events(void)
{
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

static void tell(void)
{
	uint32_t cookie = 0;
	long got = read(fd, buffer, sizeof buffer);

	printf("read %s\n", got > 0 ? "some" : got ? "failed" : "nothing");
	for (long at = 0; at < got;) {
		struct inotify_event *event = (void *)(buffer + at);

		printf("watch %d mask %x %s, %s\n", event->wd, event->mask,
		       event->len ? event->name : "-",
		       !event->cookie ? "no cookie" :
		       event->cookie == cookie ? "the same" : "a cookie");
		cookie = event->cookie;
		at += sizeof *event + event->len;
	}
}

static void put(const char *path)
{
	int file = open(path, O_WRONLY | O_CREAT, 0600);

	write(file, "x", 1);
	close(file);
}

static void errors(void)
{
	SHOW((fd = (int)syscall(SYS_inotify_init)) > 0);
	SHOW(fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_GETFD));
	close(fd);
	SHOW(inotify_init1(5));
	SHOW((fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) > 0);
	SHOW(fcntl(fd, F_GETFL));
	SHOW(fcntl(fd, F_GETFD));
	put("file");
	SHOW(inotify_add_watch(fd, ".", 0));
	SHOW(inotify_add_watch(fd, ".", 0x08000000));
	SHOW(inotify_add_watch(99, ".", IN_CREATE));
	SHOW(inotify_add_watch(0, ".", IN_CREATE));
	SHOW(inotify_add_watch(fd, "none", IN_CREATE));
	SHOW(inotify_add_watch(fd, (char *)0x1000, IN_CREATE));
	SHOW(inotify_add_watch(fd, "file", IN_OPEN | IN_ONLYDIR));
	SHOW(inotify_rm_watch(fd, 1));
	SHOW(inotify_rm_watch(0, 1));
	SHOW(inotify_rm_watch(99, 1));
	SHOW(events());
	SHOW(read(fd, buffer, 10));
	SHOW(write(fd, buffer, 10));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(inotify_add_watch(fd, ".", IN_CREATE));
	put("new");
	SHOW(events());
	SHOW(read(fd, buffer, 10));
	SHOW(read(fd, (void *)0x1000, 100));
	int waiting = 0;
	SHOW(ioctl(fd, FIONREAD, &waiting));
	SHOW(waiting);
	tell();
	tell();
}

static void changes(void)
{
	fd = inotify_init1(IN_NONBLOCK);
	mkdir("folder", 0700);
	mkdir("other", 0700);
	SHOW(inotify_add_watch(fd, "folder", IN_ALL_EVENTS));
	SHOW(inotify_add_watch(fd, "other", IN_MOVED_TO | IN_CREATE));
	put("folder/a");
	tell();
	rename("folder/a", "folder/b");
	rename("folder/b", "other/c");
	mkdir("folder/inner", 0700);
	rmdir("folder/inner");
	tell();
	SHOW(inotify_add_watch(fd, "other/c", IN_MODIFY | IN_ATTRIB));
	SHOW(inotify_add_watch(fd, "other", IN_DELETE | IN_MASK_ADD));
	SHOW(inotify_add_watch(fd, "folder", IN_OPEN | IN_MASK_CREATE));
	put("other/c");
	chmod("other/c", 0644);
	unlink("other/c");
	tell();
	SHOW(inotify_rm_watch(fd, 2));
	put("other/d");
	tell();
	SHOW(inotify_rm_watch(fd, 2));
	SHOW(inotify_add_watch(fd, "other", IN_CREATE | IN_ONESHOT));
	put("other/e");
	put("other/f");
	tell();
	unlink("other/d");
	unlink("other/e");
	unlink("other/f");
	rmdir("other");
	rmdir("folder");
	tell();
}

static void *later(void *arg)
{
	usleep(30000);
	SAVE();
	usleep(30000);
	put(arg);
	return 0;
}

static void saved(void)
{
	pthread_t thread;
	struct epoll_event event = { .events = EPOLLIN }, seen;
	int set = epoll_create1(0);

	fd = inotify_init1(0);
	mkdir("folder", 0700);
	put("folder/file");
	inotify_add_watch(fd, "folder/file", IN_MODIFY);
	inotify_add_watch(fd, "folder", IN_CREATE | IN_DELETE);
	inotify_rm_watch(fd, 1);
	inotify_add_watch(fd, "folder/file", IN_CLOSE_WRITE);
	put("folder/a");
	SAVE();
	SHOW(events());
	put("folder/file");
	tell();
	epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
	pthread_create(&thread, 0, later, "folder/b");
	SHOW(epoll_wait(set, &seen, 1, -1));
	tell();
	pthread_join(thread, 0);
	SHOW(epoll_wait(set, &seen, 1, 0));
	pthread_create(&thread, 0, later, "folder/c");
	tell();
	pthread_join(thread, 0);
	SHOW(inotify_add_watch(fd, ".", IN_CREATE));
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "errors", errors }, { "changes", changes },
		{ "saved", saved }, { 0, 0 },
	};

	return run_parts(parts, argc, argv);
}
