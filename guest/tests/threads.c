// Threads: making and joining them, mutexes, conditions, barriers, semaphores,
// thread-local storage, floating point and vector registers of each, robust
// mutexes, timeouts, and threads that compute without a system call.
//
// threads [what]: all of it, or one part.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "show.h"

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

enum { THREADS = 8, ROUNDS = 200 };

// From linux/futex.h, which not every C library's headers bring along.
enum {
  FUTEX_WAIT = 0,
  FUTEX_WAKE = 1,
  FUTEX_CMP_REQUEUE = 4,
  FUTEX_WAKE_OP = 5,
  FUTEX_WAIT_BITSET = 9,
  ADD_3_IF_IT_WAS_5 = 1 << 28 | 0 << 24 | 3 << 12 | 5,
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long counter;
static __thread long own;

static void *count(void *arg) {
  for (int i = 0; i < ROUNDS; i++) {
    pthread_mutex_lock(&mutex);
    counter++;
    own += (long)(intptr_t)arg;
    if (i % 16 == 0) sched_yield();
    pthread_mutex_unlock(&mutex);
  }
  return (void *)(intptr_t)own;
}

static void many(void) {
  pthread_t threads[THREADS];
  long sum = 0;
  for (intptr_t i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, count, (void *)i);
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(threads[i], &result);
    sum += (long)(intptr_t)result;
  }
  printf("counter %ld, own %ld, main's %ld\n", counter, sum, own);
}

static int turn;

static void *ping(void *arg) {
  int mine = (int)(intptr_t)arg;
  for (int i = 0; i < 50; i++) {
    pthread_mutex_lock(&mutex);
    while (turn != mine) pthread_cond_wait(&changed, &mutex);
    turn = !mine;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void conditions(void) {
  pthread_t a, b;
  pthread_create(&a, NULL, ping, (void *)0);
  pthread_create(&b, NULL, ping, (void *)1);
  pthread_join(a, NULL);
  pthread_join(b, NULL);
  printf("turn %d\n", turn);
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 20000000;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  pthread_mutex_lock(&mutex);
  printf("timed wait: %s\n",
         strerror(pthread_cond_timedwait(&changed, &mutex, &until)));
  pthread_mutex_unlock(&mutex);
}

static atomic_int stop;

static void *compute(void *arg) {
  volatile double x = (double)(intptr_t)arg;
  // Nothing here leaves the CPU: others have to be given their turn.
  while (!atomic_load_explicit(&stop, memory_order_relaxed))
    x = x * 1.0000001 + 0.5;
  return NULL;
}

static void *ticks(void *arg) {
  (void)arg;
  for (int i = 0; i < 10; i++) {
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
  }
  atomic_store(&stop, 1);
  return NULL;
}

static void preempted(void) {
  pthread_t threads[4];
  for (intptr_t i = 0; i < 3; i++)
    pthread_create(&threads[i], NULL, compute, (void *)i);
  pthread_create(&threads[3], NULL, ticks, NULL);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  printf("computing threads were preempted\n");
}

static void *series(void *arg) {
  double n = (double)(intptr_t)arg, sum = 0;
  for (int i = 1; i <= 300000; i++) {
    sum += n / i;
    if (i % 1000 == 0) sched_yield();
  }
  double *result = malloc(sizeof *result);
  *result = sum;
  return result;
}

static void registers(void) {
  pthread_t threads[THREADS];
  for (intptr_t i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, series, (void *)(i + 1));
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(threads[i], &result);
    printf("series %d: %.12f\n", i + 1, *(double *)result);
    free(result);
  }
}

static pthread_mutex_t robust;

static void *die_holding(void *arg) {
  (void)arg;
  pthread_mutex_lock(&robust);
  return NULL;
}

static void robust_mutex(void) {
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&robust, &attr);
  pthread_t thread;
  pthread_create(&thread, NULL, die_holding, NULL);
  pthread_join(thread, NULL);
  int got = pthread_mutex_lock(&robust);
  printf("robust: %s\n", got == EOWNERDEAD ? "EOWNERDEAD" : strerror(got));
  pthread_mutex_consistent(&robust);
  printf("unlock: %d\n", pthread_mutex_unlock(&robust));
}

static sem_t semaphore;
static pthread_barrier_t barrier;

static void *post(void *arg) {
  pthread_barrier_wait(&barrier);
  sem_post(arg);
  return NULL;
}

static void semaphores(void) {
  pthread_t threads[4];
  sem_init(&semaphore, 0, 0);
  pthread_barrier_init(&barrier, NULL, 4);
  for (int i = 0; i < 4; i++)
    pthread_create(&threads[i], NULL, post, &semaphore);
  for (int i = 0; i < 4; i++) sem_wait(&semaphore);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  int value;
  sem_getvalue(&semaphore, &value);
  printf("semaphore %d\n", value);
}

static uint32_t word;

static long futex(uint32_t *at, int op, uint32_t value, void *time,
                  uint32_t *other, uint32_t value3) {
  long result = syscall(SYS_futex, at, op, value, time, other, value3);
  return result < 0 ? -errno : result;
}

static void *wait_word(void *arg) {
  return (void *)futex(&word, FUTEX_WAIT, 0, NULL, arg, 0);
}

