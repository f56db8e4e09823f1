/*
 * Has what an image can hold, and saves it: a device's file with an answer that
 * was not read, a mapping of a device, a pipe with bytes in it. Then says whether
 * all of it is as it was. Devices: kv, framebuffer.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "scratchvm.h"

static int say(const char *what)
{
	puts(what);
	return 1;
}

int main(void)
{
	char text[16] = "";
	int ends[2];
	int file = open("/dev/kv", O_RDWR);
	int screen = open("/dev/fb0", O_RDWR);
	volatile uint32_t *pixels = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		MAP_SHARED, screen, 0);

	if (file < 0 || screen < 0 || pixels == MAP_FAILED || pipe(ends) < 0)
		return say("cannot begin");
	pixels[1] = 0x123456;
	if (write(file, "SET key 5\nvalue", 15) != 15
		|| write(file, "GET key\n", 8) != 8
		|| write(ends[1], "piped", 5) != 5)
		return say("cannot write");
	if (SAVE() < 0)
		return say("cannot save");
	if (read(file, text, sizeof text) != 7 || strcmp(text, "5\nvalue"))
		return say("the answer is lost");
	memset(text, 0, sizeof text);
	if (read(ends[0], text, sizeof text) != 5 || strcmp(text, "piped"))
		return say("the pipe is empty");
	if (pixels[1] != 0x123456)
		return say("the pixel is gone");
	puts("all is there");
	return 0;
}
