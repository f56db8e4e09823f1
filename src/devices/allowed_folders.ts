/**
 * What a user allows a program of the host's files: which folders, by which
 * names its paths lead there, and what may be done in them.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { close, fstat } from "./host_calls.ts";
import { O, S_IF } from "./host_constants.ts";
import { pathOf } from "./path_bytes.ts";
import { identityOfFolder, type PathWalk, split } from "./path_walk.ts";
import { RESOLVE, type RootFolder } from "./root_folder.ts";

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

/**
 * What a path gives that leads to no folder or file that is allowed; no errno
 * has this value. Whether there is something is not told.
 */
export const OUTSIDE = -4096;

/** The RESOLVE_* flags by which a file that is allowed by itself is opened. */
export const ONLY = RESOLVE.noMagicLinks | RESOLVE.noSymlinks;

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
export interface Below {
  /** Stands for the folder. */
  readonly fd: number;
  /** The path from there. */
  readonly path: string;
  /** RESOLVE_* flags for the kernel. */
  readonly resolve: number;
}

/** The folders that a program may use, held open. */
export class AllowedFolders implements Disposable {
  readonly #places = new Map<string, Place>();
  readonly #names: Name[] = [];
  /** The folders that lead to an allowed one, and links to it. */
  readonly #known = new Set<string>();
  /** The program's root; not this object's. */
  readonly #root: RootFolder;

  /**
   * Opens them.
   *
   * @param cwd where relative paths begin, a character a byte
   * @throws {Deno.errors.NotFound} naming an allowed path that does not exist
   */
  constructor(allowed: Allowed, root: RootFolder, cwd: string) {
    this.#root = root;
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

  #allow(path: string, cwd: string, access: Access): void {
    const given = fromRoot(cwd, pathOf(path));
    const found = this.#root.open(given, O.path);
    const real = found < 0 ? undefined : this.#root.nameOf(found);
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
      const fd = this.#root.open(folder, O.path | O.directory);
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
  below(cwd: string, path: string, access: Access): Below | undefined {
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
        ? ONLY
        : place.components.length === 0
        ? this.#root.resolve
        : RESOLVE.noMagicLinks | RESOLVE.beneath;
      const relative = only ?? (rest.join("/") || ".");
      return { fd: place.fd, path: relative + slash, resolve };
    }
    return undefined;
  }

  /** What is allowed in the folder that a walk is in. */
  granted(walk: PathWalk): Access {
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
  grantedOf(walk: PathWalk, name: string): Access {
    let granted = this.granted(walk);
    for (const { only, identity, access } of this.#places.values()) {
      if (only === name && identity === walk.last.identity) {
        granted = { ...granted, ...access };
      }
    }
    return granted;
  }

  /** What is allowed in the folder that holds the one that a walk is in. */
  grantsOfParent(walk: PathWalk): Access {
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

  /** Whether the names lead to an allowed folder, or are a name of one. */
  isKnown(names: readonly string[], access: Access): boolean {
    return !access.read && !access.write && this.#known.has(names.join("/"));
  }

  /** Closes the folders. */
  [Symbol.dispose](): void {
    for (const place of this.#places.values()) close(place.fd);
    this.#places.clear();
    this.#names.length = 0;
  }
}

/** A path from the root. */
export function fromRoot(cwd: string, path: string): string {
  return path.startsWith("/") ? path : `${cwd}/${path}`;
}

/** Whether what was granted is enough. */
export function allows(granted: Access, { read, write }: Access): boolean {
  if (!read && !write) return granted.read === true;
  return (!read || granted.read === true) &&
    (!write || granted.write === true);
}

/** Why what was granted is not enough. */
export function refusal({ read, write }: Access): number {
  return read || write ? -ERRNO.EACCES : OUTSIDE;
}

/** Whether one allowed folder holds another. */
function holds(outer: Place, inner: Place): boolean {
  return outer.components.length <= inner.components.length &&
    outer.components.every((name, i) => name === inner.components[i]);
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
