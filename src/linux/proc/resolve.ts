/**
 * Which paths lead to what the VM answers for itself.
 *
 * @module
 */

import { type OpenFile, RESOLVE } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { mayFollow, mountOf } from "./limits.ts";
import type { VirtualNode } from "./node.ts";
import { VIRTUAL_FOLDERS } from "./tree.ts";

/** How many links a path may lead through (namei.c's MAXSYMLINKS). */
const MAX_LINKS = 40;

/** Where a path leads that is not, or not only, the host's. */
export type Virtual =
  /** To something of the VM's own. */
  | { readonly kind: "node"; readonly path: string; readonly node: VirtualNode }
  /** To a file that is open. */
  | { readonly kind: "file"; readonly file: OpenFile }
  /** Through a link, to a path of the host's. */
  | { readonly kind: "host"; readonly path: string };

/** A name on the way; without a node where it is the host's. */
interface Step {
  readonly name: string;
  readonly node?: VirtualNode;
}

function split(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** Whether a path may lead to what is the VM's own, at a glance. */
function mayBeVirtual({ cwd, path }: { cwd: string; path: string }): boolean {
  const from = path.startsWith("/") ? path : cwd;
  return /^\/+(dev|proc|sys)(\/|$)/.test(from) || path.includes("..") ||
    (from !== path && cwd === "/") || /^\/+\.*\//.test(path);
}

/**
 * Follows a path of the program's as far as it is the VM's own.
 *
 * @param where the path, and where a relative one begins
 * @param follow whether the last name is followed when it is a link
 * @param resolve RESOLVE_* flags of openat2(2)
 * @returns where it leads; `undefined` where the host alone is asked; or a
 * negative errno
 */
export function resolveVirtual(
  linux: Linux,
  where: { readonly cwd: string; readonly path: string },
  follow: boolean,
  resolve = 0,
): Virtual | number | undefined {
  const { cwd, path } = where;
  if (path === "" || !mayBeVirtual(where)) return undefined;
  const wantsFolder = path.endsWith("/") || /(^|\/)\.$/.test(path);
  const isWhole = path.startsWith("/") || resolve === 0;
  const begin = isWhole ? [] : split(cwd);
  const isScoped = (resolve & (RESOLVE.beneath | RESOLVE.inRoot)) !== 0;
  // Where "/" and ".." stop: at the root, or where the path begins.
  const floor = isScoped ? begin.length : 0;
  let steps: Step[] = [];
  for (const name of begin) {
    const step = next(linux, steps.at(-1), name);
    if (typeof step === "number") return step;
    steps.push(step);
  }
  // From below a folder of the host's no name leads to the VM's own.
  if (floor > 0 && !steps.at(-1)!.node) return undefined;
  const mount = () => mountOf(steps.map(({ name }) => name));
  const isKept = (resolve & RESOLVE.noXdev) !== 0;
  const rest = split(
    isWhole && !path.startsWith("/") ? `${cwd}/${path}` : path,
  );
  let wasOnHost = false;
  let links = 0;
  while (rest.length > 0) {
    const name = rest.shift()!;
    const from = mount();
    if (name === "..") {
      if (steps.length > floor) steps.pop();
      else if (resolve & RESOLVE.beneath) {
        // A name of the host's may have been a link: the host is asked.
        return wasOnHost ? undefined : -ERRNO.EXDEV;
      }
      if (isKept && mount() !== from) return -ERRNO.EXDEV;
      continue;
    }
    const step = next(linux, steps.at(-1), name);
    if (typeof step === "number") return step;
    const { node } = step;
    wasOnHost ||= !node;
    const isLast = rest.length === 0;
    if (node?.kind !== "link" || (isLast && !follow && !wantsFolder)) {
      steps.push(step);
      if (isKept && mount() !== from) return -ERRNO.EXDEV;
      continue;
    }
    if (++links > MAX_LINKS) return -ERRNO.ELOOP;
    const refused = mayFollow(linux, node, resolve, from);
    if (refused < 0) return refused;
    if (node.isOfFile && (!isLast || wantsFolder)) return -ERRNO.ENOTDIR;
    const file = node.file?.(linux);
    if (file && isLast) {
      const fits = !wantsFolder || file.isFolder;
      return fits ? { kind: "file", file } : -ERRNO.ENOTDIR;
    }
    const target = targetOf(linux, node, file);
    if (target === undefined) {
      const isFile = file && !file.isFolder;
      return isFile ? -ERRNO.ENOTDIR : -ERRNO.ENOENT;
    }
    rest.unshift(...split(target));
    if (target.startsWith("/")) steps = steps.slice(0, floor);
  }
  const shown = `/${steps.map(({ name }) => name).join("/")}`;
  const node = steps.at(-1)?.node;
  if (node) {
    if (wantsFolder && node.kind !== "folder") return -ERRNO.ENOTDIR;
    return { kind: "node", path: shown, node };
  }
  if (links === 0) return undefined;
  return { kind: "host", path: wantsFolder ? `${shown}/` : shown };
}

/** What a name is in the folder that was reached. */
function next(
  linux: Linux,
  at: Step | undefined,
  name: string,
): Step | number {
  if (!at) {
    const isOwn = Object.hasOwn(VIRTUAL_FOLDERS, name);
    return isOwn ? { name, node: VIRTUAL_FOLDERS[name] } : { name };
  }
  const { node } = at;
  if (!node) return { name };
  if (node.kind !== "folder") return -ERRNO.ENOTDIR;
  const found = node.find(linux, name);
  if (found) return { name, node: found };
  return node.isOpen ? { name } : -ERRNO.ENOENT;
}

/** The path by which a link goes on; that of an open folder, if it is one. */
function targetOf(
  linux: Linux,
  node: VirtualNode & { kind: "link" },
  file: OpenFile | undefined,
): string | undefined {
  if (!file) return node.target(linux);
  if (file.type === "host" && file.hostFd !== undefined) {
    return linux.paths.placeOf(file.hostFd);
  }
  return file.type === "virtual" ? node.target(linux) : undefined;
}
