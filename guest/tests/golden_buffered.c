/*
 * Has a pipe, sockets and a file of /proc with bytes in them, and saves it.
 * Then says whether all of it is as it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "scratchvm.h"

static int say(const char *what)
{
	puts(what);
	return 1;
}

int main(void)
{
	char text[64] = "";
	int ends[2], packets[2], stream[2], shown;

	if (pipe(ends) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets)
	    || socketpair(AF_UNIX, SOCK_STREAM, 0, stream)
	    || (shown = open("/proc/self/comm", O_RDONLY)) < 0
	    || write(ends[1], "in a pipe", 9) != 9
	    || write(packets[0], "one", 3) != 3
	    || write(packets[0], "packets", 7) != 7
	    || write(stream[1], "in a stream", 11) != 11
	    || read(shown, text, 7) != 7)
		return say("cannot begin");
	if (SAVE() < 0 && errno != ENOSYS)
		return say("cannot save");
	if (read(ends[0], text, sizeof text) != 9 || memcmp(text, "in a pipe", 9))
		return say("what a pipe held is lost");
	if (read(packets[1], text, sizeof text) != 3 || memcmp(text, "one", 3)
	    || read(packets[1], text, sizeof text) != 7
	    || memcmp(text, "packets", 7))
		return say("packets are lost");
	if (read(stream[0], text, sizeof text) != 11
	    || memcmp(text, "in a stream", 11))
		return say("what a socket held is lost");
	/* Of the name the first fifteen bytes: golden_buffered. */
	if (read(shown, text, sizeof text) != 9
	    || memcmp(text, "buffered\n", 9))
		return say("a file of /proc is lost");
	puts("all is there");
	return 0;
}
