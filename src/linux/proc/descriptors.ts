/**
 * /proc/PID/fd and fdinfo: the program's descriptors.
 *
 * @module
 */

import {
  DeviceFile,
  HostFile,
  isTerminal,
  O,
  type OpenFile,
  pathOf,
  PipeEnd,
  PluginFile,
  S_IF,
  SocketEnd,
  TERMINAL_NAME,
  VirtualFile,
} from "../../devices/mod.ts";
import type { Linux } from "../linux.ts";
import { type FolderNode, text, type VirtualNode } from "./node.ts";

/** From where lseek(2) counts: the file's offset. */
const SEEK_CUR = 1;

/** What a link of /proc/PID/fd shows, a character a byte. */
function shown(linux: Linux, file: OpenFile): string {
  if (file instanceof PipeEnd) return `pipe:[${file.pipe.inode}]`;
  if (file instanceof VirtualFile) return file.path;
  if (file instanceof DeviceFile) return file.path;
  if (file instanceof PluginFile) return pathOf(file.path);
  if (file.type === "host" && file.hostFd !== undefined) {
    return linux.paths.nameOf(file.hostFd) ?? "/";
  }
  if (file.type === "console") return consoleName(file);
  if (file instanceof SocketEnd) return `socket:[${file.inode}]`;
  if (file.type === "inotify") return "anon_inode:inotify";
  return file.type === "epoll"
    ? "anon_inode:[eventpoll]"
    : `anon_inode:[${file.type}]`;
}

/** What a standard stream is called: a file of the VMM's is nobody's to find. */
function consoleName(file: OpenFile): string {
  if (isTerminal(file)) return TERMINAL_NAME;
  const stat = new DataView(new ArrayBuffer(144));
  file.stat(new Uint8Array(stat.buffer));
  const inode = stat.getBigUint64(8, true);
  switch (stat.getUint32(24, true) & S_IF.mask) {
    case S_IF.fifo:
      return `pipe:[${inode}]`;
    case S_IF.socket:
      return `socket:[${inode}]`;
    default:
      return "/dev/console";
  }
}

/** The number that a name of a descriptor is; -1 when it is none. */
function numberOf(name: string): number {
  return /^(0|[1-9]\d{0,9})$/.test(name) ? Number(name) : -1;
}

function names(linux: Linux): string[] {
  return [...linux.fds.entries()].map(([fd]) => `${fd}`);
}

/** /proc/PID/fd. */
export const descriptorFolder: FolderNode = {
  kind: "folder",
  names,
  find(linux, name): VirtualNode | undefined {
    const fd = numberOf(name);
    if (!linux.fds.file(fd)) return undefined;
    return {
      kind: "link",
      target: () => {
        const file = linux.fds.file(fd);
        return file && shown(linux, file);
      },
      file: () => linux.fds.file(fd),
      isMagic: true,
    };
  },
};

/** Where the offset of a file is; 0 where it has none. */
function offsetOf(file: OpenFile): number | bigint {
  const offset = file instanceof HostFile && file.isFolder
    ? file.seekFolder(0n, SEEK_CUR)
    : file.seek(0, SEEK_CUR);
  return offset < 0 ? 0 : offset;
}

/** /proc/PID/fdinfo. */
export const descriptorInfoFolder: FolderNode = {
  kind: "folder",
  names,
  find(linux, name): VirtualNode | undefined {
    const fd = numberOf(name);
    if (!linux.fds.file(fd)) return undefined;
    return text(() => {
      const descriptor = linux.fds.get(fd);
      if (!descriptor) return "";
      const { file, closeOnExec } = descriptor;
      const flags = file.flags | (closeOnExec ? O.closeOnExec : 0);
      const offset = file.flags & O.path ? 0 : offsetOf(file);
      return `pos:\t${offset}\nflags:\t0${
        flags.toString(8)
      }\nmnt_id:\t1\nino:\t0\n`;
    }, 0o400);
  },
};
