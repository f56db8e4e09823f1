// Calls that signals interrupt, and timers that send them.
//
// signal_waits [what]: all of it, or one part.
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "signals.h"

static atomic_int has_ended;

// One signal could come before the call that it is to interrupt.
static void *poke(void *arg) {
  struct timespec ms = {0, 30000000};
  do {
    nanosleep(&ms, NULL);
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
  } while (!has_ended);
  return NULL;
}

static pthread_t poker(void) {
  static pthread_t self;
  self = pthread_self();
  has_ended = calls = 0;
  pthread_t thread;
  pthread_create(&thread, NULL, poke, &self);
  return thread;
}

// Has a signal come in the middle of a call.
#define INTERRUPTED(call)                                                      \
  do {                                                                         \
    pthread_t thread_ = poker();                                               \
    SHOW(call);                                                                \
    has_ended = 1;                                                             \
    pthread_join(thread_, NULL);                                               \
    printf("called %d\n", calls > 0);                                          \
  } while (0)

static int pipes[2];

static void write_one(int signal) {
  (void)signal;
  if (calls++ == 0 && write(pipes[1], "x", 1) != 1) _exit(9);
}

static void interrupted(void) {
  char byte;
  struct timespec second = {5, 0}, left = {0, 0};
  struct pollfd one;
  pipe(pipes);
  one.fd = pipes[0];
  one.events = POLLIN;
  handle(SIGUSR1, count, 0);
  INTERRUPTED(read(pipes[0], &byte, 1));
  handle(SIGUSR1, write_one, SA_RESTART);
  INTERRUPTED(read(pipes[0], &byte, 1));
  handle(SIGUSR1, count, SA_RESTART);
  INTERRUPTED(poll(&one, 1, -1));
  INTERRUPTED(poll(&one, 1, 5000));
  INTERRUPTED(nanosleep(&second, &left));
  printf("left %ld\n", (long)left.tv_sec);
  INTERRUPTED(pause());
  sigset_t none = set_of(0);
  INTERRUPTED(sigsuspend(&none));
  struct timeval tv = {5, 0};
  INTERRUPTED(select(0, NULL, NULL, NULL, &tv));
  printf("left %ld\n", (long)tv.tv_sec);
  sigset_t set = set_of(SIGUSR2);
  // musl makes it again by itself.
  INTERRUPTED(syscall(SYS_rt_sigtimedwait, &set, NULL, &second, 8));
  int word = 0;
  INTERRUPTED(syscall(SYS_futex, &word, 0, 0, &second, NULL, 0));
  handle(SIGUSR1, count, 0);
  INTERRUPTED(syscall(SYS_futex, &word, 0, 0, NULL, NULL, 0));
  handle(SIGUSR1, SIG_IGN, 0);
  struct timespec some = {0, 60000000};
  INTERRUPTED(nanosleep(&some, NULL));
  static char big[200000];
  handle(SIGUSR1, count, SA_RESTART);
  INTERRUPTED(write(pipes[1], big, sizeof big));
}

static void temporary(void) {
  sigset_t set = set_of(SIGUSR1), none = set_of(0), now;
  struct timespec second = {5, 0}, zero = {0, 0};
  handle(SIGUSR1, count, 0);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGUSR1);
  SHOW(sigsuspend(&none));
  sigprocmask(SIG_BLOCK, NULL, &now);
  printf("calls %d blocked %d\n", calls, sigismember(&now, SIGUSR1));
  raise(SIGUSR1);
  SHOW(ppoll(NULL, 0, &second, &none));
  raise(SIGUSR1);
  SHOW(pselect(0, NULL, NULL, NULL, &second, &none));
  sigprocmask(SIG_BLOCK, NULL, &now);
  printf("calls %d blocked %d\n", calls, sigismember(&now, SIGUSR1));
  raise(SIGUSR1);
  SHOW(ppoll(NULL, 0, &zero, &set));
  printf("calls %d\n", calls);
}

