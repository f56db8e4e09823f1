/**
 * The host's system calls that devices make. Results are as the kernel gives
 * them: zero or more, or a negative errno.
 *
 * @module
 */

import { ERRNO, errno, type TakingNumbers } from "../kvm/mod.ts";
import { AT_EMPTY_PATH, O } from "./host_constants.ts";
import { pathBytes } from "./path_bytes.ts";

/** libc, as files need it; the C prototype's types above each symbol. */
const SYMBOLS = {
  // int fd, const struct iovec *, int count
  readv: { parameters: ["i32", "buffer", "i32"], result: "i64" },
  writev: { parameters: ["i32", "buffer", "i32"], result: "i64" },
  // …, off_t offset
  preadv: { parameters: ["i32", "buffer", "i32", "i64"], result: "i64" },
  pwritev: { parameters: ["i32", "buffer", "i32", "i64"], result: "i64" },
  // …, off_t offset, int flags
  pwritev2: {
    parameters: ["i32", "buffer", "i32", "i64", "i32"],
    result: "i64",
  },
  preadv2: {
    parameters: ["i32", "buffer", "i32", "i64", "i32"],
    result: "i64",
  },
  // int fd, void *, size_t, off_t
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "i64" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  close: { parameters: ["i32"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  fsync: { parameters: ["i32"], result: "i32" },
  fdatasync: { parameters: ["i32"], result: "i32" },
  // int fd, const char *path, struct stat *, int flags
  fstatat: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
  // int fd, const char *path, int flags, unsigned mask, struct statx *
  statx: {
    parameters: ["i32", "buffer", "i32", "u32", "buffer"],
    result: "i32",
  },
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "i64" },
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  // int fd, const char *path, mode_t, int flags
  fchmodat: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  // …, uid_t, gid_t, int flags
  fchownat: {
    parameters: ["i32", "buffer", "i32", "i32", "i32"],
    result: "i32",
  },
  // …, const struct timespec[2], int flags
  utimensat: {
    parameters: ["i32", "buffer", "buffer", "i32"],
    result: "i32",
  },
  mkdirat: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  renameat2: {
    parameters: ["i32", "buffer", "i32", "buffer", "u32"],
    result: "i32",
  },
  readlinkat: {
    parameters: ["i32", "buffer", "buffer", "usize"],
    result: "i64",
  },
  // struct pollfd *, nfds_t, int timeoutMs
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  pollAsync: {
    name: "poll",
    parameters: ["buffer", "u64", "i32"],
    result: "i32",
    nonblocking: true,
  },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // long number; int dirfd, const char *path, struct open_how *, size_t
  openat2: {
    name: "syscall",
    parameters: ["i64", "i32", "buffer", "buffer", "usize"],
    result: "i64",
  },
  // long number; int dirfd, const char *path, int mode, int flags
  faccessat2: {
    name: "syscall",
    parameters: ["i64", "i32", "buffer", "i32", "i32"],
    result: "i64",
  },
  // int fd, unsigned long request, void *
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  // int fd, unsigned long request, int
  ioctlNumber: {
    name: "ioctl",
    parameters: ["i32", "u64", "i64"],
    result: "i32",
  },
  // int fd, int command, int argument
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "i64" },
  read: { parameters: ["i32", "buffer", "usize"], result: "i64" },
} as const satisfies Deno.ForeignLibraryInterface;

const c: TakingNumbers<Deno.StaticForeignLibraryInterface<typeof SYMBOLS>> =
  Deno.dlopen("libc.so.6", SYMBOLS).symbols as never;

/** Numbers of system calls without a libc function (asm/unistd_64.h). */
const SYS_openat2 = 437;
const SYS_faccessat2 = 439;

/** pwritev2(2): do not wait. */
const RWF_NOWAIT = 8;

const EMPTY = new Uint8Array(1);

/** A call's result: itself, or the negative errno when it is -1. */
function result(value: number | bigint): number {
  return Number(value) === -1 ? -errno() : Number(value);
}

// Fast calls take nothing but bigint for a 64-bit parameter: a number would make
// V8 leave the optimized code that they are part of, each time.
//
// SAFETY, for all below: buffers are passed as typed arrays that the kernel
// fills no further than the length it is told; iovecs name guest memory that
// IoVector has checked.

/** `struct iovec[]` of pieces of guest memory. */
export interface Iovecs {
  /** The array itself. */
  readonly iovecs: Uint8Array<ArrayBuffer>;
  /** How many entries. */
  readonly count: number;
}

/** readv(2). */
export const readv = (fd: number, io: Iovecs): number =>
  result(c.readv(fd, io.iovecs, io.count));

/** writev(2). */
export const writev = (fd: number, io: Iovecs): number =>
  result(c.writev(fd, io.iovecs, io.count));

