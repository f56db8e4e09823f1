// Signals: handlers and what they are told, masks, alternate stacks, faults that
// are handled, calls that are interrupted or made again, queued signals, and
// timers.
//
// signals [what]: all of it, or one part.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "show.h"

static volatile int calls;
static volatile int last;

static void count(int signal) {
  calls++;
  last = signal;
}

static void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {0};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, NULL);
}

static void handle_info(int signal, void (*handler)(int, siginfo_t *, void *),
                        int flags) {
  struct sigaction action = {0};
  action.sa_sigaction = handler;
  action.sa_flags = flags | SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, NULL);
}

static sigset_t set_of(int signal) {
  sigset_t set;
  sigemptyset(&set);
  if (signal) sigaddset(&set, signal);
  return set;
}

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

static void registers_kept(void) {
  handle(SIGUSR1, count, 0);
  uint64_t r12 = 0x1122334455667788, r10 = 0x99aabbccddeeff00, rdi, flags = 0;
  double low = 1.5, out = 0;
  long nr = SYS_tgkill;
  asm volatile(
      "mov %[r12], %%r12\n mov %[r10], %%r10\n movsd %[low], %%xmm9\n"
      "mov $100, %%r13\n"
      "mov %[pid], %%rdi\n mov %[pid], %%rsi\n mov $10, %%rdx\n"
      "std\n stc\n"
      "syscall\n"
      "pushfq\n pop %[flags]\n cld\n"
      "mov %%r12, %[r12]\n mov %%r10, %[r10]\n mov %%rdi, %[rdi]\n"
      "movsd %%xmm9, %[out]\n"
      : [r12] "+m"(r12), [r10] "+m"(r10), [rdi] "=m"(rdi), [out] "=m"(out),
        "+a"(nr), [flags] "=&b"(flags)
      : [low] "m"(low), [pid] "m"((uint64_t){(uint64_t)getpid()})
      : "r12", "r13", "r10", "rcx", "r11", "rdi", "rsi", "rdx", "xmm9",
        "memory", "cc");
  printf("rax %ld r12 %lx r10 %lx rdi %d xmm9 %g flags %lx calls %d\n", nr, r12,
         r10, rdi == (uint64_t)getpid(), out, flags & 0x401, calls);
}

static char alternate[65536];

static void on_stack(int signal) {
  char here;
  stack_t now;
  sigaltstack(NULL, &now);
  printf("%d: on it %d, flags %d\n", signal,
         &here > alternate && &here < alternate + sizeof alternate,
         now.ss_flags);
  stack_t other = {.ss_sp = alternate, .ss_size = 8192};
  errno = 0;
  int result = sigaltstack(&other, NULL);
  printf("set again: %d %d\n", result, errno);
}

static void stacks(void) {
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate}, old;
  SHOW(sigaltstack(&stack, &old));
  printf("old flags %d\n", old.ss_flags);
  handle(SIGUSR1, on_stack, SA_ONSTACK);
  handle(SIGUSR2, on_stack, 0);
  raise(SIGUSR1);
  raise(SIGUSR2);
  stack.ss_flags = 1u << 31;
  stack.ss_sp = alternate;
  stack.ss_size = sizeof alternate;
  SHOW(sigaltstack(&stack, NULL));
  raise(SIGUSR1);
  sigaltstack(NULL, &old);
  printf("flags %x size %zu\n", old.ss_flags, old.ss_size);
  stack.ss_flags = 0;
  stack.ss_size = 100;
  SHOW(sigaltstack(&stack, NULL));
  stack.ss_flags = 64;
  SHOW(sigaltstack(&stack, NULL));
  stack.ss_flags = SS_DISABLE;
  SHOW(sigaltstack(&stack, NULL));
}

static sigjmp_buf back;
static char *page;

static void fault_info(int signal, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  greg_t *regs = uc->uc_mcontext.gregs;
  printf("signal %d code %d at page %d rip %d trap %lld err %lld cr2 %d\n",
         signal, info->si_code, (char *)info->si_addr == page,
         (greg_t)info->si_addr == regs[REG_RIP], (long long)regs[REG_TRAPNO],
         (long long)regs[REG_ERR] & ~1,
         regs[REG_TRAPNO] != 14 || (char *)regs[REG_CR2] == page);
  siglongjmp(back, 1);
}

static void repair(int signal, siginfo_t *info, void *context) {
  (void)context;
  (void)info;
  calls++;
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
  (void)signal;
}

static void skip(int signal, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  printf("signal %d code %d, skipped\n", signal, info->si_code);
  uc->uc_mcontext.gregs[REG_RIP] += 2;
}

static void trapped(int signal, siginfo_t *info, void *context) {
  (void)context;
  printf("signal %d code %d\n", signal, info->si_code);
}

static volatile int depth = 1;

static void overflow(volatile char *above) {
  volatile char big[4096];
  big[0] = above ? above[0] : 1;
  if (depth) overflow(big);
  big[1] = big[0];
}

