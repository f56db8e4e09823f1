/**
 * The host's system calls on watches of files (inotify(7)). Results are as the
 * kernel gives them: zero or more, or a negative errno.
 *
 * @module
 */

import { errno } from "../kvm/mod.ts";
import { pathBytes } from "./path_bytes.ts";

/** libc, as these need it; the C prototype's types above each symbol. */
const SYMBOLS = {
  // int flags
  inotify_init1: { parameters: ["i32"], result: "i32" },
  // int fd, const char *path, uint32_t mask
  inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int fd, int wd
  inotify_rm_watch: { parameters: ["i32", "i32"], result: "i32" },
  // int fd, void *, size_t
  read: { parameters: ["i32", "buffer", "usize"], result: "i64" },
} as const satisfies Deno.ForeignLibraryInterface;

const c = Deno.dlopen("libc.so.6", SYMBOLS).symbols;

const result = (value: number | bigint): number =>
  Number(value) === -1 ? -errno() : Number(value);

/** IN_NONBLOCK and IN_CLOEXEC. */
const FLAGS = 0o2004000;

// SAFETY, for all below: the kernel reads paths, which end with zero, and fills
// buffers no further than the length it is told.

/** inotify_init1(2): one that does not wait. */
export const inotifyInit = (): number => result(c.inotify_init1(FLAGS));

/** inotify_add_watch(2) of what a descriptor of the host's stands for. */
export const inotifyAdd = (fd: number, of: number, mask: number): number =>
  result(c.inotify_add_watch(fd, pathBytes(`/proc/self/fd/${of}`), mask));

/** inotify_rm_watch(2). */
export const inotifyRemove = (fd: number, watch: number): number =>
  result(c.inotify_rm_watch(fd, watch));

/** read(2) of events. */
export const inotifyRead = (
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
): number => result(c.read(fd, bytes, BigInt(bytes.length)));
