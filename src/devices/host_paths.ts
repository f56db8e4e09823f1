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
import { close, fileSystemType, fstat, openat2 } from "./host_calls.ts";
import { O, S_IF } from "./host_constants.ts";
import { pathOf } from "./path_bytes.ts";
import {
  identityOfFolder,
  PathWalk,
  PROC_SUPER_MAGIC,
  split,
  type WalkLimits,
} from "./path_walk.ts";
import { RESOLVE, RootFolder } from "./root_folder.ts";

/**
 * What a program wants to do. Nothing of both: to look at what is there (stat,
 * readlink), which is allowed where reading is, and on the folders that lead
 * there.
 */
export interface Access {
  /** Read a file, list a folder. */
  readonly read?: boolean;
  /** Create, write, rename or remove. */
  readonly write?: boolean;
}

/** What a user allows, as paths in the program's root. */
export interface Allowed {
  /** Folders or files that may be read. */
  readonly read: readonly string[];
  /** Folders or files that may be created, written, renamed and removed. */
  readonly write: readonly string[];
}

/** How often a path is tried again whose last name turns into a link. */
const MAX_RACES = 8;

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
interface Place {
  /** Its names from the root; of a file, with the file's own. */
  readonly components: readonly string[];
  access: Access;
  readonly fd: number;
  /** {@linkcode identityOfFolder} of `fd`. */
  readonly identity: string;
  /** When a single file is allowed: its name in the folder. */
  readonly only?: string;
}

/** A name of an allowed folder: its path, or a link that leads to it. */
interface Name {
  readonly components: readonly string[];
  readonly place: Place;
}

/** Where a path leads: below an open folder. */
interface Below {
  readonly fd: number;
  readonly path: string;
  readonly resolve: number;
}

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

/**
 * What a path gives that leads to no folder or file that is allowed; no errno
 * has this value. Whether there is something is not told.
 */
export const OUTSIDE = -4096;

/** What opening gives where the kernel cannot decide, or something moved. */
const UNDECIDED: readonly number[] = [
  -ERRNO.EXDEV,
  -ERRNO.EAGAIN,
];

