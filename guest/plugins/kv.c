/*
 * Uses the store /dev/kv as its arguments say, one step after the other:
 *
 *   set KEY TEXT, fill KEY N, get KEY, del KEY     fill: N bytes, made of KEY
 *   list, list-after KEY
 *   ask KEY                        GET, and reads nothing yet
 *   part N, rest                   reads of the reply
 *   send TEXT                      any request, as it is
 *   save                           SAVE()
 *
 * Needs glibc: strerrorname_np.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "scratchvm.h"

static int fd;
static char buffer[256 * 1024];

/* Sends what is in the buffer; shows what became of it. */
static int send(const char *what, size_t length)
{
	long result = write(fd, buffer, length);

	if (result == (long)length)
		return 1;
	printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "short");
	return 0;
}

static int ask(const char *what, const char *verb, const char *key)
{
	return send(what, sprintf(buffer, *key ? "%s %s\n" : "%s\n", verb, key));
}

/* Shows at most so many bytes of the reply; of long ones, a checksum. */
static void show_reply(const char *what, size_t most)
{
	size_t length = 0;
	long result = 1;

	while (length < most && result > 0) {
		result = read(fd, buffer + length, most - length);
		if (result > 0)
			length += result;
	}
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	unsigned sum = 0;
	for (size_t i = 0; i < length; i++)
		sum = sum * 31 + (unsigned char)buffer[i];
	if (length > 1000)
		printf("%s: %zu bytes, checksum %08x\n", what, length, sum);
	else
		printf("%s: %.*s\n", what, (int)length, buffer);
}

int main(int argc, char **argv)
{
	fd = open("/dev/kv", O_RDWR);
	if (fd < 0) {
		printf("open: %s\n", strerrorname_np(errno));
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		const char *what = argv[i];
		const char *one = i + 1 < argc ? argv[i + 1] : "";
		const char *two = i + 2 < argc ? argv[i + 2] : "";
		if (!strcmp(what, "set")) {
			i += 2;
			if (send(what, sprintf(buffer, "SET %s %zu\n%s", one,
					       strlen(two), two)))
				printf("set: ok\n");
		} else if (!strcmp(what, "fill")) {
			i += 2;
			size_t bytes = strtoul(two, NULL, 0);
			if (bytes > sizeof buffer - 1024)
				return 2;
			size_t head = sprintf(buffer, "SET %s %zu\n", one,
					      bytes);
			for (size_t n = 0; n < bytes; n++)
				buffer[head + n] = one[n % strlen(one)] + n / 7;
			if (send(what, head + bytes))
				printf("fill: ok\n");
		} else if (!strcmp(what, "get")) {
			i++;
			if (ask(what, "GET", one))
				show_reply(what, sizeof buffer);
		} else if (!strcmp(what, "del")) {
			i++;
			if (ask(what, "DEL", one))
				printf("del: ok\n");
		} else if (!strcmp(what, "list")) {
			if (ask(what, "LIST", ""))
				show_reply(what, sizeof buffer);
		} else if (!strcmp(what, "list-after")) {
			i++;
			if (ask(what, "LIST", one))
				show_reply(what, sizeof buffer);
		} else if (!strcmp(what, "ask")) {
			i++;
			ask(what, "GET", one);
		} else if (!strcmp(what, "part")) {
			i++;
			show_reply(what, strtoul(one, NULL, 0));
		} else if (!strcmp(what, "rest")) {
			show_reply(what, sizeof buffer);
		} else if (!strcmp(what, "send")) {
			i++;
			if (send(what, strlen(strcpy(buffer, one))))
				printf("send: ok\n");
		} else if (!strcmp(what, "save")) {
			printf("save: %d\n", SAVE());
		} else {
			fprintf(stderr, "no such step: %s\n", what);
			return 2;
		}
	}
	return 0;
}
