/**
 * Which of the host's files a program may reach.
 *
 * A path is resolved by the kernel below a folder that the user allowed
 * (openat2(2) with RESOLVE_BENEATH). Where that refuses, as a link may lead from
 * one allowed folder to another, it is followed here name by name, each folder
 * held open. Neither `..` nor a symbolic link, one swapped meanwhile included,
 * leads outside.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { isOfBytes } from "../state/mod.ts";
import { areImagesMapped, isMappedImage } from "../vmm/mod.ts";
import {
  type Access,
  type Allowed,
  AllowedFolders,
  allows,
  type Below,
  fromRoot,
  ONLY,
  OUTSIDE,
  refusal,
} from "./allowed_folders.ts";
import { leadsTo } from "./file_identity.ts";
import { close, fileSystemType, fstat, openat2 } from "./host_calls.ts";
import { O, S_IF } from "./host_constants.ts";
import {
  PathWalk,
  PROC_SUPER_MAGIC,
  split,
  type WalkLimits,
} from "./path_walk.ts";
import { isForVmm } from "./reserved_fds.ts";
import { RESOLVE, RootFolder } from "./root_folder.ts";

/** How often a path is tried again whose last name turns into a link. */
const MAX_RACES = 8;

/** Where the root is, and from where relative paths are. */
export interface HostPathsOptions {
  /** The program's root, which is then this object's; default: the host's. */
  readonly root?: RootFolder;
  /**
   * Where relative paths among the allowed begin, a character a byte; default:
   * this process's folder.
   */
  readonly cwd?: string;
}

/** What opening gives where the kernel cannot decide, or something moved. */
const UNDECIDED: readonly number[] = [
  -ERRNO.EXDEV,
  -ERRNO.EAGAIN,
];

/** Whether opening with O_* flags may change what a file holds. */
function changes(flags: number): boolean {
  const writes = (flags & O.accessMode) !== O.readOnly ||
    (flags & O.truncate) !== 0;
  return writes && (flags & O.path) === 0;
}

/** Whether a VM's memory is mapped from a file: nobody may write it. */
function isImage(fd: number): boolean {
  const stat = new DataView(new ArrayBuffer(144));
  if (fstat(fd, new Uint8Array(stat.buffer)) < 0) return false;
  return isMappedImage(
    stat.getBigUint64(0, true),
    stat.getBigUint64(8, true),
  );
}

/** The host's files, as far as a program may reach them. */
export class HostPaths {
  readonly #folders: AllowedFolders;
  #root: RootFolder | undefined;
  /** What the user allowed. */
  readonly allowed: Allowed;

  /**
   * Opens the allowed folders.
   *
   * @throws {Deno.errors.NotFound} naming an allowed path that does not exist
   */
  constructor(allowed: Allowed, options: HostPathsOptions = {}) {
    this.allowed = allowed;
    this.#root = options.root ?? new RootFolder();
    const cwd = options.cwd ?? this.root.currentFolder();
    try {
      this.#folders = new AllowedFolders(allowed, this.root, cwd);
    } catch (error) {
      this.root[Symbol.dispose]();
      throw error;
    }
  }

  /** The program's root. */
  get root(): RootFolder {
    return this.#root!;
  }