static void compute_until(int wanted) {
  volatile uint64_t x = 1;
  while (calls < wanted) x = x * 3 + 1;
}

static void timers(void) {
  handle(SIGALRM, count, 0);
  struct itimerval soon = {.it_value = {0, 30000}}, now;
  SHOW(setitimer(ITIMER_REAL, &soon, NULL));
  compute_until(1);
  getitimer(ITIMER_REAL, &now);
  printf("after: %ld %ld\n", (long)now.it_value.tv_sec,
         (long)now.it_value.tv_usec);
  struct itimerval often = {{0, 80000}, {0, 10000}}, none = {0};
  setitimer(ITIMER_REAL, &often, NULL);
  compute_until(4);
  SHOW(setitimer(ITIMER_REAL, &none, &now));
  printf("interval %ld\n", (long)now.it_interval.tv_usec);
  SHOW(alarm(100));
  SHOW(alarm(0));
  calls = 0;
  soon.it_value.tv_usec = 20000;
  setitimer(ITIMER_REAL, &soon, NULL);
  SHOW(pause());
  printf("calls %d\n", calls);
  handle(SIGVTALRM, count, 0);
  handle(SIGPROF, count, 0);
  SHOW(setitimer(ITIMER_VIRTUAL, &soon, NULL));
  compute_until(2);
  SHOW(setitimer(ITIMER_PROF, &soon, NULL));
  compute_until(3);
  SHOW(setitimer(3, &soon, NULL));
  soon.it_value.tv_usec = 1000000;
  SHOW(setitimer(ITIMER_REAL, &soon, NULL));
}

static siginfo_t told;

static void note_timer(int signal, siginfo_t *info, void *context) {
  (void)context;
  (void)signal;
  if (calls++ == 0) told = *info;
}

static void posix_timers(void) {
  timer_t timer, second;
  struct sigevent event = {0};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGRTMIN + 1;
  event.sigev_value.sival_int = 77;
  handle_info(SIGRTMIN + 1, note_timer, 0);
  SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
  struct itimerspec soon = {.it_value = {0, 20000000}}, now;
  SHOW(timer_settime(timer, 0, &soon, NULL));
  compute_until(1);
  printf("code %d value %d\n", told.si_code, told.si_value.sival_int);
  timer_gettime(timer, &now);
  printf("after: %ld %ld\n", (long)now.it_value.tv_sec, now.it_value.tv_nsec);
  SHOW(timer_getoverrun(timer));
  soon.it_interval.tv_nsec = 2000000;
  sigset_t set = set_of(SIGRTMIN + 1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  timer_settime(timer, 0, &soon, NULL);
  struct timespec wait = {0, 80000000};
  nanosleep(&wait, NULL);
  siginfo_t info;
  int got = sigwaitinfo(&set, &info);
  printf("got %d overrun %d\n", got - SIGRTMIN, info.si_overrun > 5);
  SHOW(timer_getoverrun(timer) > 5);
  event.sigev_notify = SIGEV_NONE;
  SHOW(timer_create(CLOCK_REALTIME, &event, &second));
  struct itimerspec at = {.it_value = {100, 0}};
  SHOW(timer_settime(second, 0, &at, NULL));
  timer_gettime(second, &now);
  printf("left %d\n", now.it_value.tv_sec >= 98);
  SHOW(timer_delete(second));
  SHOW(timer_delete(timer));
  SHOW(syscall(SYS_timer_delete, 12345));
  SHOW(syscall(SYS_timer_gettime, 12345, &now));
  event.sigev_signo = 99;
  event.sigev_notify = SIGEV_SIGNAL;
  SHOW(timer_create(CLOCK_MONOTONIC, &event, &second));
}

static const struct part PARTS[] = {
    {"interrupted", interrupted},
    {"temporary", temporary},
    {"timers", timers},
    {"posix_timers", posix_timers},
    {NULL, NULL},
};

int main(int argc, char **argv) {
  return run_parts(PARTS, argc, argv);
}
