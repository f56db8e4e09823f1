/*
 * A light that runs along /dev/leds and back, once; calls SAVE() where it turns
 * round. Argument: milliseconds between two steps (default 100).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "scratchvm.h"

static int fd;

/* Reads the lights as text, without the newline; how many there are. */
static int lights(char *text, size_t size)
{
	ssize_t length = pread(fd, text, size - 1, 0);

	if (length < 1) {
		perror("read");
		exit(1);
	}
	text[length - 1] = '\0';
	return length - 1;
}

/* Lights the one at `place`, counted from the left. */
static void light(int place, int count)
{
	char text[64];

	memset(text, '0', count);
	text[place] = '1';
	text[count] = '\n';
	if (write(fd, text, count + 1) != count + 1) {
		perror("write");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	int delay_us = 1000 * (argc > 1 ? atoi(argv[1]) : 100);
	char text[64];
	int count, place;

	fd = open("/dev/leds", O_RDWR);
	if (fd < 0) {
		perror("/dev/leds");
		return 1;
	}
	count = lights(text, sizeof text);
	for (place = 0; place < count; place++) {
		light(place, count);
		usleep(delay_us);
	}
	int thawed = SAVE() == 1;
	lights(text, sizeof text);
	printf("%s %s\n", thawed ? "thawed at" : "turned at", text);
	fflush(stdout);
	for (place = count - 2; place >= 0; place--) {
		light(place, count);
		usleep(delay_us);
	}
	return 0;
}
