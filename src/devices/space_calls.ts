/**
 * The host's system calls on the space that files take, on file systems, and on
 * extended attributes. Results are as the kernel gives them: zero or more, or a
 * negative errno.
 *
 * @module
 */

import { ERRNO, errno } from "../kvm/mod.ts";
import { pathBytes } from "./path_bytes.ts";

/** libc, as these need it; the C prototype's types above each symbol. */
const SYMBOLS = {
  // int fd, int mode, off_t offset, off_t length
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  // int in, off_t *inOffset, int out, off_t *outOffset, size_t, unsigned flags
  copy_file_range: {
    parameters: ["i32", "buffer", "i32", "buffer", "usize", "u32"],
    result: "i64",
  },
  // int fd, struct statfs *
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
  // int fd, off_t offset, off_t bytes, unsigned flags
  sync_file_range: { parameters: ["i32", "i64", "i64", "u32"], result: "i32" },
  syncfs: { parameters: ["i32"], result: "i32" },
  // const char *path, const char *name, void *, size_t
  getxattr: {
    parameters: ["buffer", "buffer", "buffer", "usize"],
    result: "i64",
  },
  lgetxattr: {
    parameters: ["buffer", "buffer", "buffer", "usize"],
    result: "i64",
  },
  // const char *path, const char *name, const void *, size_t, int flags
  setxattr: {
    parameters: ["buffer", "buffer", "buffer", "usize", "i32"],
    result: "i32",
  },
  lsetxattr: {
    parameters: ["buffer", "buffer", "buffer", "usize", "i32"],
    result: "i32",
  },
  // const char *path, char *list, size_t
  listxattr: { parameters: ["buffer", "buffer", "usize"], result: "i64" },
  llistxattr: { parameters: ["buffer", "buffer", "usize"], result: "i64" },
  // const char *path, const char *name
  removexattr: { parameters: ["buffer", "buffer"], result: "i32" },
  lremovexattr: { parameters: ["buffer", "buffer"], result: "i32" },
  // int fd, const char *path, mode_t, dev_t
  mknodat: { parameters: ["i32", "buffer", "u32", "u64"], result: "i32" },
  // const char *name, unsigned flags
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const c = Deno.dlopen("libc.so.6", SYMBOLS).symbols;

const result = (value: number | bigint): number =>
  Number(value) === -1 ? -errno() : Number(value);

// SAFETY, for all below: paths and names end with zero; buffers are filled no
// further than the length that the kernel is told, which is theirs.

/** How often a call is made again that a signal of the VMM's own has ended. */
const MOST_TRIES = 100;

/**
 * fallocate(2). Where files are in memory, any signal ends it with nothing done:
 * those that get a vCPU out of its program are none of the program's.
 */
export function fallocate(
  fd: number,
  mode: number,
  offset: number,
  lengthBytes: number,
): number {
  const [start, bytes] = [BigInt(offset), BigInt(lengthBytes)];
  let got: number;
  let tries = 0;
  do got = result(c.fallocate(fd, mode, start, bytes)); while (
    got === -ERRNO.EINTR && ++tries < MOST_TRIES
  );
  return got;
}

/**
 * copy_file_range(2).
 *
 * @param inOffset where to read; null: at the file's offset, which moves
 */
export const copyFileRange = (
  inFd: number,
  inOffset: number | null,
  outFd: number,
  outOffset: number | null,
  lengthBytes: number,
): number => {
  const offset = (value: number | null) =>
    value === null ? null : new BigInt64Array([BigInt(value)]);
  return result(c.copy_file_range(
    inFd,
    offset(inOffset),
    outFd,
    offset(outOffset),
    BigInt(lengthBytes),
    0,
  ));
};

/** fstatfs(2) into a `struct statfs` of 120 bytes. */
export const fstatfs = (
  fd: number,
  statfs: Uint8Array<ArrayBuffer>,
): number => result(c.fstatfs(fd, statfs));

/** sync_file_range(2). */
export const syncFileRange = (
  fd: number,
  offset: number,
  lengthBytes: number,
  flags: number,
): number =>
  result(c.sync_file_range(fd, BigInt(offset), BigInt(lengthBytes), flags));

/** syncfs(2). */
export const syncfs = (fd: number): number => result(c.syncfs(fd));

/** getxattr(2), or lgetxattr(2). */
export const getxattr = (
  path: string,
  name: string,
  value: Uint8Array<ArrayBuffer>,
  follow: boolean,
): number =>
  result((follow ? c.getxattr : c.lgetxattr)(
    pathBytes(path),
    pathBytes(name),
    value,
    BigInt(value.length),
  ));

/** setxattr(2), or lsetxattr(2). */
export const setxattr = (
  path: string,
  name: string,
  value: Uint8Array<ArrayBuffer>,
  flags: number,
  follow: boolean,
): number =>
  result((follow ? c.setxattr : c.lsetxattr)(
    pathBytes(path),
    pathBytes(name),
    value,
    BigInt(value.length),
    flags,
  ));

/** listxattr(2), or llistxattr(2). */
export const listxattr = (
  path: string,
  list: Uint8Array<ArrayBuffer>,
  follow: boolean,
): number =>
  result((follow ? c.listxattr : c.llistxattr)(
    pathBytes(path),
    list,
    BigInt(list.length),
  ));

/** removexattr(2), or lremovexattr(2). */
export const removexattr = (
  path: string,
  name: string,
  follow: boolean,
): number =>
  result((follow ? c.removexattr : c.lremovexattr)(
    pathBytes(path),
    pathBytes(name),
  ));

/** mknodat(2) of a pipe or a file: no device. */
export const mknodat = (fd: number, name: string, mode: number): number =>
  result(c.mknodat(fd, pathBytes(name), mode, 0n));

/** memfd_create(2): a name of a character a byte. */
export const memfdWithFlags = (name: string, flags: number): number =>
  result(c.memfd_create(pathBytes(name), flags));
