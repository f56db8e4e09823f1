/**
 * What a file of /proc, /sys or /dev is that the VM answers for itself.
 *
 * @module
 */

import { type OpenFile, S_IF, TERMINAL_PATH } from "../../devices/mod.ts";
import type { Linux } from "../linux.ts";

/** A file whose text is made when it is opened. */
export interface TextNode {
  readonly kind: "text";
  /** Permissions. */
  readonly mode: number;
  /** What it holds; of text, each character is a byte. */
  readonly content: (linux: Linux) => string | Uint8Array;
}

/** A link. */
export interface LinkNode {
  readonly kind: "link";
  /** Where it leads, a character a byte; `undefined`: it is not there. */
  readonly target: (linux: Linux) => string | undefined;
  /**
   * The open file that it stands for, as the links of /proc/PID/fd do, which are
   * not followed by their text.
   */
  readonly file?: (linux: Linux) => OpenFile | undefined;
  /** Whether it leads there by itself, and not by its text (symlink(7)). */
  readonly isMagic?: true;
  /** Whether what it leads to is never a folder. */
  readonly isOfFile?: true;
}

/** A device, by the path that {@linkcode DeviceFile} knows it by. */
export interface DeviceNode {
  readonly kind: "device";
  /** Its path. */
  readonly path: string;
}

/** The terminal of the program, by one of its names. */
export interface TerminalNode {
  readonly kind: "terminal";
  /** The name. */
  readonly path: string;
}

/** A folder. */
export interface FolderNode {
  readonly kind: "folder";
  /** Whether names that are not in it are looked for on the host. */
  readonly isOpen?: true;
  /** The names that it shows. */
  readonly names: (linux: Linux) => readonly string[];
  /** What has a name; `undefined` when nothing has. */
  readonly find: (linux: Linux, name: string) => VirtualNode | undefined;
}

/** A file that the VM answers for itself. */
export type VirtualNode =
  | TextNode
  | LinkNode
  | DeviceNode
  | TerminalNode
  | FolderNode;

/** A file that everybody may read. */
export function text(
  content: (linux: Linux) => string | Uint8Array,
  mode = 0o444,
): TextNode {
  return { kind: "text", mode, content };
}

/** A file that always holds the same. */
export function fixed(content: string): TextNode {
  return text(() => content);
}

/** A link that always leads to the same. */
export function link(target: string): LinkNode {
  return { kind: "link", target: () => target };
}

/** A folder that always holds the same names. */
export function folder(
  entries: Readonly<Record<string, VirtualNode>>,
  isOpen?: true,
): FolderNode {
  return {
    kind: "folder",
    isOpen,
    names: () => Object.keys(entries),
    find: (_linux, name) =>
      Object.hasOwn(entries, name) ? entries[name] : undefined,
  };
}

/** Type and permissions of a node, as st_mode has them. */
export function modeOf(node: VirtualNode): number {
  switch (node.kind) {
    case "text":
      return S_IF.regular | node.mode;
    case "link":
      return S_IF.link | 0o777;
    case "device":
      return S_IF.character | 0o666;
    case "terminal":
      return S_IF.character | (node.path === TERMINAL_PATH ? 0o666 : 0o620);
    case "folder":
      return S_IF.directory | 0o555;
  }
}
