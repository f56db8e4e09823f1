// signalled wait|spin: says so when it is sent SIGUSR1, in a wait or while it
// computes, and ends with 3 at SIGTERM. SIGHUP is ignored.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t count;
static volatile sig_atomic_t has_ended;

static void handle(int signal, siginfo_t *info, void *context) {
  (void)context;
  if (signal == SIGTERM) {
    has_ended = 1;
    return;
  }
  char line[] = "signal ?, from pid ?\n";
  line[7] = (char)('0' + ++count);
  line[19] = (char)('0' + info->si_pid);
  if (write(1, line, sizeof line - 1) < 0) _exit(9);
}

int main(int argc, char **argv) {
  struct sigaction action = {0};
  int spins = argc > 1 && strcmp(argv[1], "spin") == 0;
  volatile uint64_t x = 1;
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  signal(SIGHUP, SIG_IGN);
  puts("ready");
  fflush(stdout);
  while (!has_ended) {
    if (spins)
      x = x * 3 + 1;
    else
      pause();
  }
  return 3;
}
