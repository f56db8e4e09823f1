/**
 * System calls on extended attributes.
 *
 * @module
 */

import {
  type Access,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  getxattr,
  HostFile,
  listxattr,
  O,
  type OpenFile,
  removexattr,
  setxattr,
  SOCKET_KIND,
  SocketEnd,
  VirtualFile,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { PartlyTable, SyscallHandler, SyscallTable } from "./mod.ts";
import {
  following,
  followsLast,
  naming,
  READ,
  userPath,
  WRITE,
} from "./paths.ts";

/** Longest name with its zero, and largest value (linux/limits.h). */
const NAME_BYTES = 256;
const VALUE_BYTES = 65536;

/** The two flags of setxattr(2). */
const FLAGS = 3;

/** What a socket has: the name of its protocol (net/socket.c). */
const PROTOCOL_NAME = "system.sockprotoname";

/** How a file is named: by path, by path without following, by descriptor. */
type Way = "path" | "link" | "descriptor";

/** A call on the host's path of the file, or on an open file without one. */
type Act = (path: string | OpenFile, follow: boolean) => number;

function onFile(
  linux: Linux,
  way: Way,
  argument: { int: number; va: number },
  access: Access,
  act: Act,
): number {
  const own = (fd: number) => `/proc/self/fd/${fd}`;
  if (way === "descriptor") {
    const file = linux.fds.file(argument.int);
    if (!file || file.flags & O.path) return -ERRNO.EBADF;
    if (!(file instanceof HostFile)) return act(file, true);
    if (!access.write || file.isWritable) return act(own(file.hostFd), true);
    const path = linux.paths.nameOf(file.hostFd);
    if (path === undefined) return -ERRNO.ENOENT;
    const where = { cwd: "/", path };
    return following(linux, where, access, (fd) => act(own(fd), true));
  }
  const where = userPath(linux, AT_FDCWD, argument.va);
  if (typeof where === "number") return where;
  const flags = way === "link" ? AT_SYMLINK_NOFOLLOW : 0;
  return followsLast(where, flags)
    ? following(linux, where, access, (fd) => act(own(fd), true))
    : naming(
      linux,
      where,
      access,
      (fd, name) => act(`${own(fd)}/${name}`, false),
    );
}

/** The name of an attribute, a character a byte; or an errno. */
function nameAt(linux: Linux, va: number): string | number {
  const bytes = linux.user.readString(va, NAME_BYTES);
  if (bytes === -ERRNO.ENAMETOOLONG) return -ERRNO.ERANGE;
  if (typeof bytes === "number") return bytes;
  return bytes.length === 0 ? -ERRNO.ERANGE : String.fromCharCode(...bytes);
}

/** Who may use a file: no more than chmod(2) can give (linux/xattr.h). */
const ACCESS_LISTS: ReadonlySet<string> = new Set([
  "system.posix_acl_access",
  "system.posix_acl_default",
]);

/**
 * Whether the program may change an attribute: others than these give rights on
 * the host.
 */
function mayChange(name: string): boolean {
  return name.startsWith("user.") || ACCESS_LISTS.has(name);
}

/** What a call answers on an attribute of what is no file of the host's. */
function ofOther(
  { ids }: Linux,
  file: OpenFile,
  name: string,
  changes: boolean,
): number {
  if (file instanceof VirtualFile) return -ERRNO.EOPNOTSUPP;
  // What is neither a file nor a folder has none, and may get none.
  const isRefused = name.startsWith("user.") ||
    ids.uid !== 0 &&
      (name.startsWith("trusted.") || changes && name.startsWith("security."));
  if (!isRefused) return -ERRNO.EOPNOTSUPP;
  return changes ? -ERRNO.EPERM : -ERRNO.ENODATA;
}

/** Has the program given a text of the VMM's own, with its zero. */
function text(value: string): (bytes: Uint8Array) => number {
  const all = new TextEncoder().encode(`${value}\0`);
  return (bytes) => {
    if (bytes.length === 0) return all.length;
    if (bytes.length < all.length) return -ERRNO.ERANGE;
    bytes.set(all);
    return all.length;
  };
}

/** Gives the program what the host gave. */
function give(
  linux: Linux,
  va: number,
  lengthBytes: number,
  ask: (bytes: Uint8Array<ArrayBuffer>) => number,
): number {
  const bytes = new Uint8Array(Math.min(lengthBytes, VALUE_BYTES));
  const length = ask(bytes);
  if (length <= 0 || bytes.length === 0) return length;
  return linux.user.write(va, bytes, length) ? length : -ERRNO.EFAULT;
}

function get(way: Way): SyscallHandler {
  return (linux, args) =>
    onFile(
      linux,
      way,
      { int: args.int(0), va: args.u64(0) },
      READ,
      (path, follow) => {
        const name = nameAt(linux, args.u64(1));
        if (typeof name === "number") return name;
        const [va, length] = [args.u64(2), args.u64(3)];
        if (typeof path === "string") {
          return give(
            linux,
            va,
            length,
            (bytes) => getxattr(path, name, bytes, follow),
          );
        }
        if (!(path instanceof SocketEnd) || name !== PROTOCOL_NAME) {
          return ofOther(linux, path, name, false);
        }
        const protocol = path.kind === SOCKET_KIND.stream
          ? "UNIX-STREAM"
          : "UNIX";
        return give(linux, va, length, text(protocol));
      },
    );
}

function list(way: Way): SyscallHandler {
  return (linux, args) =>
    onFile(
      linux,
      way,
      { int: args.int(0), va: args.u64(0) },
      READ,
      (path, follow) => {
        const [va, length] = [args.u64(1), args.u64(2)];
        if (path instanceof SocketEnd) {
          return give(linux, va, length, text(PROTOCOL_NAME));
        }
        if (typeof path !== "string") return 0;
        return give(
          linux,
          va,
          length,
          (bytes) => listxattr(path, bytes, follow),
        );
      },
    );
}

function set(way: Way): SyscallHandler {
  return (linux, args) =>
    onFile(
      linux,
      way,
      { int: args.int(0), va: args.u64(0) },
      WRITE,
      (path, follow) => {
        const flags = args.int(4);
        if (flags & ~FLAGS) return -ERRNO.EINVAL;
        const name = nameAt(linux, args.u64(1));
        if (typeof name === "number") return name;
        if (args.u64(3) > VALUE_BYTES) return -ERRNO.E2BIG;
        const value = new Uint8Array(args.u64(3));
        if (!linux.user.read(args.u64(2), value)) return -ERRNO.EFAULT;
        if (typeof path !== "string") return ofOther(linux, path, name, true);
        if (!mayChange(name)) return -ERRNO.EPERM;
        return setxattr(path, name, value, flags, follow);
      },
    );
}

function remove(way: Way): SyscallHandler {
  return (linux, args) =>
    onFile(
      linux,
      way,
      { int: args.int(0), va: args.u64(0) },
      WRITE,
      (path, follow) => {
        const name = nameAt(linux, args.u64(1));
        if (typeof name === "number") return name;
        if (typeof path !== "string") return ofOther(linux, path, name, true);
        if (!mayChange(name)) return -ERRNO.EPERM;
        return removexattr(path, name, follow);
      },
    );
}

/** Calls on extended attributes. */
export const xattrCalls: SyscallTable = {
  getxattr: get("path"),
  lgetxattr: get("link"),
  fgetxattr: get("descriptor"),
  setxattr: set("path"),
  lsetxattr: set("link"),
  fsetxattr: set("descriptor"),
  listxattr: list("path"),
  llistxattr: list("link"),
  flistxattr: list("descriptor"),
  removexattr: remove("path"),
  lremovexattr: remove("link"),
  fremovexattr: remove("descriptor"),
};

/** What they lack. */
export const xattrPartly = {
  setxattr: "attributes other than user.* and access lists (EPERM)",
  lsetxattr: "attributes other than user.* and access lists (EPERM)",
  fsetxattr: "attributes other than user.* and access lists (EPERM)",
  removexattr: "attributes other than user.* and access lists (EPERM)",
  lremovexattr: "attributes other than user.* and access lists (EPERM)",
  fremovexattr: "attributes other than user.* and access lists (EPERM)",
} as const satisfies PartlyTable;
