/*
 * timed_read.c TENTHS: one read of a terminal that waits no longer than so many
 * tenths of a second. timed_read.c: one read of 32 MiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char buffer[32 << 20];

int main(int argc, char **argv) {
  struct timespec from, to;
  struct termios now;
  int tenths = argc > 1 ? atoi(argv[1]) : 0;

  if (argc > 1) {
    tcgetattr(0, &now);
    cfmakeraw(&now);
    now.c_cc[VMIN] = 0;
    now.c_cc[VTIME] = (cc_t)tenths;
    tcsetattr(0, TCSANOW, &now);
  }
  printf("ready\n");
  fflush(stdout);
  clock_gettime(CLOCK_MONOTONIC, &from);
  long got = read(0, buffer, sizeof buffer);
  clock_gettime(CLOCK_MONOTONIC, &to);
  long ms = (to.tv_sec - from.tv_sec) * 1000 +
            (to.tv_nsec - from.tv_nsec) / 1000000;
  printf("read %ld, begins with %d, all the time %d\n", got, buffer[0],
         ms >= tenths * 100);
  return 0;
}
