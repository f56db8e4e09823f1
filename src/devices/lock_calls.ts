/**
 * The host's system calls on locks of files. Results are as the kernel gives
 * them: zero, or a negative errno.
 *
 * @module
 */

import { errno } from "../kvm/mod.ts";

/** libc, as locks need it; the C prototype's types above each symbol. */
const SYMBOLS = {
  // int fd, int operation
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // int fd, int command, struct flock *
  fcntl: { parameters: ["i32", "i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const c = Deno.dlopen("libc.so.6", SYMBOLS).symbols;

const result = (value: number): number => value === -1 ? -errno() : value;

/** Commands on locks of open files (asm-generic/fcntl.h). */
export const F_OFD = { get: 36, set: 37 } as const;

/** Bytes of a `struct flock`. */
export const FLOCK_BYTES = 32;

/** flock(2). */
export const flock = (fd: number, operation: number): number =>
  result(c.flock(fd, operation));

/** fcntl(2) with F_OFD_GETLK or F_OFD_SETLK: neither waits. */
export const recordLock = (
  fd: number,
  command: typeof F_OFD[keyof typeof F_OFD],
  lock: Uint8Array<ArrayBuffer>,
): number => {
  if (lock.length < FLOCK_BYTES) throw new RangeError("no struct flock");
  // SAFETY: the kernel reads and writes FLOCK_BYTES of it.
  return result(c.fcntl(fd, command, lock));
};
