// Looks at its terminal, makes it raw, reads a key, and makes it as it was.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

int main(void) {
  struct termios before, raw, seen;
  struct winsize size;
  printf("isatty %d %d %d\n", isatty(0), isatty(1), isatty(2));
  printf("tcgetattr %d\n", tcgetattr(0, &before));
  printf("canonical %d echo %d\n", !!(before.c_lflag & ICANON),
         !!(before.c_lflag & ECHO));
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
