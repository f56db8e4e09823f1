/**
 * System calls that give files more names, and make symbolic links.
 *
 * @module
 */

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  HostFile,
  linkat,
  linkDescriptor,
  O,
  symlinkat,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import {
  following,
  followsLast,
  making,
  mayRead,
  naming,
  userPath,
  WRITE,
} from "./paths.ts";

/**
 * The text may lead anywhere, as natively: where it leads is looked at when it
 * is followed, by the rules for every path.
 */
function symlinkAt(
  linux: Linux,
  targetVa: number,
  dirfd: number,
  pathVa: number,
): number {
  const bytes = linux.user.readString(targetVa);
  if (typeof bytes === "number") return bytes;
  if (bytes.length === 0) return -ERRNO.ENOENT;
  const target = String.fromCharCode(...bytes);
  const where = userPath(linux, dirfd, pathVa);
  if (typeof where === "number") return where;
  return making(
    linux,
    where,
    WRITE,
    (fd, name) => symlinkat(target, fd, name),
  );
}

/**
 * The file that a descriptor is to give a name to, if one is. Under a new name it
 * may be read and written: so it must have been opened for both, unless it has
 * no name yet, so that all that is in it is the program's own. That it was opened
 * without one is not enough: an image says so of any file.
 */
function openedSource(
  linux: Linux,
  { from, fromVa }: { from: number; fromVa: number },
  flags: number,
): HostFile | undefined {
  const bytes = linux.user.readString(fromVa);
  if (typeof bytes === "number") return undefined;
  let fd = flags & AT_EMPTY_PATH && bytes.length === 0 ? from : -1;
  const link = /^\/proc\/(?:self|thread-self)\/fd\/(\d{1,9})$/
    .exec(String.fromCharCode(...bytes));
  if (link && flags & AT_SYMLINK_FOLLOW) fd = Number(link[1]);
  const file = linux.fds.file(fd);
  if (!(file instanceof HostFile)) return undefined;
  const isOwn = (file.flags & O.temporary) === O.temporary && file.hasNoName();
  return isOwn || file.isReadable && file.isWritable ? file : undefined;
}

function linkAt(
  linux: Linux,
  args: { from: number; fromVa: number; to: number; toVa: number },
  flags: number,
): number {
  if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) return -ERRNO.EINVAL;
  const own = openedSource(linux, args, flags);
  if (own) {
    const to = userPath(linux, args.to, args.toVa);
    if (typeof to === "number") return to;
    return naming(
      linux,
      to,
      WRITE,
      (toFd, toName) => linkDescriptor(own.hostFd, toFd, toName),
    );
  }
  const from = userPath(linux, args.from, args.fromVa);
  if (typeof from === "number") return from;
  const to = userPath(linux, args.to, args.toVa);
  if (typeof to === "number") {
    // It is only looked at when the file itself is found.
    const isFollowed = (flags & AT_SYMLINK_FOLLOW) !== 0;
    const open = isFollowed ? O.path : O.path | O.noFollow;
    return following(linux, from, WRITE, () => to, open);
  }
  // Under its new name a file may be written, and perhaps read: so it must be
  // under its old one.
  const access = { read: mayRead(linux, to), write: true };
  const follow = flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW;
  const there = (call: (toFd: number, toName: string) => number) =>
    making(linux, to, WRITE, call);
  return followsLast(from, follow)
    ? following(
      linux,
      from,
      access,
      (fd) => there((toFd, toName) => linkDescriptor(fd, toFd, toName)),
    )
    : naming(
      linux,
      from,
      access,
      (fd, name) => there((toFd, toName) => linkat(fd, name, toFd, toName)),
    );
}

/** Calls that make links. */
export const linkCalls: SyscallTable = {
  symlink(linux, args) {
    return symlinkAt(linux, args.u64(0), AT_FDCWD, args.u64(1));
  },
  symlinkat(linux, args) {
    return symlinkAt(linux, args.u64(0), args.int(1), args.u64(2));
  },
  link(linux, args) {
    const paths = { fromVa: args.u64(0), toVa: args.u64(1) };
    return linkAt(linux, { from: AT_FDCWD, to: AT_FDCWD, ...paths }, 0);
  },
  linkat(linux, args) {
    const paths = { fromVa: args.u64(1), toVa: args.u64(3) };
    const at = { from: args.int(0), to: args.int(2), ...paths };
    return linkAt(linux, at, args.int(4));
  },
};

/** What they lack. */
export const linkPartly = {
  linkat: "AT_EMPTY_PATH, but of files that were opened to read and write",
} as const satisfies PartlyTable;
