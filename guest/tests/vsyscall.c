// Calls the functions that were at fixed addresses before there was a vDSO.

#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

#include "show.h"

#define BASE 0xffffffffff600000

static int (*volatile get_time_of_day)(struct timeval *, void *) =
    (void *)BASE;
static time_t (*volatile get_time)(time_t *) = (void *)(BASE + 0x400);
static int (*volatile get_cpu)(unsigned *, unsigned *, void *) =
    (void *)(BASE + 0x800);
static void (*volatile between)(void) = (void *)(BASE + 8);

static sigjmp_buf back;

static void faulted(int signal) { siglongjmp(back, signal); }

int main(void) {
  struct timeval then, now;
  time_t seconds = 0, stored = 0;
  unsigned cpu = 77, node = 77;

  gettimeofday(&then, NULL);
  SHOW(get_time_of_day(&now, NULL));
  SHOW(now.tv_sec - then.tv_sec < 60 && !timercmp(&now, &then, <));
  SHOW((seconds = get_time(NULL)) - then.tv_sec < 60);
  SHOW(seconds >= then.tv_sec);
  SHOW(get_time(&stored) >= seconds);
  SHOW(stored >= seconds);
  SHOW(get_cpu(&cpu, &node, NULL));
  SHOW(cpu < CPU_SETSIZE && node < CPU_SETSIZE);
  SHOW(get_time_of_day(NULL, NULL));
  static char alternate[1 << 16];
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  struct sigaction action = {.sa_handler = faulted, .sa_flags = SA_ONSTACK};
  sigaltstack(&stack, NULL);
  sigaction(SIGSEGV, &action, NULL);
  int caught = sigsetjmp(back, 1);
  if (!caught) between();
  printf("between %d\n", caught);
  caught = sigsetjmp(back, 1);
  if (!caught)
    __asm__ volatile("mov %0, %%rsp\n\tjmp *%1" : : "r"(8UL), "r"(BASE));
  printf("no stack %d\n", caught);
  return 0;
}
