// Signals across SAVE(): in the middle of a handler on a stack of its own, with
// signals that wait, with timers that run, and with a mask for one call.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../scratchvm.h"

static volatile int calls;
static volatile int values[4];

static void save(void) {
  int error = errno;
  SAVE();
  errno = error;
}

static void count(int signal) {
  (void)signal;
  calls++;
}

static void note(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)context;
  if (calls < 4) values[calls] = info->si_value.sival_int;
  calls++;
}

static void saving(int signal) {
  sigset_t now;
  stack_t stack;
  save();
  sigprocmask(SIG_BLOCK, NULL, &now);
  sigaltstack(NULL, &stack);
  printf("in %d: blocked %d, on its stack %d\n", signal,
         sigismember(&now, signal), stack.ss_flags);
}

static void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {0};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(signal, &action, NULL);
}

int main(void) {
  static char alternate[65536];
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigset_t set;
  setvbuf(stdout, NULL, _IOLBF, 0);
  sigaltstack(&stack, NULL);
  handle(SIGUSR1, saving, SA_ONSTACK);
  volatile double kept = 1.25;
  raise(SIGUSR1);
  printf("back: %g\n", kept);

  struct sigaction action = {0};
  action.sa_sigaction = note;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGRTMIN + 1, &action, NULL);
  handle(SIGUSR2, count, 0);
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 1);
  sigaddset(&set, SIGUSR2);
  sigprocmask(SIG_BLOCK, &set, NULL);
  for (int i = 0; i < 3; i++)
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i});
  kill(getpid(), SIGUSR2);
  save();
  sigset_t waiting;
  sigpending(&waiting);
  printf("waiting %d %d\n", sigismember(&waiting, SIGRTMIN + 1),
         sigismember(&waiting, SIGUSR2));
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  printf("calls %d values %d %d %d\n", calls, values[0], values[1], values[2]);

  handle(SIGALRM, count, 0);
  struct itimerval soon = {.it_value = {0, 200000}};
  struct timespec second = {30, 0};
  calls = 0;
  sigset_t alarm_only, none;
  sigemptyset(&none);
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  sigprocmask(SIG_BLOCK, &alarm_only, NULL);
  setitimer(ITIMER_REAL, &soon, NULL);
  save();
  int result = ppoll(NULL, 0, &second, &none);
  printf("ppoll %d %s, calls %d\n", result, strerror(errno), calls);

  timer_t timer;
  struct sigevent event = {0};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGRTMIN + 1;
  event.sigev_value.sival_int = 5;
  sigprocmask(SIG_BLOCK, &set, NULL);
  timer_create(CLOCK_MONOTONIC, &event, &timer);
  struct itimerspec at = {.it_value = {0, 200000000}};
  timer_settime(timer, 0, &at, NULL);
  save();
  siginfo_t info;
  int got = sigwaitinfo(&set, &info);
  printf("got %d code %d value %d\n", got - SIGRTMIN, info.si_code,
         info.si_value.sival_int);
  return 0;
}
