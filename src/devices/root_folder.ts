/**
 * The folder of the host's that is `/` for a program.
 *
 * @module
 */

import { errnoName } from "../kvm/mod.ts";
import { close, open, openat2, readlinkat } from "./host_calls.ts";
import { AT_FDCWD, O } from "./host_constants.ts";
import { pathOf, pathText } from "./path_bytes.ts";

/** From linux/openat2.h. */
export const RESOLVE = {
  /** Into no other mount. */
  noXdev: 1,
  /** By no link that is none by its text, as those of /proc/PID/fd. */
  noMagicLinks: 2,
  /** By no link at all. */
  noSymlinks: 4,
  /** Nowhere but below where the path begins. */
  beneath: 8,
  /** As if the root were where the path begins. */
  inRoot: 16,
  /** No further than without waiting. */
  cached: 32,
} as const;

/** The host's path of an open descriptor, a character a byte. */
export function hostPathOf(fd: number): string | undefined {
  const path = readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`);
  return typeof path === "string" && path.startsWith("/") ? path : undefined;
}

/**
 * The folder that a program takes for `/`. Paths that are resolved in it cannot
 * lead out of it: `..` stays, and links that begin with `/` begin there.
 */
export class RootFolder implements Disposable {
  /** A descriptor that stands for it. */
  readonly fd: number;
  /** Its path on the host, a character a byte; empty for the host's own root. */
  readonly #prefix: string;

  /**
   * Opens it.
   *
   * @param path on the host
   * @throws {Deno.errors.NotFound} when it is not there, or no folder
   */
  constructor(path = "/") {
    const flags = O.path | O.directory | O.closeOnExec;
    const fd = open(pathOf(path), flags);
    const real = fd < 0 ? undefined : hostPathOf(fd);
    if (real === undefined) {
      if (fd >= 0) close(fd);
      throw new Deno.errors.NotFound(
        `Cannot open ${path}: ${errnoName(fd < 0 ? -fd : 2)}`,
      );
    }
    this.fd = fd;
    this.#prefix = real === "/" ? "" : real;
  }

  /** Whether it is the host's own root. */
  get isHost(): boolean {
    return this.#prefix === "";
  }

  /** What RESOLVE_* keeps a path in it. */
  get resolve(): number {
    return RESOLVE.noMagicLinks | (this.isHost ? 0 : RESOLVE.inRoot);
  }

  /** The host's path of a program's path that has no links in it. */
  hostPath(path: string): string {
    return path === "/" && !this.isHost ? this.#prefix : this.#prefix + path;
  }

  /**
   * The program's path of what a descriptor stands for, a character a byte;
   * `undefined` when it has none.
   */
  nameOf(fd: number): string | undefined {
    const path = hostPathOf(fd);
    if (path === undefined || this.isHost) return path;
    if (path === this.#prefix) return "/";
    return path.startsWith(`${this.#prefix}/`)
      ? path.slice(this.#prefix.length)
      : undefined;
  }

  /**
   * Opens a path of the program's for the VMM's own use, whatever the program
   * may reach. Neither a pipe nor a terminal makes it wait.
   *
   * @param path absolute, a character a byte
   * @returns a descriptor, or a negative errno
   */
  open(path: string, flags: number): number {
    const calm = flags & O.path ? 0 : O.noControllingTerminal | O.nonBlock;
    return openat2(
      this.fd,
      path,
      flags | calm | O.closeOnExec,
      0,
      this.resolve,
    );
  }

  /**
   * The path, as text and without links, of what a path leads to.
   *
   * @returns the path, or a negative errno
   */
  realPath(path: string): string | number {
    const fd = this.open(path, O.path);
    if (fd < 0) return fd;
    const name = this.nameOf(fd);
    close(fd);
    return (name && pathText(name)) ?? -2;
  }

  /**
   * The program's name for this process's current folder: `/` when that is not
   * in the root. A character a byte.
   */
  currentFolder(): string {
    const fd = open(".", O.path | O.directory | O.closeOnExec);
    if (fd < 0) return "/";
    const name = this.nameOf(fd);
    close(fd);
    return name ?? "/";
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    close(this.fd);
  }
}
