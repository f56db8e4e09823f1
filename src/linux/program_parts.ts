/**
 * What a VM holds of its program, fresh or thawed.
 *
 * @module
 */

import { normalize } from "node:path";
import {
  type Allowed,
  type Clock,
  close,
  type FdTable,
  FilesError,
  HostPaths,
  O,
  pathOf,
  pathText,
  type PendingStateV3,
  RootFolder,
  SYSTEM,
  systemFolders,
} from "../devices/mod.ts";
import { ERRNO, errnoName } from "../kvm/mod.ts";
import { VmError } from "../vmm/mod.ts";
import type { AddressSpace } from "./address_space.ts";
import type { Devices } from "./devices.ts";
import type { Process } from "./process.ts";

/** What is of a program, fresh or thawed. */
export interface ProgramParts {
  /** Its address space. */
  readonly space: AddressSpace;
  /** What Linux keeps of the process. */
  readonly process: Process;
  /** Its descriptors. */
  readonly fds: FdTable;
  /** Its calls that wait. */
  readonly pending: PendingStateV3;
  /** Its clocks. */
  readonly clock: Clock;
  /** The host's files it may reach. */
  readonly paths: HostPaths;
  /** The devices that are plugins. */
  readonly devices: Devices;
}

/**
 * Opens the folder that is `/` for a program.
 *
 * @param path on the host; default: the host's own
 * @throws {VmError} VM_CONFIG when it is no folder
 */
export function openRoot(path?: string): RootFolder {
  try {
    return new RootFolder(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    const why = cause.message.slice(cause.message.lastIndexOf(": ") + 2);
    throw new VmError(
      "VM_CONFIG",
      `Cannot use ${path} as the program's root: ${
        why === "ENOENT" ? "there is no such folder" : why
      }`,
      { cause },
    );
  }
}

/** What the program may reach where nothing is said. */
function defaultPaths(root: RootFolder, cwd: string): Allowed {
  const folder = pathText(cwd) ?? "/";
  // A root that this process is not in is a system, and not a folder to work in.
  const isSystem = !root.isHost && cwd === "/";
  return { read: [SYSTEM, folder], write: isSystem ? [] : [folder] };
}

/**
 * Opens what the program may reach: what belongs to the system, and the current
 * folder, where nothing is said.
 *
 * @param root the program's, which is then closed with what this returns
 * @param own files that it may read besides: those of the program itself
 * @throws {FilesError} naming the first path that cannot be allowed, as it is
 * not there or leads there by a link in a folder that the program may write; the
 * root is closed then
 */
export function openPaths(
  allow: Partial<Allowed> = {},
  root: RootFolder,
  own: readonly string[] = [],
): HostPaths {
  using owned = new DisposableStack();
  owned.use(root);
  const cwd = root.currentFolder();
  const { read, write } = { ...defaultPaths(root, cwd), ...allow };
  const named = [...read, ...own].filter((path) => path !== SYSTEM);
  const found = [...named, ...write].map((path) => {
    const real = realPath(root, path, cwd);
    if (typeof real === "string") {
      return { path, full: fullOf(path, cwd), real };
    }
    throw new FilesError(
      real.isMissing ? "FILES_MISSING" : "FILES_DENIED",
      `Cannot allow ${path}: ${real.why}`,
    );
  });
  refuseLinksOfPrograms(found.filter(({ path }) => !own.includes(path)), write);
  const system = read.includes(SYSTEM) ? systemFolders(root) : [];
  const allowed = { read: [...named, ...system], write };
  const paths = new HostPaths(allowed, { root, cwd });
  owned.move();
  return paths;
}

/** A path that the user allows. */
interface Named {
  /** As it was given. */
  readonly path: string;
  /** From the root. */
  readonly full: string;
  /** Without links. */
  readonly real: string;
}

/**
 * Refuses a path that leads through a folder which a program may write, and out
 * of it: the link that it takes may be a program's doing, of an earlier run.
 *
 * @throws {FilesError} FILES_DENIED
 */
function refuseLinksOfPrograms(
  named: readonly Named[],
  write: readonly string[],
): void {
  const isIn = (path: string, folder: string) =>
    path.startsWith(folder === "/" ? folder : `${folder}/`);
  for (const folder of named.filter(({ path }) => write.includes(path))) {
    const names = [normalize(folder.full), folder.real];
    const out = named.find(({ full, real }) =>
      real !== folder.real && !isIn(real, folder.real) &&
      prefixes(full).some((path) => names.some((name) => isIn(path, name)))
    );
    if (!out) continue;
    throw new FilesError(
      "FILES_DENIED",
      `Cannot allow ${out.path}: it is in ${folder.path}, which the program may write, and leads out of it`,
      { hint: `name what is meant: ${pathText(out.real) ?? "its real path"}` },
    );
  }
}

/** Each folder that a path names on its way, and what it names. */
function prefixes(path: string): string[] {
  const names = path.split("/");
  return names.map((_, i) => normalize(names.slice(0, i + 1).join("/") || "/"));
}

/** The path from the root, a character a byte. */
function fullOf(path: string, cwd: string): string {
  return path.startsWith("/") ? pathOf(path) : `${cwd}/${pathOf(path)}`;
}

/** Why there is no path. */
export interface NoPath {
  /** Whether nothing has this name. */
  readonly isMissing: boolean;
  /** The reason, for a message. */
  readonly why: string;
}

/**
 * The path without links, a character a byte, of a file or folder; or why there
 * is none.
 *
 * @param cwd where a relative path begins, a character a byte
 */
export function realPath(
  root: RootFolder,
  path: string,
  cwd: string,
): string | NoPath {
  const fd = path === "" ? -ERRNO.ENOENT : root.open(fullOf(path, cwd), O.path);
  const found = fd < 0 ? undefined : root.nameOf(fd);
  if (fd >= 0) close(fd);
  if (found !== undefined) return found;
  const isMissing = fd >= 0 || fd === -ERRNO.ENOENT;
  return {
    isMissing,
    why: isMissing ? "there is no such file or folder" : errnoName(-fd),
  };
}