static void faults(void) {
  page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  handle_info(SIGSEGV, fault_info, 0);
  handle_info(SIGBUS, fault_info, 0);
  handle_info(SIGFPE, fault_info, 0);
  handle_info(SIGILL, skip, 0);
  handle_info(SIGTRAP, trapped, 0);
  if (!sigsetjmp(back, 1)) *(volatile char *)page = 1;
  volatile int zero = 0;
  if (!sigsetjmp(back, 1)) zero = 10 / zero;
  if (!sigsetjmp(back, 1)) asm volatile("hlt");
  asm volatile("ud2");
  asm volatile("int3");
  munmap(page, 4096);
  if (!sigsetjmp(back, 1)) *(volatile char *)page = 1;
  page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!sigsetjmp(back, 1)) zero = *(volatile char *)page;
  handle_info(SIGSEGV, repair, 0);
  for (int i = 0; i < 3; i++) {
    mprotect(page, 4096, PROT_NONE);
    *(volatile char *)page = 7;
  }
  printf("repaired %d, %d\n", calls, *page);
  int fd = open("short", O_RDWR | O_CREAT, 0600);
  SHOW(ftruncate(fd, 100));
  page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
  page += 4096;
  if (!sigsetjmp(back, 1)) zero = *(volatile char *)page;
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&stack, NULL);
  page = NULL;
  handle_info(SIGSEGV, fault_info, SA_ONSTACK);
  if (!sigsetjmp(back, 1)) overflow(NULL);
  puts("done");
}

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
  INTERRUPTED(sigtimedwait(&set, NULL, &second));
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
  struct itimerval often = {{0, 10000}, {0, 10000}}, none = {0};
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

static void blocked_fault(void) {
  sigset_t set = set_of(SIGSEGV);
  handle_info(SIGSEGV, repair, 0);
  sigprocmask(SIG_BLOCK, &set, NULL);
  fflush(stdout);
  page = NULL;
  *(volatile char *)page = 1;
}

// The frame is the program's: what it makes of it must not hurt anybody else.
static int spoil;

static void spoiled(int signal, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  uint32_t *area = (uint32_t *)uc->uc_mcontext.fpregs;
  (void)signal;
  (void)info;
  switch (spoil) {
    case 0: uc->uc_mcontext.gregs[REG_RIP] = (greg_t)0x8000000000000000; break;
    case 1: area[(512 + 8) / 4] = 1; break;            // XCOMP_BV
    case 2: area[512 / 4] |= 1u << 30; break;          // XSTATE_BV
    case 3: uc->uc_mcontext.fpregs = (void *)16; break;
    case 4: uc->uc_mcontext.gregs[REG_CSGSFS] = 0x10; break;
    case 5: uc->uc_mcontext.fpregs = NULL; break;
    case 6: area[464 / 4] = 0; break;                  // FP_XSTATE_MAGIC1
    case 7: uc->uc_mcontext.gregs[REG_EFL] = -1 & ~0x40100; break;
  }
}

static void caught(int signal, siginfo_t *info, void *context) {
  (void)context;
  printf("spoiled %d: signal %d code %d\n", spoil, signal, info->si_code);
  siglongjmp(back, 1);
}

static void hostile(void) {
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&stack, NULL);
  handle_info(SIGSEGV, caught, SA_ONSTACK);
  handle_info(SIGUSR1, spoiled, 0);
  for (spoil = 0; spoil < 8; spoil++) {
    if (!sigsetjmp(back, 1)) {
      raise(SIGUSR1);
      asm volatile("cld");
      printf("spoiled %d: went on\n", spoil);
    }
  }
  // A stack that there is none of.
  if (!sigsetjmp(back, 1)) {
    spoil = 20;
    asm volatile("mov $4096, %%rsp\n mov $39, %%eax\n syscall\n mov %%eax, %%edi\n"
                 "mov $10, %%esi\n mov $62, %%eax\n syscall\n hlt" ::: "memory");
  }
  // Back from a handler that was never called.
  if (!sigsetjmp(back, 1)) {
    spoil = 21;
    asm volatile("mov $4096, %%rsp\n mov $15, %%eax\n syscall\n hlt" ::: "memory");
  }
}

static const struct {
  const char *name;
  void (*run)(void);
} PARTS[] = {
    {"simple", simple},         {"infos", infos},
    {"masks", masks},           {"realtime", realtime},
    {"registers", registers_kept}, {"stacks", stacks},
    {"faults", faults},         {"interrupted", interrupted},
    {"temporary", temporary},   {"directed", directed},
    {"timers", timers},         {"posix_timers", posix_timers},
    {"hostile", hostile},       {"broken_pipe", broken_pipe},
    {"ends", ends},             {"blocked_fault", blocked_fault},
};

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
    if (argc > 1 && strcmp(argv[1], PARTS[i].name) != 0) continue;
    PARTS[i].run();
  }
  return 0;
}