  /**
   * Opens a file for the program.
   *
   * @param cwd the program's folder
   * @param path a character a byte
   * @param flags O_* flags
   * @param mode permissions of a file that is created, without the umask
   * @param resolve RESOLVE_* flags; they only refuse what is allowed otherwise
   * @returns the host's descriptor, or a negative errno: {@linkcode OUTSIDE}
   * where nothing is allowed, -EACCES where something else is, -ETXTBSY of an
   * image that memory is mapped from
   */
  open(
    cwd: string,
    path: string,
    flags: number,
    mode: number,
    access: Access,
    resolve = 0,
  ): number {
    if (path === "" || !isOfBytes(cwd + path)) return -ERRNO.ENOENT;
    const isGuarded = changes(flags) && areImagesMapped();
    if (isGuarded && flags & O.truncate) {
      // Before it is cut off.
      const there = this.open(cwd, path, O.path, 0, access, resolve);
      const isBusy = there >= 0 && isImage(there);
      if (there >= 0) close(there);
      if (isBusy) return -ERRNO.ETXTBSY;
    }
    const creates = (flags & (O.create | O.temporary & ~O.directory)) !== 0;
    // openat2 refuses what open ignores. A fifo must not make the VMM wait; on
    // a file O_NONBLOCK does nothing.
    const hostFlags = flags & O.path
      ? flags & (O.path | O.directory | O.noFollow) | O.closeOnExec
      : flags | O.closeOnExec | O.noControllingTerminal | O.nonBlock;
    const openBelow = (where: Below) =>
      withoutUmask(creates, () =>
        openat2(
          where.fd,
          where.path,
          hostFlags,
          creates ? mode & 0o7777 : 0,
          where.resolve,
        ));
    const where = resolve === 0
      ? this.#folders.below(cwd, path, access)
      : undefined;
    let fd = where ? openBelow(where) : -ERRNO.EXDEV;
    const isLink = fd === -ERRNO.ELOOP && where?.resolve === ONLY;
    if (UNDECIDED.includes(fd) || isLink) {
      const isAbsolute = path.startsWith("/");
      const from = isAbsolute || resolve === 0 ? 0 : split(cwd).length;
      fd = this.#openWalking(
        fromRoot(cwd, path),
        flags,
        access,
        openBelow,
        { resolve, from, isAbsolute },
      );
    }
    if (fd < 0) return fd;
    if (isGuarded && isImage(fd)) {
      close(fd);
      return -ERRNO.ETXTBSY;
    }
    if (isForVmm(fd)) {
      close(fd);
      return -ERRNO.EMFILE;
    }
    if (fileSystemType(fd) === PROC_SUPER_MAGIC) {
      close(fd);
      return -ERRNO.EACCES;
    }
    return fd;
  }

  #openWalking(
    path: string,
    flags: number,
    access: Access,
    openBelow: (where: Below) => number,
    limits: WalkLimits,
  ): number {
    const both = O.create | O.exclusive;
    const follows = (flags & O.noFollow) === 0 && (flags & both) !== both;
    for (let races = 0; races < MAX_RACES; races++) {
      using walk = new PathWalk(this.root.fd);
      const end = walk.to(path, follows, limits);
      if (typeof end === "number") {
        return this.#denied(walk, access, walk.refused) ?? end;
      }
      const { last, steps, names } = walk;
      const resolve = RESOLVE.noSymlinks | limits.resolve & RESOLVE.cached;
      const slash = end.isFolder ? "/" : "";
      if (end.name === undefined) {
        const granted = this.#folders.granted(walk);
        const isAllowed = allows(granted, access);
        const isLook = (flags & O.path) !== 0 &&
          this.#folders.isKnown(names, access);
        if (!isAllowed && !isLook) {
          // What leads to an allowed folder is there, as anyone can tell.
          return this.#folders.isKnown(names, {})
            ? -ERRNO.EACCES
            : refusal(granted);
        }
        // By its name where that is allowed, so that every flag means what it
        // does; an allowed folder's own name is not the program's.
        const parent = steps.at(-2);
        const isOwn = !parent || !isAllowed ||
          !allows(this.#folders.grantsOfParent(walk), access);
        const found = isOwn
          ? openBelow({ fd: last.fd, path: ".", resolve })
          : openBelow({ fd: parent.fd, path: last.name + slash, resolve });
        if (found !== -ERRNO.ELOOP || isOwn) return found;
        continue;
      }
      const granted = this.#folders.grantedOf(walk, end.name);
      if (!allows(granted, access)) return refusal(granted);
      const name = end.name + slash;
      const found = openBelow({
        fd: last.fd,
        path: name,
        resolve: resolve | limits.resolve & RESOLVE.noXdev,
      });
      // A link by now, where there was none? Not followed by the kernel.
      if (found !== -ERRNO.ELOOP || !follows) return found;
    }
    return -ERRNO.ELOOP;
  }

  /**
   * An errno where even what is missing must not be told; else undefined.
   *
   * @param refused the name that the walk's limits refused, if they did: that
   * is told of what may be looked at
   */
  #denied(
    walk: PathWalk,
    access: Access,
    refused?: string,
  ): number | undefined {
    if (refused !== undefined) {
      const names = refused === ".." ? walk.names : [...walk.names, refused];
      const { read, write } = this.#folders.grantedOf(walk, refused);
      return read || write || this.#folders.isKnown(names, {})
        ? undefined
        : OUTSIDE;
    }
    const granted = this.#folders.granted(walk);
    return allows(granted, access) ? undefined : refusal(granted);
  }

  /**
   * Opens the folder that holds `path`, for calls that make, remove or rename
   * an entry, or look at it without following it.
   *
   * @returns the folder's descriptor, to be closed, and the entry's name; or a
   * negative errno, as {@linkcode HostPaths.open} gives it
   */
  openParent(
    cwd: string,
    path: string,
    access: Access,
  ): { fd: number; name: string } | number {
    if (path === "" || !isOfBytes(cwd + path)) return -ERRNO.ENOENT;
    const trimmed = path.replace(/\/+$/, "");
    const slash = trimmed.lastIndexOf("/");
    const name = trimmed.slice(slash + 1);
    if (name === "" || name === "." || name === "..") {
      // The entry is a folder by itself: no name to give.
      const fd = this.open(cwd, path, O.path | O.directory, 0, access);
      return fd < 0 ? fd : { fd, name: "." };
    }
    const folder = slash < 0 ? "." : trimmed.slice(0, slash + 1);
    const suffix = path.length > trimmed.length ? "/" : "";
    const where = this.#folders.below(cwd, path, access);
    if (
      where && where.resolve !== ONLY && where.path.replace("/", "") !== "."
    ) {
      const below = where.path.replace(/\/+$/, "");
      const cut = below.lastIndexOf("/");
      const fd = openat2(
        where.fd,
        cut < 0 ? "." : below.slice(0, cut),
        O.path | O.directory | O.closeOnExec,
        0,
        where.resolve,
      );
      if (fd >= 0) return this.#heldFolder(fd, name + suffix);
      if (!UNDECIDED.includes(fd)) return fd;
    }
    using walk = new PathWalk(this.root.fd);
    const end = walk.to(`${fromRoot(cwd, folder)}/.`, true);
    if (typeof end === "number") return this.#denied(walk, access) ?? end;
    if (end.name !== undefined) {
      // The folder is not there.
      return this.#denied(walk, access) ?? -ERRNO.ENOENT;
    }
    const isAllowed = allows(this.#folders.grantedOf(walk, name), access) ||
      this.#folders.isKnown([...walk.names, name], access);
    if (!isAllowed) {
      // An allowed folder itself: the one that holds it is not the program's.
      const fd = this.open(cwd, path, O.path | O.directory, 0, access);
      return fd < 0 ? fd : { fd, name: "." };
    }
    const flags = O.path | O.directory | O.closeOnExec;
    const fd = openat2(walk.last.fd, ".", flags, 0, RESOLVE.noSymlinks);
    return fd < 0 ? fd : this.#heldFolder(fd, name + suffix);
  }

  #heldFolder(fd: number, name: string): { fd: number; name: string } | number {
    if (fileSystemType(fd) !== PROC_SUPER_MAGIC) return { fd, name };
    close(fd);
    return -ERRNO.EACCES;
  }

  /**
   * Whether the program's own folder is there: 0 or -ENOENT. Of one that it may
   * not reach, an image may say so, nothing is told.
   */
  exists(cwd: string): number {
    const fd = this.open("/", cwd, O.path, 0, {});
    if (fd === -ERRNO.ENOENT) return fd;
    if (fd >= 0) close(fd);
    return 0;
  }

  /** The program's path of an open descriptor, a character a byte. */
  nameOf(fd: number): string | undefined {
    return this.root.nameOf(fd);
  }

  /**
   * The program's path of an open descriptor, as long as it leads there:
   * `undefined` of what was removed.
   */
  placeOf(fd: number): string | undefined {
    const name = this.root.nameOf(fd);
    if (!name?.endsWith(" (deleted)")) return name;
    // What is removed has no such name; how many it has says nothing: on an
    // overlay, those below count.
    const stat = new DataView(new ArrayBuffer(144));
    if (fstat(fd, new Uint8Array(stat.buffer)) < 0) return undefined;
    const device = `${stat.getBigUint64(0, true)}`;
    const inode = `${stat.getBigUint64(8, true)}`;
    const path = this.root.hostPath(name);
    return leadsTo(path, { device, inode }) === true ? name : undefined;
  }

  /** Whether the descriptor is of a regular file or a folder. */
  static isFileOrFolder(fd: number): boolean {
    const stat = new Uint8Array(144);
    if (fstat(fd, stat) < 0) return false;
    const mode = new DataView(stat.buffer).getUint32(24, true);
    const type = mode & S_IF.mask;
    return type === S_IF.regular || type === S_IF.directory;
  }

  /** Closes the allowed folders, and the root. */
  [Symbol.dispose](): void {
    this.#folders[Symbol.dispose]();
    this.#root?.[Symbol.dispose]();
    this.#root = undefined;
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
