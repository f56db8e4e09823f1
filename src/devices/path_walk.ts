/**
 * Following a path name by name, where the kernel alone cannot say whether it
 * stays within what is allowed: a link may lead from one allowed folder to
 * another.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import {
  close,
  fileSystemType,
  fstat,
  openat2,
  readlinkat,
} from "./host_calls.ts";
import { O, S_IF } from "./host_constants.ts";
import { RESOLVE } from "./root_folder.ts";

/** Most links in one path (linux/namei.h's MAXSYMLINKS). */
const MAX_LINKS = 40;

/** The file system whose files are windows into processes (linux/magic.h). */
export const PROC_SUPER_MAGIC = 0x9fa0;

/** What tells a folder from every other: its device and inode. */
export function identityOfFolder(stat: DataView): string {
  return `${stat.getBigUint64(0, true)}:${stat.getBigUint64(8, true)}`;
}

/** A folder that the walk is in. */
export interface Step {
  /** A descriptor that stands for it. */
  readonly fd: number;
  /** Its name in the folder before; empty for the root. */
  readonly name: string;
  /** Its {@linkcode identityOfFolder}. */
  readonly identity: string;
  /** Whether it is another mount than the one before, where that was asked. */
  readonly isMount: boolean;
}

/** What a walk is not to do (openat2(2)). */
export interface WalkLimits {
  /** RESOLVE_* flags. */
  readonly resolve: number;
  /**
   * How many names of the path say where it begins: folders, with no link among
   * them, for which the flags do not hold.
   */
  readonly from: number;
  /** Whether the path itself says that it begins at the root. */
  readonly isAbsolute: boolean;
}

const NO_LIMITS: WalkLimits = { resolve: 0, from: 0, isAbsolute: true };

/** Where a walk ended. */
export interface WalkEnd {
  /**
   * The last name, in the last folder of the walk; not a link, unless links
   * were not to be followed. Absent: the last folder itself.
   */
  readonly name?: string;
  /** Whether a folder was meant: there was a slash behind the last name. */
  readonly isFolder: boolean;
}

