/**
 * Opening what the VM answers for itself.
 *
 * @module
 */

import {
  DeviceFile,
  folderContent,
  MAX_ALL_VIRTUAL_BYTES,
  MAX_VIRTUAL_BYTES,
  O,
  type OpenFile,
  TerminalName,
  VirtualFile,
  virtualInode,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { modeOf, type VirtualNode } from "./node.ts";

const EMPTY = new Uint8Array();

/** What stat(2) says of the length of a file in /sys. */
const SYS_FILE_BYTES = 4096;

/** What stat(2) shows of a link in /proc/PID/fd. */
const FD_LINK_BYTES = 64;

function sizeOf(path: string, node: VirtualNode): number {
  if (node.kind === "link" && node.file) return FD_LINK_BYTES;
  return node.kind === "text" && path.startsWith("/sys/") ? SYS_FILE_BYTES : 0;
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  const length = Math.min(content.length, MAX_VIRTUAL_BYTES);
  if (typeof content !== "string") return content.slice(0, length);
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = content.charCodeAt(i);
  return bytes;
}

/** Whether there is room for what one more file holds. */
function hasRoom(linux: Linux, { length }: Uint8Array): boolean {
  const held = new Set<Uint8Array>();
  for (const file of linux.fds.files()) {
    if (file instanceof VirtualFile) held.add(file.content);
  }
  let total = length;
  for (const content of held) total += content.length;
  return total <= MAX_ALL_VIRTUAL_BYTES;
}

/** What a folder shows: itself, the one that holds it, and what is in it. */
function entriesOf(
  linux: Linux,
  path: string,
  node: VirtualNode & { kind: "folder" },
): Uint8Array {
  const parent = path.slice(0, path.lastIndexOf("/")) || "/";
  const folder = modeOf(node);
  const entries = [
    { name: ".", mode: folder, inode: virtualInode(path) },
    { name: "..", mode: folder, inode: virtualInode(parent) },
  ];
  for (const name of node.names(linux)) {
    const found = node.find(linux, name);
    if (!found) continue;
    const inode = virtualInode(`${path}/${name}`);
    entries.push({ name, mode: modeOf(found), inode });
  }
  return folderContent(entries);
}

/** A node to look at: what is in it is not made. */
export function looked(path: string, node: VirtualNode): OpenFile {
  if (node.kind === "device") return new DeviceFile(node.path, 0);
  if (node.kind === "terminal") return new TerminalName(node.path);
  const sizeBytes = sizeOf(path, node);
  const mode = modeOf(node);
  return new VirtualFile({ path, mode, content: EMPTY, sizeBytes }, O.path);
}

/**
 * Opens a node.
 *
 * @param status flags that the open file then shows
 * @param flags what open(2) was passed
 * @returns the file, or a negative errno
 */
export function openNode(
  linux: Linux,
  path: string,
  node: VirtualNode,
  flags: number,
  status: number,
): OpenFile | number {
  const both = O.create | O.exclusive;
  if ((flags & both) === both && !(flags & O.path)) return -ERRNO.EEXIST;
  const isFolder = node.kind === "folder";
  if (flags & O.directory && !isFolder) return -ERRNO.ENOTDIR;
  if (flags & O.path) {
    return node.kind === "terminal"
      ? new VirtualFile({ path, mode: modeOf(node), content: EMPTY }, O.path)
      : looked(path, node);
  }
  // A link is here only where it was not to be followed.
  if (node.kind === "link") return -ERRNO.ELOOP;
  if (node.kind === "device") return new DeviceFile(node.path, status);
  if (node.kind === "terminal") return linux.openTerminal(status);
  const writes = (flags & O.accessMode) !== O.readOnly;
  if (isFolder) {
    if (writes || flags & O.create) return -ERRNO.EISDIR;
    const content = entriesOf(linux, path, node);
    if (!hasRoom(linux, content)) return -ERRNO.ENOMEM;
    return new VirtualFile({ path, mode: modeOf(node), content }, status);
  }
  if (writes || flags & O.truncate) return -ERRNO.EACCES;
  const content = bytesOf(node.content(linux));
  if (!hasRoom(linux, content)) return -ERRNO.ENOMEM;
  const sizeBytes = sizeOf(path, node);
  return new VirtualFile(
    { path, mode: modeOf(node), content, sizeBytes },
    status,
  );
}
