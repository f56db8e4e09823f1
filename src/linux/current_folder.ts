/**
 * The folder that a program's relative paths begin in.
 *
 * @module
 */

import { HostFile, type HostPaths, O } from "../devices/mod.ts";

/** What Linux shows behind the path of what was removed. */
const REMOVED = " (deleted)";

/** What is shown of a folder that has no path in the program's root any more. */
const LOST = `/${REMOVED}`;

/**
 * A program's current folder. One of the host's is held open: it stays the
 * program's whatever becomes of its name. It is used by the name that it has at
 * the time, so that what is allowed decides. One of the VM's own, and one that
 * the program may not reach, is no more than a path.
 */
export class CurrentFolder {
  #path: string;
  #file: HostFile | undefined;
  #paths: HostPaths | undefined;

  /** @param path a character a byte, as {@linkcode path} gives it */
  constructor(path: string) {
    this.#path = path;
  }

  /** Opens it, as far as the program may reach it. */
  attach(paths: HostPaths): void {
    this.#paths = paths;
    const flags = O.path | O.directory;
    const fd = paths.open("/", this.#path, flags, 0, { read: true });
    if (fd >= 0) this.enter(fd);
  }

  /** Makes a folder of the host's the current one, whose descriptor it owns. */
  enter(fd: number): void {
    this.#file?.close();
    // It was found where the program may read.
    this.#file = new HostFile(fd, O.directory);
  }

  /** Makes a folder that is no more than a path the current one. */
  enterPath(path: string): void {
    this.close();
    this.#path = path;
  }

  /** The folder, where it is held open. */
  get file(): HostFile | undefined {
    return this.#file;
  }

  /**
   * Its path, a character a byte, as /proc/PID/cwd shows it: of one that was
   * removed, the last it had, and that it was.
   */
  get path(): string {
    if (!this.#file) return this.#path;
    return this.#paths?.nameOf(this.#file.hostFd) ?? LOST;
  }

  /** Where it is; `undefined` when it was removed. */
  get place(): string | undefined {
    if (this.#file) return this.#paths?.placeOf(this.#file.hostFd);
    return this.#path.endsWith(REMOVED) ? undefined : this.#path;
  }

  /** Closes it; its path is still known. */
  close(): void {
    this.#path = this.path;
    this.#file?.close();
    this.#file = undefined;
  }
}
