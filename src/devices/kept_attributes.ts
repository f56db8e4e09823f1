/**
 * The extended attributes that a file keeps which is replaced: what its users
 * noted, and its access list (xattr(7), acl(5)).
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { getxattr, listxattr, setxattr } from "./space_calls.ts";

/** Longest list of names, and longest value (linux/limits.h). */
const MOST_BYTES = 65536;

/** How much of them is kept together: what inodes of ext4 and btrfs hold. */
const MOST_ALL_BYTES = 1024 * 1024;

/** A name of one, and what it holds. */
export type Attribute = readonly [name: string, value: Uint8Array<ArrayBuffer>];

/** Whether one is kept: what the system has noted is its own affair. */
function isKept(name: string): boolean {
  return name.startsWith("user.") || name === "system.posix_acl_access";
}

/** Those of an open file; a negative errno where they cannot be had. */
export function attributesOf(fd: number): Attribute[] | number {
  const path = `/proc/self/fd/${fd}`;
  const list = new Uint8Array(MOST_BYTES);
  const length = listxattr(path, list, true);
  if (length === -ERRNO.EOPNOTSUPP) return [];
  if (length < 0) return length;
  const names = Array.from(
    list.subarray(0, length),
    (one) => String.fromCharCode(one),
  ).join("").split("\0").filter(isKept);
  const found: Attribute[] = [];
  const value = new Uint8Array(MOST_BYTES);
  let allBytes = 0;
  for (const name of names) {
    const got = getxattr(path, name, value, true);
    if (got === -ERRNO.ENODATA) continue; // gone meanwhile
    if (got < 0) return got;
    allBytes += got;
    if (allBytes > MOST_ALL_BYTES) return -ERRNO.E2BIG;
    found.push([name, value.slice(0, got)]);
  }
  return found;
}

/** Gives an open file attributes; 0 or a negative errno. */
export function setAttributes(
  fd: number,
  attributes: readonly Attribute[],
): number {
  for (const [name, value] of attributes) {
    const result = setxattr(`/proc/self/fd/${fd}`, name, value, 0, true);
    if (result < 0) return result;
  }
  return 0;
}