/** preadv(2). */
export const preadv = (fd: number, io: Iovecs, offset: number): number =>
  result(c.preadv(fd, io.iovecs, io.count, BigInt(offset)));

/** pwritev(2). */
export const pwritev = (fd: number, io: Iovecs, offset: number): number =>
  result(c.pwritev(fd, io.iovecs, io.count, BigInt(offset)));

/** readv(2), or writev(2) where `io` is written from. */
export const move = (
  fd: number,
  io: Iovecs & { readonly into: boolean },
): number => io.into ? readv(fd, io) : writev(fd, io);

/** The same without waiting; EOPNOTSUPP where the file cannot say. */
export const moveNoWait = (
  fd: number,
  io: Iovecs & { readonly into: boolean },
): number => moveWith(fd, io, -1, RWF_NOWAIT);

/** preadv2(2), or pwritev2(2) where `io` is written from; offset -1: its own. */
export const moveWith = (
  fd: number,
  io: Iovecs & { readonly into: boolean },
  offset: number,
  flags: number,
): number => {
  const call = io.into ? c.preadv2 : c.pwritev2;
  return result(call(fd, io.iovecs, io.count, BigInt(offset), flags));
};

/** pread(2) of one byte that nobody wants: 1, 0 at the end, or an errno. */
export const preadByte = (fd: number, offset: number): number =>
  result(c.pread(fd, new Uint8Array(1), 1n, BigInt(offset)));

/** pread(2) into a buffer. */
export const pread = (
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
  offset: number,
): number => result(c.pread(fd, bytes, BigInt(bytes.length), BigInt(offset)));

/** lseek(2). */
export const lseek = (fd: number, offset: number, whence: number): number =>
  result(c.lseek(fd, BigInt(offset), whence));

/**
 * lseek(2) with all 63 bits: the offset of a folder is a number of the file
 * system's own.
 */
export function lseekFar(fd: number, offset: bigint, whence: number): bigint {
  const at = BigInt(c.lseek(fd, offset, whence));
  return at === -1n ? BigInt(-errno()) : at;
}

/** Where the offset of `fd` is, all 63 bits; a negative errno: it has none. */
export const offsetOf = (fd: number): bigint => lseekFar(fd, 0n, 1);

/** Moves the offset of `fd` to `offset`; returns whether it is there now. */
export const seekTo = (fd: number, offset: bigint): boolean =>
  BigInt(c.lseek(fd, offset, 0)) === offset;

/** close(2). */
export const close = (fd: number): number => result(c.close(fd));

/** ftruncate(2). */
export const ftruncate = (fd: number, lengthBytes: number): number =>
  result(c.ftruncate(fd, BigInt(lengthBytes)));

/** fsync(2), or fdatasync(2). */
export const fsync = (fd: number, dataOnly: boolean): number =>
  result(dataOnly ? c.fdatasync(fd) : c.fsync(fd));

/** fstatat(2) into a `struct stat` of 144 bytes. */
export const fstatat = (
  fd: number,
  name: string,
  stat: Uint8Array<ArrayBuffer>,
  flags: number,
): number => result(c.fstatat(fd, pathBytes(name), stat, flags));

/** fstat(2) into a `struct stat` of 144 bytes. */
export const fstat = (fd: number, stat: Uint8Array<ArrayBuffer>): number =>
  result(c.fstatat(fd, EMPTY, stat, AT_EMPTY_PATH));

/** The type of the file system that holds `fd` (statfs(2)'s f_type). */
export function fileSystemType(fd: number): number {
  const statfs = new DataView(new ArrayBuffer(256));
  const got = result(c.fstatfs(fd, new Uint8Array(statfs.buffer)));
  return got < 0 ? got : Number(statfs.getBigInt64(0, true));
}

/** statx(2) into a `struct statx` of 256 bytes. */
export const statx = (
  fd: number,
  name: string,
  flags: number,
  mask: number,
  buffer: Uint8Array<ArrayBuffer>,
): number => result(c.statx(fd, pathBytes(name), flags, mask, buffer));

/** getdents64(2). */
export const getdents64 = (
  fd: number,
  buffer: Uint8Array<ArrayBuffer>,
): number => result(c.getdents64(fd, buffer, buffer.length));

/** unlinkat(2). */
export const unlinkat = (fd: number, name: string, flags: number): number =>
  result(c.unlinkat(fd, pathBytes(name), flags));

/** mkdirat(2). */
export const mkdirat = (fd: number, name: string, mode: number): number =>
  result(c.mkdirat(fd, pathBytes(name), mode));

/** fchmodat(2), links followed. */
export const fchmodat = (fd: number, name: string, mode: number): number =>
  result(c.fchmodat(fd, pathBytes(name), mode, 0));

/** fchownat(2). */
export const fchownat = (
  fd: number,
  name: string,
  uid: number,
  gid: number,
  flags: number,
): number => result(c.fchownat(fd, pathBytes(name), uid, gid, flags));

