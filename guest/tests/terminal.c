// Looks at its terminal, makes it raw, reads a key, and makes it as it was.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* asm-generic/termbits.h and ioctls.h, which not every libc knows of. */
struct termios2 {
  unsigned iflag, oflag, cflag, lflag;
  unsigned char line, cc[19];
  unsigned ispeed, ospeed;
};
#undef TCGETS2
#undef TCSETSF2
#define TCGETS2 _IOR('T', 0x2A, struct termios2)
#define TCSETSF2 _IOW('T', 0x2D, struct termios2)

/* A read that may give nothing after so many tenths of a second. */
static void timed(int tty, int tenths, int flags) {
  struct termios before, now;
  struct timespec from, to;
  char key;
  tcgetattr(tty, &before);
  now = before;
  now.c_lflag &= ~(tcflag_t)ICANON;
  now.c_cc[VMIN] = 0;
  now.c_cc[VTIME] = (cc_t)tenths;
  tcsetattr(tty, TCSANOW, &now);
  fcntl(tty, F_SETFL, flags);
  clock_gettime(CLOCK_MONOTONIC, &from);
  errno = 0;
  long got = read(tty, &key, 1);
  printf("time %d, %s: %ld %d", tenths, flags ? "at once" : "waiting", got,
         errno);
  clock_gettime(CLOCK_MONOTONIC, &to);
  long ms = (to.tv_sec - from.tv_sec) * 1000 +
            (to.tv_nsec - from.tv_nsec) / 1000000;
  // The kernel counts in ticks of up to 10 ms.
  printf(" %d\n", flags || ms >= tenths * 100 - 10);
  fcntl(tty, F_SETFL, 0);
  tcsetattr(tty, TCSANOW, &before);
}

int main(void) {
  struct termios before, raw, seen;
  struct winsize size;
  struct termios2 two;
  struct stat own, found;
  printf("isatty %d %d %d\n", isatty(0), isatty(1), isatty(2));
  printf("tcgetattr %d\n", tcgetattr(0, &before));
  printf("canonical %d echo %d\n", !!(before.c_lflag & ICANON),
         !!(before.c_lflag & ECHO));
  timed(0, 0, 0);
  timed(0, 2, 0);
  timed(0, 0, O_NONBLOCK);
  timed(0, 2, O_NONBLOCK);
  int asked = ioctl(1, TIOCGWINSZ, &size);
  printf("size %d: %d x %d\n", asked, size.ws_row, size.ws_col);
  printf("foreground %d\n", tcgetpgrp(0) == getpid());
  printf("set foreground %d\n", tcsetpgrp(0, getpid()));
  int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
  printf("tty %d\n", tty >= 0);
  raw = before;
  cfmakeraw(&raw);
  printf("raw %d\n", tcsetattr(tty, TCSAFLUSH, &raw));
  tcgetattr(0, &seen);
  printf("canonical %d echo %d\n", !!(seen.c_lflag & ICANON),
         !!(seen.c_lflag & ECHO));
  errno = 0;
  tcsetattr(tty, TCSADRAIN, &before);
  printf("tcgets2 %d", ioctl(0, TCGETS2, &two));
  printf(" canonical %d, cc %d\n", !!(two.lflag & ICANON),
         two.cc[VINTR] == before.c_cc[VINTR]);
  two.lflag &= ~(unsigned)(ICANON | ECHO);
  printf("tcsets2 %d\n", ioctl(tty, TCSETSF2, &two));
  tcgetattr(0, &seen);
  printf("canonical %d echo %d\n", !!(seen.c_lflag & ICANON),
         !!(seen.c_lflag & ECHO));
  printf("named %d", ttyname(0) != NULL);
  int named = fstat(0, &own) || stat(ttyname(0), &found);
  printf(" %d %d", named, own.st_rdev == found.st_rdev);
  printf(" %d\n", own.st_ino == found.st_ino);
  printf("/dev/tty %d", stat("/dev/tty", &found));
  printf(" %d\n", found.st_rdev == makedev(5, 0));
  printf("opened %d\n", open(ttyname(0), O_RDWR | O_NOCTTY) >= 0);
  printf("bad pointer %d", ioctl(0, TCSETS, (void *)8));
  printf(" %s\n", strerror(errno));
  printf("ready\n");
  fflush(stdout);
  char key = 0;
  long got = read(tty, &key, 1);
  tcgetattr(0, &seen);
  printf("key %ld %c, canonical %d\n", got, key, !!(seen.c_lflag & ICANON));
  printf("as before %d\n", tcsetattr(0, TCSADRAIN, &before));
  return 0;
}
