// What handlers run with: registers, stacks of their own, faults that they
// handle, and frames that make no sense.
//
// signal_faults [what]: all of it, or one part.
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "signals.h"

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

static void blocked_fault(void) {
  sigset_t set = set_of(SIGSEGV);
  handle_info(SIGSEGV, repair, 0);
  sigprocmask(SIG_BLOCK, &set, NULL);
  fflush(stdout);
  page = NULL;
  *(volatile char *)page = 1;
}

static void past_port(int signal, siginfo_t *info, void *context) {
  greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
  printf("signal %d code %d trap %lld err %lld rax %llx\n", signal, info->si_code,
         (long long)regs[REG_TRAPNO], (long long)regs[REG_ERR],
         (unsigned long long)regs[REG_RAX]);
  regs[REG_RIP] += 2;
}

static void ports(void) {
  uint64_t rax = 0x1122334455667788, rbx = 5;
  handle_info(SIGSEGV, past_port, 0);
  asm volatile("in $0x60, %%al\n in $0x61, %%eax\n mov $7, %%ebx"
               : "+a"(rax), "+b"(rbx));
  printf("rax %lx rbx %lx\n", rax, rbx);
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

static const struct part PARTS[] = {
    {"registers", registers_kept},
    {"stacks", stacks},
    {"faults", faults},
    {"ports", ports},
    {"hostile", hostile},
    {"blocked_fault", blocked_fault},
    {NULL, NULL},
};

int main(int argc, char **argv) {
  return run_parts(PARTS, argc, argv);
}