/** The names in a path; empty ones and "." left out. */
export function split(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/**
 * A walk from the root down. Every folder on the way is held open, and each
 * name is looked up in the one before without following a link: what another
 * process puts in its place meanwhile cannot lead elsewhere.
 */
export class PathWalk implements Disposable {
  /** The folders that the walk is in, the root first. */
  readonly steps: Step[] = [];
  /**
   * What the walk's limits refused: the name that would have led on. The errno
   * says something of it.
   */
  refused: string | undefined;
  readonly #rootFd: number;
  readonly #stat = new DataView(new ArrayBuffer(144));

  /** @param rootFd stands for the folder that the walk begins in */
  constructor(rootFd: number) {
    this.#rootFd = rootFd;
    this.#look(rootFd);
    const identity = identityOfFolder(this.#stat);
    this.steps.push({ fd: rootFd, name: "", identity, isMount: false });
  }

  /** The folder that the walk is in. */
  get last(): Step {
    return this.steps[this.steps.length - 1];
  }

  /** The names of the folders that the walk is in. */
  get names(): string[] {
    return this.steps.slice(1).map(({ name }) => name);
  }

  #look(fd: number): number {
    const result = fstat(fd, new Uint8Array(this.#stat.buffer));
    return result < 0 ? result : this.#stat.getUint32(24, true) & S_IF.mask;
  }

  #leave(): void {
    const step = this.steps.pop()!;
    if (step.fd !== this.#rootFd) close(step.fd);
  }

  /** Opens a name to look at it, and says whether it is a mount of its own. */
  #open(
    name: string,
    resolve: number,
    isBegin: boolean,
  ): { fd: number; isMount: boolean } {
    const flags = O.path | O.noFollow | O.closeOnExec;
    const open = (more: number) =>
      openat2(this.last.fd, name, flags, 0, RESOLVE.noSymlinks | more);
    const cached = isBegin ? 0 : resolve & RESOLVE.cached;
    const fd = open(resolve & RESOLVE.noXdev | cached);
    const isMount = fd === -ERRNO.EXDEV;
    return { fd: isMount && isBegin ? open(0) : fd, isMount };
  }

  /** What the limits refuse, which a name stands for. */
  #refuse(name: string, errno: number): number {
    this.refused = name;
    return -errno;
  }

  /**
   * Follows a path.
   *
   * @param path from the root, a character a byte
   * @param follows whether the last name is followed, if it is a link
   * @param limits what it is not to do on the way
   * @returns where it ended; the last name need not exist. Or a negative errno:
   * the walk is then in the folder where it failed
   */
  to(path: string, follows: boolean, limits = NO_LIMITS): WalkEnd | number {
    const { resolve } = limits;
    const isScoped = (resolve & (RESOLVE.beneath | RESOLVE.inRoot)) !== 0;
    let isFolder = /(^|\/)\.?$|\/$/.test(path);
    const rest = split(path);
    // Where "/" and ".." stop: at the root, or where the path begins.
    const floor = isScoped ? limits.from + 1 : 1;
    // Until then Linux takes the root for another mount (nd_jump_root).
    let isRootKnown = isScoped || limits.isAbsolute;
    let begin = limits.from;
    for (let links = 0; rest.length > 0;) {
      const name = rest.shift()!;
      const isBegin = begin-- > 0;
      if (name === "..") {
        isRootKnown = true;
        if (this.steps.length > floor) {
          if (this.last.isMount) return this.#refuse(name, ERRNO.EXDEV);
          this.#leave();
        } else if (resolve & RESOLVE.beneath) {
          return this.#refuse(name, ERRNO.EXDEV);
        }
        continue;
      }
      const { fd, isMount } = this.#open(name, resolve, isBegin);
      const isLast = rest.length === 0;
      if (fd === -ERRNO.ENOENT && isLast && !isBegin) return { name, isFolder };
      if (isMount && fd < 0) return this.#refuse(name, ERRNO.EXDEV);
      if (fd < 0) return fd;
      const type = this.#look(fd);
      if (type === S_IF.directory) {
        const identity = identityOfFolder(this.#stat);
        this.steps.push({ fd, name, identity, isMount });
        continue;
      }
      const isFollowed = follows || isFolder || !isLast;
      const target = type === S_IF.link && isFollowed ? linkText(fd) : "";
      close(fd);
      if (type < 0) return type;
      if (type !== S_IF.link) {
        return isLast ? { name, isFolder } : -ERRNO.ENOTDIR;
      }
      // Where it begins was no link: another process has put one there.
      if (isBegin) return this.#refuse(name, ERRNO.EAGAIN);
      if (!isFollowed) return { name, isFolder };
      if (++links > MAX_LINKS) return -ERRNO.ELOOP;
      if (resolve & RESOLVE.noSymlinks) return this.#refuse(name, ERRNO.ELOOP);
      if (typeof target === "number") return target;
      if (target.startsWith("/")) {
        const isSame = isRootKnown &&
          !this.steps.slice(floor).some((step) => step.isMount);
        if (resolve & RESOLVE.beneath || resolve & RESOLVE.noXdev && !isSame) {
          return this.#refuse(name, ERRNO.EXDEV);
        }
        isRootKnown = true;
        while (this.steps.length > floor) this.#leave();
      }
      if (isLast && /\/\.?$/.test(target)) isFolder = true;
      rest.unshift(...split(target));
    }
    return { isFolder };
  }

  /** Closes what it holds. */
  [Symbol.dispose](): void {
    while (this.steps.length > 0) this.#leave();
  }
}

/** Where a link leads; those of /proc lead into processes. */
function linkText(fd: number): string | number {
  if (fileSystemType(fd) === PROC_SUPER_MAGIC) return -ERRNO.EACCES;
  return readlinkat(fd, "");
}