/** utimensat(2): `times` are two `struct timespec`; null: now. */
export const utimensat = (
  fd: number,
  name: string,
  times: Uint8Array<ArrayBuffer> | null,
  flags: number,
): number => result(c.utimensat(fd, pathBytes(name), times, flags));

/** renameat2(2). */
export const renameat2 = (
  fromFd: number,
  from: string,
  toFd: number,
  to: string,
  flags: number,
): number =>
  result(c.renameat2(fromFd, pathBytes(from), toFd, pathBytes(to), flags));

/** Where the kernel puts the text of a link, until it has been read. */
const LINK = new Uint8Array(4096);

/** readlinkat(2); the target, a character a byte, or a negative errno. */
export function readlinkat(fd: number, name: string): string | number {
  const length = result(
    c.readlinkat(fd, pathBytes(name), LINK, LINK.length),
  );
  if (length < 0) return length;
  return String.fromCharCode(...LINK.subarray(0, length));
}

/** openat2(2): `flags`, `mode` and `resolve` are `struct open_how`'s. */
export function openat2(
  fd: number,
  path: string,
  flags: number,
  mode: number,
  resolve: number,
): number {
  const how = new DataView(new ArrayBuffer(24));
  how.setBigUint64(0, BigInt(flags >>> 0), true);
  how.setBigUint64(8, BigInt(mode), true);
  how.setBigUint64(16, BigInt(resolve), true);
  return result(
    c.openat2(
      SYS_openat2,
      fd,
      pathBytes(path),
      new Uint8Array(how.buffer),
      24,
    ),
  );
}

/** faccessat2(2). */
export const faccessat2 = (
  fd: number,
  name: string,
  mode: number,
  flags: number,
): number =>
  result(c.faccessat2(SYS_faccessat2, fd, pathBytes(name), mode, flags));

/** ioctl(2) with a buffer. */
export const ioctl = (
  fd: number,
  request: number,
  buffer: Uint8Array<ArrayBuffer>,
): number => result(c.ioctl(fd, request, buffer));

/** ioctl(2) with a number. */
export const ioctlNumber = (
  fd: number,
  request: number,
  argument: number,
): number => result(c.ioctlNumber(fd, request, argument));

/** fcntl(2) with F_GETFL. */
export const getFlags = (fd: number): number => result(c.fcntl(fd, 3, 0));

/** fcntl(2) with F_SETFL. */
export const setFlags = (fd: number, flags: number): number =>
  result(c.fcntl(fd, 4, flags));

/** fcntl(2) with F_GET_SEALS: the seals of a file in memory, or an errno. */
export const getSeals = (fd: number): number => result(c.fcntl(fd, 1034, 0));

/** fcntl(2) with F_ADD_SEALS. */
export const addSeals = (fd: number, seals: number): number =>
  result(c.fcntl(fd, 1033, seals));

/** Which of `events` (poll.h) hold for `fd` now, with POLLERR and POLLHUP. */
export function pollNow(fd: number, events: number): number {
  const entry = new DataView(new ArrayBuffer(8));
  entry.setInt32(0, fd, true);
  entry.setInt16(4, events, true);
  let got: number;
  // A signal that is pending ends poll(2) even where it does not wait.
  do got = result(c.poll(new Uint8Array(entry.buffer), 1, 0)); while (
    got === -ERRNO.EINTR
  );
  return got < 0 ? got : entry.getInt16(6, true);
}

/**
 * poll(2) of as many `struct pollfd` as there are, without a limit of time, on
 * another thread.
 *
 * @returns false when it cannot; a signal ends it with nothing having happened
 */
export async function pollMany(
  entries: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const count = entries.length / 8;
  const got = await c.pollAsync(entries, count, -1);
  // SAFETY: `entries` is used after the call, and so is there until then.
  // The errno is the other thread's: without waiting it comes here.
  return got >= 0 || result(c.poll(entries, count, 0)) >= 0;
}

/** eventfd(2) that does not wait; a negative errno when there is none. */
export const makeEventFd = (): number =>
  result(c.eventfd(0, O.nonBlock | O.closeOnExec));

/** Adds one to an eventfd. */
export const signalEventFd = (fd: number): number =>
  result(c.write(fd, new Uint8Array(new BigUint64Array([1n]).buffer), 8));

/** Takes what an eventfd holds. */
export const readEventFd = (fd: number): number =>
  result(c.read(fd, new Uint8Array(8), 8));

/** open(2) of a host path, for the VMM's own use. */
export const open = (path: string, flags: number, mode = 0): number =>
  result(c.open(pathBytes(path), flags, mode));

/** memfd_create(2): a file without a name, in memory, that can be sealed. */
export const memfdCreate = (name: string): number =>
  result(c.memfd_create(pathBytes(name), 3));
