/*
 * signals.h: what the programs that test signals have in common.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "show.h"

static volatile int calls;
static volatile int last;

static inline void count(int signal) {
  calls++;
  last = signal;
}

static inline void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {0};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, NULL);
}

static inline void handle_info(int signal, void (*handler)(int, siginfo_t *, void *),
                        int flags) {
  struct sigaction action = {0};
  action.sa_sigaction = handler;
  action.sa_flags = flags | SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, NULL);
}

static inline sigset_t set_of(int signal) {
  sigset_t set;
  sigemptyset(&set);
  if (signal) sigaddset(&set, signal);
  return set;
}

/* One part of a program, by its name. */
struct part {
  const char *name;
  void (*run)(void);
};

/* Runs the part that the first argument names, or all. */
static inline int run_parts(const struct part *part, int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (; part->name; part++)
    if (argc < 2 || strcmp(argv[1], part->name) == 0) part->run();
  return 0;
}

#endif
