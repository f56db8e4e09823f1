/**
 * Which of the host's files a program may reach.
 *
 * Every path is resolved by the kernel below a folder the user allowed
 * (openat2(2) with RESOLVE_BENEATH), so that neither `..` nor a symbolic link,
 * one swapped meanwhile included, leads outside.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { close, fileSystemType, fstat, open, openat2 } from "./host_calls.ts";
import { O, S_IF } from "./host_constants.ts";
import { pathOf } from "./path_bytes.ts";

/** What a program wants to do. */
export interface Access {
  /** Read a file, list a folder. */
  readonly read?: boolean;
  /** Create, write, rename or remove. */
  readonly write?: boolean;
}

/** What a user allows, as paths of the host. */
export interface Allowed {
  /** Folders or files that may be read. */
  readonly read: readonly string[];
  /** Folders or files that may be created, written, renamed and removed. */
  readonly write: readonly string[];
}

/** From linux/openat2.h. */
const RESOLVE = { noMagicLinks: 2, beneath: 8 } as const;

/** The file system whose files are windows into processes (linux/magic.h). */
const PROC_SUPER_MAGIC = 0x9fa0;

/** How many descriptors of this process are left for the VMM. */
const RESERVED_FDS = 64;

/** From which number on the program gets no descriptor of the host's. */
const HIGHEST_FD = maxOpenFiles() - RESERVED_FDS;

/** The limit on this process's descriptors (proc(5), /proc/PID/limits). */
function maxOpenFiles(): number {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? Infinity : Number(soft);
}

/** An allowed folder, held open. */
interface Root {
  readonly components: readonly string[];
  readonly access: Access;
  fd: number;
  /** When a single file is allowed: its name in the folder. */
  readonly only?: string;
}

/** Where a path leads: below an open folder. */
interface Below {
  readonly fd: number;
  readonly path: string;
  readonly resolve: number;
}

/** The folders that a program may use, and how its paths lead there. */
export class HostPaths {
  readonly #roots: Root[] = [];
  /** What the user allowed. */
  readonly allowed: Allowed;

  /**
   * Opens the allowed folders.
   *
   * @throws {Deno.errors.NotFound} naming an allowed path that does not exist
   */
  constructor(allowed: Allowed) {
    this.allowed = allowed;
    try {
      for (const path of allowed.read) this.#allow(path, { read: true });
      for (const path of allowed.write) this.#allow(path, { write: true });
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  #allow(path: string, access: Access): void {
    const real = Deno.realPathSync(path);
    const isFolder = Deno.statSync(real).isDirectory;
    const components = split(pathOf(real));
    const only = isFolder ? undefined : components.at(-1);
    const folder = isFolder
      ? pathOf(real)
      : `/${components.slice(0, -1).join("/")}`;
    const fd = open(folder, O.path | O.directory | O.closeOnExec);
    if (fd < 0) throw new Deno.errors.NotFound(`Cannot open ${path}`);
    this.#roots.push({ components, access, fd, only });
  }

  /** Where `path` leads when `access` is wanted; -EACCES where it may not. */
  #below(cwd: string, path: string, access: Access): Below | number {
    let found: Below | number = -ERRNO.EACCES;
    const components = split(path.startsWith("/") ? path : `${cwd}/${path}`);
    // A folder was meant, if the path ends so.
    const slash = /(^|\/)\.?$|\/$/.test(path) ? "/" : "";
    for (const root of this.#roots) {
      if (access.read && !root.access.read && !this.#grants(root, "read")) {
        continue;
      }
      if (access.write && !root.access.write && !this.#grants(root, "write")) {
        continue;
      }
      if (!access.read && !access.write && !root.access.read) continue;
      const rest = below(components, root.components);
      if (rest === undefined) continue;
      if (root.only !== undefined && rest.length > 0) continue;
      const resolve = root.components.length === 0
        ? RESOLVE.noMagicLinks
        : RESOLVE.noMagicLinks | RESOLVE.beneath;
      const relative = root.only ?? (rest.join("/") || ".");
      found = { fd: root.fd, path: relative + slash, resolve };
      break;
    }
    return found;
  }

