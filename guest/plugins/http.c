/*
 * Makes HTTP requests through /dev/http as its arguments say, one step after
 * the other:
 *
 *   get URL, post URL BODY     the whole of it: request and response
 *   send-get URL, send-post URL BODY
 *                              the request alone
 *   until TEXT, rest           the response up to a text; what is left of it
 *   save                       SAVE()
 *
 * Shows of a response the first line and the body, or how it failed.
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
static char response[1024 * 1024];
static size_t length;

static int request(const char *what, const char *url, const char *body)
{
	static char text[65536];
	int is_get = strstr(what, "get") != NULL;
	int bytes = snprintf(text, sizeof text, is_get ? "GET %s\n\n"
		: "POST %s\ncontent-type: text/plain\n\n%s", url, body);

	length = 0;
	response[0] = 0;
	if (bytes < (int)sizeof text && write(fd, text, bytes) == bytes)
		return 1;
	printf("%s: %s\n", what, strerrorname_np(errno));
	return 0;
}

/* Reads until there is this text, if any; else to the end. */
static void read_until(const char *text)
{
	long result = 1;

	while (result > 0 && !(text && strstr(response, text))) {
		result = read(fd, response + length,
			      sizeof response - 1 - length);
		if (result > 0)
			length += result;
		response[length] = 0;
	}
	if (result < 0)
		printf("read: %s\n", strerrorname_np(errno));
}

static void rest(void)
{
	unsigned sum = 0;

	read_until(NULL);
	char *body = strstr(response, "\n\n");
	if (!body) {
		printf("no response\n");
		return;
	}
	body += 2;
	printf("%.*s\n", (int)strcspn(response, "\n"), response);
	size_t bytes = length - (body - response);
	for (size_t i = 0; i < bytes; i++)
		sum = sum * 31 + (unsigned char)body[i];
	if (bytes > 1000)
		printf("%zu bytes, checksum %08x\n", bytes, sum);
	else
		printf("%s\n", body);
}

int main(int argc, char **argv)
{
	fd = open("/dev/http", O_RDWR);
	if (fd < 0) {
		printf("open: %s\n", strerrorname_np(errno));
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		const char *what = argv[i];
		const char *one = i + 1 < argc ? argv[i + 1] : "";
		const char *two = i + 2 < argc ? argv[i + 2] : "";
		if (!strcmp(what, "get") || !strcmp(what, "send-get")) {
			i++;
			if (request(what, one, "") && !strcmp(what, "get"))
				rest();
		} else if (!strcmp(what, "post") || !strcmp(what, "send-post")) {
			i += 2;
			if (request(what, one, two) && !strcmp(what, "post"))
				rest();
		} else if (!strcmp(what, "until")) {
			i++;
			read_until(one);
		} else if (!strcmp(what, "rest")) {
			rest();
		} else if (!strcmp(what, "save")) {
			printf("save: %d\n", SAVE());
		} else {
			fprintf(stderr, "no such step: %s\n", what);
			return 2;
		}
	}
	return 0;
}