static void raw(void) {
  struct timespec ms = {0, 1000000}, bad = {0, 1000000000}, past = {0, 0};
  uint32_t other = 0;
  printf("wait, other value: %ld\n", futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
  printf("wait, short: %ld\n", futex(&word, FUTEX_WAIT, 0, &ms, NULL, 0));
  printf("wait, bad time: %ld\n", futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0));
  printf("wait, past: %ld\n",
         futex(&word, FUTEX_WAIT_BITSET, 0, &past, NULL, 1));
  printf("wait, no bits: %ld\n",
         futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
  printf("odd address: %ld\n",
         futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
  printf("no memory: %ld\n",
         futex((uint32_t *)0x1000, FUTEX_WAIT, 0, NULL, NULL, 0));
  printf("wake none: %ld\n", futex(&word, FUTEX_WAKE, 5, NULL, NULL, 0));
  printf("cmp_requeue, other value: %ld\n",
         futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 3));
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, wait_word, NULL);
  usleep(200000);
  printf("cmp_requeue: %ld\n",
         futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)2, &other, 0));
  printf("wake old: %ld\n", futex(&word, FUTEX_WAKE, 5, NULL, NULL, 0));
  printf("wake new: %ld\n", futex(&other, FUTEX_WAKE, 5, NULL, NULL, 0));
  for (int i = 0; i < 3; i++) {
    void *result;
    pthread_join(threads[i], &result);
    printf("waited: %ld\n", (long)(intptr_t)result);
  }
  other = 5;
  printf("wake_op: %ld\n",
         futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &other, ADD_3_IF_IT_WAS_5));
  printf("other: %u\n", other);
}

// A robust list of one entry, as linux/futex.h has them.
static struct {
  void *next;
  uint64_t word;
} entry;
static struct {
  void *first;
  long offset;
  void *pending;
} list;

static void *wait_entry(void *value) {
  return (void *)futex((uint32_t *)&entry.word, FUTEX_WAIT,
                       (uint32_t)(uintptr_t)value, NULL, NULL, 0);
}

static void *die_with_list(void *arg) {
  if (arg) entry.word |= gettid();
  syscall(SYS_set_robust_list, &list, sizeof list);
  return NULL;
}

// How many still wait for a futex when a thread has ended that has it in its
// list, or says that it was about to take it or to give it up.
static void ends_with(const char *what, uint32_t value, int listed, int pending,
                      int own) {
  pthread_t two[2], thread;
  list.first = listed ? (void *)&entry : (void *)&list;
  list.offset = 8;
  list.pending = pending ? (char *)&entry + (pending > 1) : NULL;
  entry.next = &list;
  entry.word = value;
  for (int i = 0; i < 2; i++)
    pthread_create(&two[i], NULL, wait_entry, (void *)(uintptr_t)value);
  usleep(200000);
  pthread_create(&thread, NULL, die_with_list, (void *)(uintptr_t)own);
  pthread_join(thread, NULL);
  // Who joins a thread is told last.
  printf("%s: %ld wait", what,
         futex((uint32_t *)&entry.word, FUTEX_WAKE, 5, NULL, NULL, 0));
  printf(", marked %lx\n", entry.word & 0xc0000007);
  for (int i = 0; i < 2; i++) pthread_join(two[i], NULL);
}

static void pending(void) {
  ends_with("given up", 0, 0, 1, 0);
  ends_with("given up, listed", 0, 1, 1, 0);
  ends_with("given up by no owner", 0x80000000, 0, 1, 0);
  ends_with("only listed", 0, 1, 0, 0);
  ends_with("another's", 5, 0, 1, 0);
  ends_with("with priorities", 0, 0, 2, 0);
  ends_with("taken", 0, 0, 1, 1);
  ends_with("taken, and waited for", 0x80000000, 0, 1, 1);
  ends_with("owned", 0x80000000, 1, 0, 1);
  ends_with("owned, with priorities", 0x80000000, 0, 2, 1);
}

static void calls(void) {
  printf("tid is pid: %d\n", gettid() == getpid());
  SHOW(syscall(SYS_clone, 0x10000, 0, 0, 0, 0));
  SHOW(syscall(SYS_clone, 0x10800, 0, 0, 0, 0));
  SHOW(syscall(SYS_clone3, &word, 8));
  SHOW(syscall(SYS_clone3, &word, 5000));
  SHOW(syscall(SYS_clone3, 0x1000, 88));
}

static void *sleep_then_exit(void *arg) {
  usleep(20000);
  printf("the program goes on without its first thread\n");
  fflush(stdout);
  if (arg) exit(7);
  return NULL;
}

static void first_ends(void *code) {
  pthread_t thread;
  pthread_create(&thread, NULL, sleep_then_exit, code);
  pthread_exit(NULL);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "all";
  if (!strcmp(what, "first_ends")) first_ends(NULL);
  if (!strcmp(what, "other_exits")) first_ends(what == argv[1] ? argv[1] : 0);
  static const struct {
    const char *name;
    void (*run)(void);
  } parts[] = {
      {"many", many},           {"conditions", conditions},
      {"preempted", preempted}, {"registers", registers},
      {"robust", robust_mutex}, {"semaphores", semaphores},
      {"raw", raw},             {"calls", calls},
      {"pending", pending},
  };
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (strcmp(what, "all") && strcmp(what, parts[i].name)) continue;
    parts[i].run();
    fflush(stdout);
  }
  return 0;
}
