/*
 * socketpair.c: pairs of sockets.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "show.h"

static int s[2];
static char block[400000];

static void ends(const char *when)
{
	struct pollfd p[2] = { { s[0], POLLIN | POLLOUT | POLLRDHUP, 0 },
			       { s[1], POLLIN | POLLOUT | POLLRDHUP, 0 } };
	int n = poll(p, 2, 0);

	printf("%-30s %d: %x %x\n", when, n, p[0].revents, p[1].revents);
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	if (getsockopt(fd, SOL_SOCKET, name, &value, &length) < 0)
		return -1;
	return value;
}

static int set_option(int fd, int name, int value)
{
	return setsockopt(fd, SOL_SOCKET, name, &value, sizeof value);
}

static void errors(int type)
{
	/* What the compiler may not see through. */
	void *volatile bad = (void *)0x1000;
	struct sockaddr_un address;
	socklen_t length = sizeof address;
	struct stat st;
	int waiting;

	SHOW(socketpair(AF_INET, type, 0, s));
	SHOW(socketpair(AF_UNIX, 99, 0, s));
	SHOW(socketpair(AF_UNIX, type, 7, s));
	SHOW(socketpair(AF_UNIX, type, 0, (int *)0x1000));
	SHOW(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s));
	SHOW(fcntl(s[0], F_GETFD));
	SHOW(fcntl(s[0], F_GETFL));
	SHOW(fstat(s[0], &st));
	SHOW(st.st_mode);
	SHOW(lseek(s[0], 0, SEEK_CUR));
	SHOW(option(s[0], SO_TYPE));
	SHOW(option(s[0], SO_ERROR));
	SHOW(option(s[0], SO_DOMAIN));
	SHOW(option(s[0], SO_ACCEPTCONN));
	SHOW(option(s[0], 9999));
	SHOW(set_option(s[0], SO_SNDBUF, 10000));
	SHOW(option(s[0], SO_SNDBUF));
	SHOW(set_option(s[0], SO_SNDBUF, 1));
	SHOW(option(s[0], SO_SNDBUF));
	SHOW(set_option(s[0], SO_RCVBUF, 1));
	SHOW(option(s[0], SO_RCVBUF));
	SHOW(set_option(s[0], SO_SNDBUF, 100000));
	SHOW(getsockname(s[0], (void *)&address, &length));
	SHOW(length);
	SHOW(address.sun_family);
	SHOW(getpeername(s[0], (void *)&address, &length));
	SHOW(getsockname(0, (void *)&address, &length));
	SHOW(getsockname(99, (void *)&address, &length));
	SHOW(recv(s[0], block, 10, 0));
	SHOW(send(s[0], "hello", 5, 0));
	SHOW(ioctl(s[1], FIONREAD, &waiting));
	SHOW(waiting);
	SHOW(recv(s[1], block, 2, MSG_PEEK));
	SHOW(recv(s[1], block, 2, 0));
	SHOW(recv(s[1], block, 10, 0));
	SHOW(send(s[0], "hello", 5, 0));
	SHOW(recv(s[1], block, 2, MSG_TRUNC | MSG_PEEK));
	SHOW(recvfrom(s[1], block, 10, 0, (void *)&address, &length));
	SHOW(length);
	SHOW(sendto(s[0], "there", 5, 0, 0, 0));
	SHOW(sendto(s[0], "there", 5, 0, 0, 99));
	SHOW(recv(s[1], block, 5, 0));
	SHOW(recv(s[1], block, 5, 0));
	SHOW(send(s[0], bad, 5, 0));
	SHOW(sendto(99, "there", 5, 0, 0, 0));
	SHOW(send(0, "there", 5, 0));
	SHOW(send(open(".", O_PATH), "there", 5, 0));
	SHOW(recv(s[1], block, 5, 0));
	SHOW(send(s[0], "", 0, 0));
	SHOW(recv(s[1], block, 10, 0));
	SHOW(read(s[1], block, 0));
	SHOW(write(s[0], (void *)0x1000, 5));
	SHOW(write(s[0], "ab", 2));
	SHOW(read(s[1], (void *)0x1000, 5));
	SHOW(recv(s[1], block, 10, 0));
	SHOW(listen(s[0], 1));
	SHOW(shutdown(s[0], 7));
	close(s[0]);
	close(s[1]);
}

static void messages(int type)
{
	struct iovec out[2] = { { "abc", 3 }, { "defgh", 5 } };
	struct iovec in[2] = { { block, 2 }, { block + 10, 4 } };
	struct msghdr m = { .msg_iov = out, .msg_iovlen = 2 };
	struct msghdr r = { .msg_iov = in, .msg_iovlen = 2 };
	char name[32];

	SHOW(socketpair(AF_UNIX, type, 0, s));
	SHOW(sendmsg(s[0], &m, 0));
	SHOW(writev(s[0], out, 2));
	r.msg_name = name;
	r.msg_namelen = sizeof name;
	SHOW(recvmsg(s[1], &r, 0));
	SHOW(r.msg_flags);
	SHOW(r.msg_namelen);
	SHOW(r.msg_controllen);
	printf("%.2s %.4s\n", block, block + 10);
	SHOW(recv(s[1], block, 100, MSG_DONTWAIT));
	SHOW(recv(s[1], block, 100, MSG_DONTWAIT));
	SHOW(recv(s[1], block, 100, MSG_DONTWAIT));
	m.msg_iovlen = 2000;
	SHOW(sendmsg(s[0], &m, 0));
	SHOW(sendmsg(s[0], (void *)0x1000, 0));
	SHOW(send(s[0], block, 400000, MSG_DONTWAIT) == 400000);
	close(s[0]);
	close(s[1]);
}

static void closing(int type)
{
	SHOW(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s));
	ends("new");
	SHOW(send(s[0], "abc", 3, 0));
	ends("a message");
	SHOW(shutdown(s[0], SHUT_WR));
	ends("shut for writing");
	SHOW(send(s[0], "abc", 3, MSG_NOSIGNAL));
	SHOW(send(s[1], "abc", 3, MSG_NOSIGNAL));
	SHOW(recv(s[1], block, 10, 0));
	SHOW(recv(s[1], block, 10, 0));
	SHOW(shutdown(s[0], SHUT_RD));
	ends("shut both ways");
	SHOW(send(s[1], "abc", 3, MSG_NOSIGNAL));
	SHOW(recv(s[0], block, 10, 0));
	SHOW(recv(s[0], block, 10, 0));
	close(s[0]);
	close(s[1]);

	SHOW(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s));
	SHOW(send(s[0], "abc", 3, 0));
	SHOW(send(s[1], "abc", 3, 0));
	SHOW(close(s[1]));
	ends("closed, with a message left");
	SHOW(option(s[0], SO_TYPE));
	SHOW(recv(s[0], block, 10, 0));
	SHOW(recv(s[0], block, 10, 0));
	SHOW(recv(s[0], block, 10, 0));
	SHOW(send(s[0], "abc", 3, MSG_NOSIGNAL));
	SHOW(send(s[0], "abc", 3, MSG_NOSIGNAL));
	SHOW(signal(SIGPIPE, SIG_IGN) == SIG_DFL);
	SHOW(write(s[0], "abc", 3));
	close(s[0]);
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";
	int type = !strcmp(kind, "datagram")
			   ? SOCK_DGRAM
			   : !strcmp(kind, "packets") ? SOCK_SEQPACKET
						      : SOCK_STREAM;

	setvbuf(stdout, 0, _IOLBF, 0);
	errors(type);
	messages(type);
	closing(type);
	printf("end\n");
	return 0;
}
