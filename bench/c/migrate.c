/*
 * migrate.c MIB: nanoseconds to send MIB of memory over TCP on this machine to a
 * process that reads it into fresh memory, until that has said that it has all.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "vmm.h"

#define PIECE MIB

static char *memory(size_t bytes)
{
	char *at = mmap(0, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		die("mmap");
	madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

static void receive(int listener, size_t bytes)
{
	char *at = memory(bytes);
	int peer = check("accept", accept(listener, 0, 0));

	for (size_t done = 0; done < bytes;) {
		size_t left = bytes - done < PIECE ? bytes - done : PIECE;
		int got = check("read", read(peer, at + done, left));

		if (got == 0)
			die("read");
		done += got;
	}
	check("write", write(peer, "k", 1));
	exit(0);
}

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? atoi(argv[1]) : 16) * MIB;
	struct sockaddr_in where = { .sin_family = AF_INET };
	socklen_t length = sizeof where;
	int listener = check("socket", socket(AF_INET, SOCK_STREAM, 0));
	int one = 1, status;
	char answer;

	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check("bind", bind(listener, (void *)&where, sizeof where));
	check("listen", listen(listener, 1));
	check("getsockname", getsockname(listener, (void *)&where, &length));

	uint64_t *words = (uint64_t *)memory(bytes);
	for (size_t i = 0; i < bytes / 8; i++)
		words[i] = (i + 1) * 0x9e3779b97f4a7c15ull;
	int child = check("fork", fork());
	if (child == 0)
		receive(listener, bytes);

	uint64_t start = now_ns();
	int fd = check("socket", socket(AF_INET, SOCK_STREAM, 0));
	check("connect", connect(fd, (void *)&where, sizeof where));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	for (size_t at = 0; at < bytes;) {
		size_t left = bytes - at < PIECE ? bytes - at : PIECE;

		at += check("write", write(fd, (char *)words + at, left));
	}
	if (check("read", read(fd, &answer, 1)) != 1)
		die("read");
	printf("%lu\n", now_ns() - start);
	check("waitpid", waitpid(child, &status, 0));
	return status != 0;
}