  /** Whether some other entry grants `what` on all that `root` holds. */
  #grants(root: Root, what: "read" | "write"): boolean {
    return this.#roots.some((other) =>
      other.access[what] && below(root.components, other.components)
    );
  }

  /**
   * Opens a file for the program.
   *
   * @param cwd the program's folder
   * @param path a character a byte
   * @param flags O_* flags
   * @param mode permissions of a file that is created, without the umask
   * @returns the host's descriptor, or a negative errno
   */
  open(
    cwd: string,
    path: string,
    flags: number,
    mode: number,
    access: Access,
  ): number {
    if (path === "") return -ERRNO.ENOENT;
    const where = this.#below(cwd, path, access);
    if (typeof where === "number") return where;
    const creates = (flags & (O.create | O.temporary & ~O.directory)) !== 0;
    // openat2 refuses what open ignores. A fifo must not make the VMM wait; on
    // a file O_NONBLOCK does nothing.
    const hostFlags = flags & O.path
      ? flags & (O.path | O.directory | O.noFollow) | O.closeOnExec
      : flags | O.closeOnExec | O.noControllingTerminal | O.nonBlock;
    const fd = withoutUmask(creates, () =>
      openat2(
        where.fd,
        where.path,
        hostFlags,
        creates ? mode & 0o7777 : 0,
        where.resolve,
      ));
    if (fd === -ERRNO.EXDEV) return -ERRNO.EACCES;
    if (fd < 0) return fd;
    if (fd >= HIGHEST_FD) {
      // The VMM needs some itself, to save the VM for example.
      close(fd);
      return -ERRNO.EMFILE;
    }
    if (fileSystemType(fd) === PROC_SUPER_MAGIC) {
      close(fd);
      return -ERRNO.EACCES;
    }
    return fd;
  }

  /**
   * Opens the folder that holds `path`, for calls that make, remove or rename
   * an entry, or look at it without following it.
   *
   * @returns the folder's descriptor, to be closed, and the entry's name
   */
  openParent(
    cwd: string,
    path: string,
    access: Access,
  ): { fd: number; name: string } | number {
    if (path === "") return -ERRNO.ENOENT;
    const trimmed = path.replace(/\/+$/, "");
    const slash = trimmed.lastIndexOf("/");
    const name = trimmed.slice(slash + 1);
    if (name === "" || name === "." || name === "..") {
      // The entry is a folder by itself: no name to give.
      const fd = this.open(cwd, path, O.path | O.directory, 0, access);
      return fd < 0 ? fd : { fd, name: "." };
    }
    const folder = slash < 0 ? "." : trimmed.slice(0, slash + 1);
    // What is asked of the entry is asked of the folder that holds it; an
    // entry that is allowed by itself is found through its folder too.
    const where = this.#below(cwd, path, access);
    if (typeof where === "number") return where;
    if (where.path === "." || where.path === "./") {
      // An allowed folder itself: the one that holds it is not the program's.
      const fd = this.open(cwd, path, O.path | O.directory, 0, access);
      return fd < 0 ? fd : { fd, name: "." };
    }
    const fd = where.path === `${name}` || !where.path.includes("/")
      ? openat2(
        where.fd,
        ".",
        O.path | O.directory | O.closeOnExec,
        0,
        where.resolve,
      )
      : this.open(cwd, folder, O.path | O.directory, 0, access);
    if (fd < 0) return fd;
    const suffix = path.length > trimmed.length ? "/" : "";
    return { fd, name: name + suffix };
  }

  /** Whether the program's own folder is there: 0 or -ENOENT. */
  exists(cwd: string): number {
    const fd = open(cwd, O.path | O.closeOnExec);
    if (fd === -ERRNO.ENOENT) return fd;
    if (fd >= 0) close(fd);
    return 0;
  }

  /** The host's path of an open descriptor, as text; undefined if it has none. */
  static pathOfFd(fd: number): string | undefined {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return undefined;
    }
  }

  /** Whether the descriptor is of a regular file or a folder. */
  static isFileOrFolder(fd: number): boolean {
    const stat = new Uint8Array(144);
    if (fstat(fd, stat) < 0) return false;
    const mode = new DataView(stat.buffer).getUint32(24, true);
    const type = mode & S_IF.mask;
    return type === S_IF.regular || type === S_IF.directory;
  }

  /** Closes the allowed folders. */
  [Symbol.dispose](): void {
    for (const root of this.#roots) {
      if (root.fd >= 0) close(root.fd);
      root.fd = -1;
    }
  }
}

/**
 * Runs `call`, which may create a file, with the permissions that the program's
 * own umask gave, whatever this process's is.
 */
export function withoutUmask<T>(creates: boolean, call: () => T): T {
  if (!creates) return call();
  const umask = Deno.umask(0);
  try {
    return call();
  } finally {
    Deno.umask(umask);
  }
}

/** The names in a path; empty ones and "." left out. */
function split(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/**
 * What remains of `components` below `root`; undefined when it is not below.
 * Leading names are taken lexically (the program's folder has no links in it);
 * those below the root are left for the kernel.
 */
function below(
  components: readonly string[],
  root: readonly string[],
): string[] | undefined {
  const at: string[] = [];
  let rest: string[] | undefined = root.length === 0
    ? [...components]
    : undefined;
  components.forEach((name, i) => {
    if (name === "..") at.pop();
    else at.push(name);
    if (root.length === 0) return;
    if (at.length < root.length) rest = undefined;
    else if (at.length === root.length && at.every((n, k) => n === root[k])) {
      rest ??= components.slice(i + 1);
    }
  });
  return rest;
}
