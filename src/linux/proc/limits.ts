/**
 * What openat2(2) refuses on the way through what the VM answers for itself:
 * each of /proc, /sys and /dev is a mount of its own.
 *
 * @module
 */

import { DeviceFile, RESOLVE, VirtualFile } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { LinkNode } from "./node.ts";
import { VIRTUAL_FOLDERS } from "./tree.ts";

/** What a path's names are a mount of; empty for the tree of files. */
export function mountOf(names: readonly string[]): string {
  const [first] = names;
  return first !== undefined && Object.hasOwn(VIRTUAL_FOLDERS, first)
    ? first
    : "";
}

/** The mount that a link leads into. */
function targetMount(linux: Linux, node: LinkNode): string | undefined {
  const file = node.file?.(linux);
  const isOfVm = file instanceof VirtualFile || file instanceof DeviceFile;
  if (file && !isOfVm) return file.type === "host" ? "" : undefined;
  const path = file ? file.path : node.target(linux);
  return path === undefined
    ? undefined
    : mountOf(path.split("/").filter((name) => name !== ""));
}

/**
 * Whether a link may be followed.
 *
 * @param resolve RESOLVE_* flags @param mount where the link is
 * @returns 0, or a negative errno
 */
export function mayFollow(
  linux: Linux,
  node: LinkNode,
  resolve: number,
  mount: string,
): number {
  if (resolve & RESOLVE.noSymlinks) return -ERRNO.ELOOP;
  const isScoped = (resolve & (RESOLVE.beneath | RESOLVE.inRoot)) !== 0;
  if (node.isMagic) {
    if (resolve & RESOLVE.noMagicLinks) return -ERRNO.ELOOP;
    const leaves = (resolve & RESOLVE.noXdev) !== 0 &&
      targetMount(linux, node) !== mount;
    return isScoped || leaves ? -ERRNO.EXDEV : 0;
  }
  if (!node.target(linux)?.startsWith("/")) return 0;
  const leaves = resolve & RESOLVE.beneath ||
    (resolve & RESOLVE.noXdev && !isScoped && mount !== "");
  return leaves ? -ERRNO.EXDEV : 0;
}