/** The folders that a program may use, and how its paths lead there. */
export class HostPaths {
  readonly #places = new Map<string, Place>();
  readonly #names: Name[] = [];
  /** The folders that lead to an allowed one, and links to it. */
  readonly #known = new Set<string>();
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
      for (const path of allowed.read) this.#allow(path, cwd, { read: true });
      for (const path of allowed.write) this.#allow(path, cwd, { write: true });
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    // What an allowed folder grants holds for one inside of it too.
    for (const place of this.#places.values()) {
      for (const other of this.#places.values()) {
        if (other.only === undefined && holds(other, place)) {
          place.access = { ...place.access, ...other.access };
        }
      }
    }
  }

  /** The program's root. */
  get root(): RootFolder {
    return this.#root!;
  }

  #allow(path: string, cwd: string, access: Access): void {
    const given = fromRoot(cwd, pathOf(path));
    const found = this.root.open(given, O.path);
    const real = found < 0 ? undefined : this.root.nameOf(found);
    const stat = new Uint8Array(144);
    const isThere = real !== undefined && fstat(found, stat) >= 0;
    if (found >= 0) close(found);
    if (!isThere) throw new Deno.errors.NotFound(`Cannot open ${path}`);
    const view = new DataView(stat.buffer);
    const isFolder = (view.getUint32(24, true) & S_IF.mask) === S_IF.directory;
    const components = split(real);
    let place = this.#places.get(real);
    if (place) place.access = { ...place.access, ...access };
    else {
      const only = isFolder ? undefined : components.at(-1);
      const folder = isFolder ? real : `/${components.slice(0, -1).join("/")}`;
      const fd = this.root.open(folder, O.path | O.directory);
      if (fd < 0) throw new Deno.errors.NotFound(`Cannot open ${path}`);
      fstat(fd, stat);
      const identity = identityOfFolder(view);
      place = { components, access, fd, identity, only };
      this.#places.set(real, place);
      this.#name(components, place);
    }
    const names = split(given);
    if (!names.includes("..")) this.#name(names, place);
  }

  /** Notes a name of an allowed folder, once. */
  #name(components: readonly string[], place: Place): void {
    const path = components.join("/");
    const isNoted = this.#names.some((name) =>
      name.place === place && name.components.join("/") === path
    );
    if (isNoted) return;
    this.#names.push({ components, place });
    for (let i = 0; i <= components.length; i++) {
      this.#known.add(components.slice(0, i).join("/"));
    }
  }

  /** Below which allowed folder a path is, going by its names alone. */
  #below(cwd: string, path: string, access: Access): Below | undefined {
    const components = split(fromRoot(cwd, path));
    // A folder was meant, if the path ends so.
    const slash = /(^|\/)\.$/.test(path) ? "/." : /\/$/.test(path) ? "/" : "";
    for (const { components: name, place } of this.#names) {
      if (!allows(place.access, access)) continue;
      const rest = below(components, name);
      if (rest === undefined) continue;
      const { only } = place;
      if (only !== undefined && rest.length > 0) continue;
      const resolve = only !== undefined
        ? RESOLVE.noMagicLinks | RESOLVE.noSymlinks
        : place.components.length === 0
        ? this.root.resolve
        : RESOLVE.noMagicLinks | RESOLVE.beneath;
      const relative = only ?? (rest.join("/") || ".");
      return { fd: place.fd, path: relative + slash, resolve };
    }
    return undefined;
  }

  /** What is allowed in the folder that a walk is in. */
  #granted(walk: PathWalk): Access {
    let granted: Access = {};
    for (const { identity } of walk.steps) {
      for (const place of this.#places.values()) {
        if (place.only === undefined && place.identity === identity) {
          granted = { ...granted, ...place.access };
        }
      }
    }
    return granted;
  }

  /** What is allowed of a name in the folder that a walk is in. */
  #grantedOf(walk: PathWalk, name: string): Access {
    let granted = this.#granted(walk);
    for (const { only, identity, access } of this.#places.values()) {
      if (only === name && identity === walk.last.identity) {
        granted = { ...granted, ...access };
      }
    }
    return granted;
  }

  /** Whether the names lead to an allowed folder, or are a name of one. */
  #isKnown(names: readonly string[], access: Access): boolean {
    return !access.read && !access.write && this.#known.has(names.join("/"));
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
   * where nothing is allowed, -EACCES where something else is
   */
  open(
    cwd: string,
    path: string,
    flags: number,
    mode: number,
    access: Access,
    resolve = 0,
  ): number {
    if (path === "") return -ERRNO.ENOENT;
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
    const where = resolve === 0 ? this.#below(cwd, path, access) : undefined;
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
        const granted = this.#granted(walk);
        const isAllowed = allows(granted, access);
        const isLook = (flags & O.path) !== 0 && this.#isKnown(names, access);
        if (!isAllowed && !isLook) {
          // What leads to an allowed folder is there, as anyone can tell.
          return this.#isKnown(names, {}) ? -ERRNO.EACCES : refusal(granted);
        }
        // By its name where that is allowed, so that every flag means what it
        // does; an allowed folder's own name is not the program's.
        const parent = steps.at(-2);
        const isOwn = !parent || !isAllowed ||
          !allows(this.#grantsOfParent(walk), access);
        const found = isOwn
          ? openBelow({ fd: last.fd, path: ".", resolve })
          : openBelow({ fd: parent.fd, path: last.name + slash, resolve });
        if (found !== -ERRNO.ELOOP || isOwn) return found;
        continue;
      }
      const granted = this.#grantedOf(walk, end.name);
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

  /** What is allowed in the folder that holds the one that a walk is in. */
  #grantsOfParent(walk: PathWalk): Access {
    const { identity } = walk.last;
    let granted: Access = {};
    for (const step of walk.steps.slice(0, -1)) {
      for (const place of this.#places.values()) {
        if (
          place.only === undefined && place.identity === step.identity &&
          place.identity !== identity
        ) granted = { ...granted, ...place.access };
      }
    }
    return granted;
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
      const { read, write } = this.#grantedOf(walk, refused);
      return read || write || this.#isKnown(names, {}) ? undefined : OUTSIDE;
    }
    const granted = this.#granted(walk);
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
    const suffix = path.length > trimmed.length ? "/" : "";
    const where = this.#below(cwd, path, access);
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
    const isAllowed = allows(this.#grantedOf(walk, name), access) ||
      this.#isKnown([...walk.names, name], access);
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

  /** Whether the program's own folder is there: 0 or -ENOENT. */
  exists(cwd: string): number {
    const fd = this.root.open(cwd, O.path);
    if (fd === -ERRNO.ENOENT) return fd;
    if (fd >= 0) close(fd);
    return 0;
  }

  /** From which number on the program gets no descriptor of the host's. */
  get fdLimit(): number {
    return HIGHEST_FD;
  }

  /** The program's path of an open descriptor, a character a byte. */
  nameOf(fd: number): string | undefined {
    return this.root.nameOf(fd);
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

  /** Closes the allowed folders, and the root. */
  [Symbol.dispose](): void {
    for (const place of this.#places.values()) close(place.fd);
    this.#places.clear();
    this.#names.length = 0;
    this.#root?.[Symbol.dispose]();
    this.#root = undefined;
  }
}

/** How a file that is allowed by itself is opened. */
const ONLY = RESOLVE.noMagicLinks | RESOLVE.noSymlinks;

/** A path from the root. */
function fromRoot(cwd: string, path: string): string {
  return path.startsWith("/") ? path : `${cwd}/${path}`;
}

/** Whether what was granted is enough. */
function allows(granted: Access, { read, write }: Access): boolean {
  if (!read && !write) return granted.read === true;
  return (!read || granted.read === true) &&
    (!write || granted.write === true);
}

/** Why what was granted is not enough. */
function refusal({ read, write }: Access): number {
  return read || write ? -ERRNO.EACCES : OUTSIDE;
}

/** Whether one allowed folder holds another. */
function holds(outer: Place, inner: Place): boolean {
  return outer.components.length <= inner.components.length &&
    outer.components.every((name, i) => name === inner.components[i]);
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
