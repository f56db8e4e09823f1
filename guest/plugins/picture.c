/*
 * Draws on /dev/fb0, as on any Linux framebuffer: a gradient, the upper half
 * through a mapping and the lower one by rows, and a square that moves. Calls
 * SAVE() half-way, in the middle of a square. Argument: how often it moves.
 *
 * Needs glibc: the headers of Linux.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "scratchvm.h"

#define SIDE 10

static struct fb_var_screeninfo var;
static struct fb_fix_screeninfo fix;

/* volatile: each store is one, of 4 bytes */
static volatile uint32_t *screen;

static volatile uint32_t *pixel(uint32_t x, uint32_t y)
{
	return screen + y * (fix.line_length / 4) + x;
}

static uint32_t gradient(uint32_t x, uint32_t y)
{
	return 255 * x / var.xres << 16 | 255 * y / var.yres << 8 | 0x60;
}

/* One line of the square at step `step`, or of what is behind it. */
static void line(int step, uint32_t row, int is_square)
{
	uint32_t left = step * 4 % (var.xres - SIDE);
	uint32_t y = step * 3 % (var.yres - SIDE) + row;

	for (uint32_t x = left; x < left + SIDE; x++)
		*pixel(x, y) = is_square ? 0xffffff : gradient(x, y);
}

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	int steps = argc > 1 ? atoi(argv[1]) : 8;
	int fd = open("/dev/fb0", O_RDWR);
	uint32_t sum = 0;

	if (fd < 0)
		return fail("/dev/fb0");
	if (ioctl(fd, FBIOGET_VSCREENINFO, &var) ||
	    ioctl(fd, FBIOGET_FSCREENINFO, &fix))
		return fail("ioctl");
	printf("%s: %u x %u, %u bits, red at bit %u\n", fix.id, var.xres,
		var.yres, var.bits_per_pixel, var.red.offset);
	screen = mmap(NULL, fix.smem_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		fd, 0);
	if (screen == MAP_FAILED)
		return fail("mmap");

	for (uint32_t y = 0; y < var.yres; y++) {
		uint32_t row[var.xres];
		for (uint32_t x = 0; x < var.xres; x++) {
			row[x] = gradient(x, y);
			if (y < var.yres / 2)
				*pixel(x, y) = row[x];
		}
		if (y >= var.yres / 2 &&
		    pwrite(fd, row, sizeof row, (off_t)y * fix.line_length) !=
			    (ssize_t)sizeof row)
			return fail("pwrite");
	}
	for (int step = 0; step < steps; step++) {
		for (uint32_t row = 0; step > 0 && row < SIDE; row++)
			line(step - 1, row, 0);
		for (uint32_t row = 0; row < SIDE; row++) {
			line(step, row, 1);
			if (step == steps / 2 && row == SIDE / 2) {
				printf("half\n");
				fflush(stdout);
				SAVE();
			}
		}
	}
	for (uint32_t y = 0; y < var.yres; y += 7)
		for (uint32_t x = 0; x < var.xres; x += 7)
			sum = sum * 31 + *pixel(x, y);
	printf("sum %08x\n", sum);
	return 0;
}
