/*
 * Uses /dev/rtc0 as its arguments say, one step after the other:
 *
 *   clock        whether it shows the wall clock
 *   ahead N      sets it N seconds ahead, from when on `clock` expects that
 *   alarm N      sets an alarm in N seconds
 *   wait         waits for it, and shows whether it came too early
 *   save         SAVE()
 *
 * Prints nothing that depends on when it runs.
 *
 * Needs glibc: the headers of Linux.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/rtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "scratchvm.h"

static int fd;

static void check(const char *what, int result)
{
	if (result >= 0)
		return;
	printf("%s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

static time_t read_clock(void)
{
	struct rtc_time now;

	check("RTC_RD_TIME", ioctl(fd, RTC_RD_TIME, &now));
	struct tm tm = {
		.tm_sec = now.tm_sec, .tm_min = now.tm_min,
		.tm_hour = now.tm_hour, .tm_mday = now.tm_mday,
		.tm_mon = now.tm_mon, .tm_year = now.tm_year,
	};
	time_t seconds = timegm(&tm);
	if (tm.tm_wday != now.tm_wday || tm.tm_yday != now.tm_yday)
		printf("wrong day\n");
	return seconds;
}

static struct rtc_time as_time(time_t seconds)
{
	struct tm *tm = gmtime(&seconds);
	return (struct rtc_time) {
		.tm_sec = tm->tm_sec, .tm_min = tm->tm_min,
		.tm_hour = tm->tm_hour, .tm_mday = tm->tm_mday,
		.tm_mon = tm->tm_mon, .tm_year = tm->tm_year,
	};
}

int main(int argc, char **argv)
{
	time_t ahead = 0;
	time_t alarm = 0;

	fd = open("/dev/rtc0", O_RDONLY);
	check("open", fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		const char *what = argv[i];
		if (!strcmp(what, "clock")) {
			time_t before = time(NULL) + ahead;
			time_t shown = read_clock();
			time_t after = time(NULL) + ahead;
			/* one that was set begins a second when it was */
			int right = shown >= before - 1 && shown <= after + 1;
			printf("clock: %s\n", right ? "right" : "wrong");
		} else if (!strcmp(what, "ahead") && i + 1 < argc) {
			ahead = atol(argv[++i]);
			struct rtc_time to = as_time(time(NULL) + ahead);
			check(what, ioctl(fd, RTC_SET_TIME, &to));
		} else if (!strcmp(what, "alarm") && i + 1 < argc) {
			alarm = read_clock() + atol(argv[++i]);
			struct rtc_wkalrm wake = {
				.enabled = 1, .time = as_time(alarm),
			};
			check(what, ioctl(fd, RTC_WKALM_SET, &wake));
		} else if (!strcmp(what, "wait")) {
			unsigned long data;
			printf("waiting\n");
			check("read", read(fd, &data, sizeof data));
			printf("alarm: %ld, flags 0x%lx, %s\n", data >> 8,
			       data & 0xff,
			       read_clock() >= alarm ? "in time" : "early");
		} else if (!strcmp(what, "save")) {
			printf("save: %d\n", SAVE());
		} else {
			fprintf(stderr, "no such step: %s\n", what);
			return 2;
		}
	}
	return 0;
}
