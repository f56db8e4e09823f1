// Signals that a program sends itself: handlers and what they are told, masks,
// queued signals, and ends.
//
// signals [what]: all of it, or one part.
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "signals.h"

static void simple(void) {
  handle(SIGUSR1, count, 0);
  SHOW(raise(SIGUSR1));
  printf("calls %d, last %d\n", calls, last);
  SHOW(kill(getpid(), SIGUSR1));
  printf("calls %d\n", calls);
  handle(SIGUSR1, count, SA_RESETHAND);
  raise(SIGUSR1);
  struct sigaction now;
  sigaction(SIGUSR1, NULL, &now);
  printf("calls %d, reset %d\n", calls, now.sa_handler == SIG_DFL);
  signal(SIGUSR2, SIG_IGN);
  SHOW(raise(SIGUSR2));
  SHOW(raise(SIGCHLD));
  SHOW(raise(SIGWINCH));
  SHOW(kill(getpid(), 0));
  SHOW(kill(getpid(), 65));
  SHOW(syscall(SYS_tgkill, getpid(), 0, 10));
  SHOW(syscall(SYS_tkill, -1, 10));
}

static void show_info(int signal, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  printf("signal %d code %d pid %d uid %d value %d flags %lx\n", signal,
         info->si_code, info->si_pid == getpid(), info->si_uid == getuid(),
         info->si_code == SI_QUEUE ? info->si_value.sival_int : -1,
         (long)uc->uc_flags & 6);
}

static void infos(void) {
  handle_info(SIGUSR1, show_info, 0);
  raise(SIGUSR1);
  kill(getpid(), SIGUSR1);
  union sigval value = {.sival_int = 42};
  SHOW(sigqueue(getpid(), SIGUSR1, value));
  siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_int = 43;
  long me = syscall(SYS_gettid);
  SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), me, SIGUSR1, &info));
  SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), me, 65, &info));
  SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &info));
  SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), me, SIGUSR1, (void *)8));
}

static void nested_two(int signal) {
  printf("in %d\n", signal);
}

static void nested_one(int signal) {
  printf("in %d\n", signal);
  raise(SIGUSR2);
  raise(signal);
  printf("out %d\n", signal);
  if (calls++ > 2) handle(signal, nested_two, 0);
}

static void masks(void) {
  handle(SIGUSR1, nested_one, 0);
  handle(SIGUSR2, nested_two, 0);
  calls = 2;
  raise(SIGUSR1);
  sigset_t set = set_of(SIGUSR1), old, pending;
  SHOW(sigprocmask(SIG_BLOCK, &set, &old));
  printf("was blocked %d\n", sigismember(&old, SIGUSR1));
  raise(SIGUSR1);
  raise(SIGUSR1);
  sigpending(&pending);
  printf("pending %d %d\n", sigismember(&pending, SIGUSR1),
         sigismember(&pending, SIGUSR2));
  SHOW(sigprocmask(SIG_UNBLOCK, &set, NULL));
  handle(SIGUSR1, count, SA_NODEFER);
  raise(SIGUSR1);
  SHOW(sigprocmask(77, &set, NULL));
}

static void show_value(int signal, siginfo_t *info, void *context) {
  (void)context;
  printf("%d: %d\n", signal - SIGRTMIN, info->si_value.sival_int);
}

static void realtime(void) {
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < 3; i++) {
    handle_info(SIGRTMIN + i, show_value, 0);
    sigaddset(&set, SIGRTMIN + i);
  }
  handle(SIGUSR1, nested_two, 0);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  for (int i = 0; i < 9; i++)
    sigqueue(getpid(), SIGRTMIN + 2 - i % 3, (union sigval){.sival_int = i});
  raise(SIGUSR1);
  raise(SIGUSR1);
  // One of them after the other, so that the order is that of their numbers.
  for (int i = 0; i < 10; i++) {
    siginfo_t info;
    struct timespec none = {0, 0};
    int got = sigtimedwait(&set, &info, &none);
    printf("took %d value %d\n", got > SIGUSR1 ? got - SIGRTMIN : -1,
           got > SIGUSR1 ? info.si_value.sival_int : 0);
  }
  struct timespec soon = {0, 5000000};
  SHOW(sigtimedwait(&set, NULL, &soon));
  for (int i = 0; i < 4; i++)
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i});
  sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void *wait_blocked(void *arg) {
  (void)arg;
  sigset_t none = set_of(0);
  sigsuspend(&none);
  return NULL;
}

static pthread_t taker;

static void note_taker(int signal) {
  (void)signal;
  taker = pthread_self();
  calls++;
}

static void directed(void) {
  sigset_t set = set_of(SIGUSR1);
  pthread_t thread;
  handle(SIGUSR1, note_taker, 0);
  sigprocmask(SIG_BLOCK, &set, NULL);
  pthread_create(&thread, NULL, wait_blocked, NULL);
  struct timespec ms = {0, 20000000};
  nanosleep(&ms, NULL);
  kill(getpid(), SIGUSR1);
  pthread_join(thread, NULL);
  printf("calls %d, by the other %d\n", calls, pthread_equal(taker, thread));
  pthread_create(&thread, NULL, wait_blocked, NULL);
  nanosleep(&ms, NULL);
  pthread_kill(thread, SIGUSR1);
  pthread_join(thread, NULL);
  printf("calls %d\n", calls);
}

static int pipes[2];

static void broken_pipe(void) {
  handle(SIGPIPE, count, 0);
  pipe(pipes);
  close(pipes[0]);
  SHOW(write(pipes[1], "x", 1));
  printf("calls %d last %d\n", calls, last);
  signal(SIGPIPE, SIG_IGN);
  SHOW(write(pipes[1], "x", 1));
  fflush(stdout);
  signal(SIGPIPE, SIG_DFL);
  SHOW(write(pipes[1], "x", 1));
}

static void ends(void) {
  fflush(stdout);
  raise(SIGTERM);
}

static const struct part PARTS[] = {
    {"simple", simple},
    {"infos", infos},
    {"masks", masks},
    {"realtime", realtime},
    {"directed", directed},
    {"broken_pipe", broken_pipe},
    {"ends", ends},
    {NULL, NULL},
};

int main(int argc, char **argv) {
  return run_parts(PARTS, argc, argv);
}
