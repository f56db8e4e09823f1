/**
 * The C library, as far as a VMM needs it, through `Deno.dlopen`.
 *
 * @module
 */

/** Foreign symbols, with the C prototype's types. */
export const LIBC_SYMBOLS = {
  // int open(const char *path, int flags)
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
  // int ioctl(int fd, unsigned long request, …). The requests of KVM fit 32
  // bits, and a register's upper half is cleared by a 32-bit move: u32 keeps to
  // the fast path, which takes no 64-bit numbers.
  ioctl: {
    name: "ioctl",
    parameters: ["i32", "u32", "i32"],
    result: "i32",
  },
  ioctlAddress: {
    name: "ioctl",
    parameters: ["i32", "u32", "usize"],
    result: "i32",
  },
  ioctlBuffer: {
    name: "ioctl",
    parameters: ["i32", "u32", "buffer"],
    result: "i32",
  },
  ioctlAsync: {
    name: "ioctl",
    parameters: ["i32", "u32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  // void *mmap(void *, size_t, int prot, int flags, int fd, off_t). The result
  // is signed so that MAP_FAILED is -1, in any number type.
  mmap: {
    parameters: ["usize", "usize", "i32", "i32", "i32", "i64"],
    result: "isize",
  },
  // int munmap(void *, size_t)
  munmap: { parameters: ["usize", "usize"], result: "i32" },
  // int madvise(void *, size_t, int)
  madvise: { parameters: ["usize", "usize", "i32"], result: "i32" },
  // int mprotect(void *, size_t, int)
  mprotect: { parameters: ["usize", "usize", "i32"], result: "i32" },
  // int memcmp(const void *, const void *, size_t)
  memcmp: { parameters: ["usize", "usize", "usize"], result: "i32" },
  // ssize_t pread(int fd, void *, size_t, off_t)
  pread: { parameters: ["i32", "usize", "usize", "i64"], result: "i64" },
  // the same, and pwrite(2), with a buffer of JavaScript's
  preadInto: {
    name: "pread",
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "i64",
  },
  pwriteFrom: {
    name: "pwrite",
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "i64",
  },
  // int msync(void *, size_t, int flags)
  msync: { parameters: ["usize", "usize", "i32"], result: "i32" },
  // long syscall(long number, …)
  syscall: { parameters: ["i64", "i64", "i64", "i64"], result: "i64" },
  // int clock_gettime(clockid_t, struct timespec *)
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  // int sigaction(int, const struct sigaction *, struct sigaction *)
  sigaction: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int timer_create(clockid_t, struct sigevent *, timer_t *)
  timer_create: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int timer_settime(timer_t, int flags, const struct itimerspec *, …)
  timer_settime: {
    parameters: ["usize", "i32", "buffer", "buffer"],
    result: "i32",
  },
  // int timer_delete(timer_t)
  timer_delete: { parameters: ["usize"], result: "i32" },
  // int *__errno_location(void)
  __errno_location: { parameters: [], result: "pointer" },
  // int abs(int): its address serves as a signal handler that does nothing.
  abs: { type: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/**
 * Foreign functions that take numbers where the C prototype has 64 bits: Deno
 * takes both, its types say only bigint. Numbers are exact below 2^53.
 */
export type TakingNumbers<Functions> = {
  [Name in keyof Functions]: Functions[Name] extends
    (...args: infer Args) => infer Result ? (
      ...args: {
        [I in keyof Args]: Args[I] extends bigint ? number | bigint : Args[I];
      }
    ) => Result
    : Functions[Name];
};

/** The C library's functions. */
export const libc: TakingNumbers<
  Deno.StaticForeignLibraryInterface<typeof LIBC_SYMBOLS>
> = Deno.dlopen("libc.so.6", LIBC_SYMBOLS).symbols as never;

// SAFETY: errno's place belongs to this thread and stays as long as it does.
const errnoCell = new Int32Array(
  Deno.UnsafePointerView.getArrayBuffer(libc.__errno_location()!, 4),
);

/**
 * This thread's errno; to be read right after the call that failed, as any
 * operation of Deno's may change it.
 */
export function errno(): number {
  return errnoCell[0];
}
