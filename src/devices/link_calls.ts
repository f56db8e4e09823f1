/**
 * The host's system calls that make links. Results are as the kernel gives
 * them: zero, or a negative errno.
 *
 * @module
 */

import { errno } from "../kvm/mod.ts";
import { AT_FDCWD, AT_SYMLINK_FOLLOW } from "./host_constants.ts";
import { pathBytes } from "./path_bytes.ts";

/** libc, as links need it; the C prototype's types above each symbol. */
const SYMBOLS = {
  // const char *target, int fd, const char *path
  symlinkat: { parameters: ["buffer", "i32", "buffer"], result: "i32" },
  // int fromFd, const char *from, int toFd, const char *to, int flags
  linkat: {
    parameters: ["i32", "buffer", "i32", "buffer", "i32"],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

const c = Deno.dlopen("libc.so.6", SYMBOLS).symbols;

const result = (value: number): number => value === -1 ? -errno() : value;

// SAFETY, for all below: the kernel only reads the paths, which end with zero.

/** symlinkat(2). */
export const symlinkat = (target: string, fd: number, name: string): number =>
  result(c.symlinkat(pathBytes(target), fd, pathBytes(name)));

/** linkat(2): the last name of the old path is not followed. */
export const linkat = (
  fromFd: number,
  from: string,
  toFd: number,
  to: string,
): number => result(c.linkat(fromFd, pathBytes(from), toFd, pathBytes(to), 0));

/** linkat(2) of the file that a descriptor stands for. */
export const linkDescriptor = (
  fd: number,
  toFd: number,
  to: string,
): number => {
  // AT_EMPTY_PATH would need a capability (open(2), O_TMPFILE).
  const from = pathBytes(`/proc/self/fd/${fd}`);
  return result(
    c.linkat(AT_FDCWD, from, toFd, pathBytes(to), AT_SYMLINK_FOLLOW),
  );
};
