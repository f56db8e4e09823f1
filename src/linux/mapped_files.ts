/**
 * Files that a program shares by mapping them (MAP_SHARED).
 *
 * @module
 */

import * as v from "valibot";
import { count as address } from "../state/mod.ts";
import {
  type FdTable,
  fstat,
  HostFile,
  O,
  type OpenFile,
} from "../devices/mod.ts";
import { ERRNO } from "../kvm/mod.ts";
import {
  FILES_END_GPA,
  FILES_GPA,
  type FileWindow,
  MAX_FILE_MAPPINGS,
  PAGE_BYTES,
  VmError,
} from "../vmm/mod.ts";
import type { Area } from "./areas.ts";

/** The field of an address space that says which files are mapped where. */
export const mappedFilesField = v.pipe(
  v.array(v.object({
    /** Its guest physical address, by which `fd-table` holds the file open. */
    gpa: address,
    lengthBytes: address,
    /** Where in the file. */
    offset: address,
    /** Whether the file was opened for writing. */
    isWritable: v.boolean(),
  })),
  v.maxLength(MAX_FILE_MAPPINGS),
);

/** A part of a file that is mapped. */
export type MappedFileState = v.InferOutput<typeof mappedFilesField>[number];

/** The files that areas of kind "shared" lead to. */
export class MappedFiles {
  readonly #window: FileWindow;
  #fds: FdTable | undefined;
  #mapped: MappedFileState[] = [];

  /** @param window where their pages are @param state what was saved */
  constructor(window: FileWindow, state: readonly MappedFileState[] = []) {
    this.#window = window;
    let end = FILES_GPA;
    const inOrder = [...state].sort((a, b) => a.gpa - b.gpa);
    for (const { gpa, lengthBytes, offset } of inOrder) {
      const isWhole = [gpa, lengthBytes, offset].every((n) =>
        n % PAGE_BYTES === 0
      );
      if (gpa < end || !isWhole || lengthBytes === 0) throw misplaced(gpa);
      end = gpa + lengthBytes;
      if (end > FILES_END_GPA) throw misplaced(gpa);
    }
    this.#mapped = inOrder;
  }

  /** Which parts of files are mapped. */
  state(): MappedFileState[] {
    return this.#mapped.map((one) => ({ ...one }));
  }

  /**
   * Checks that the files which are held open are those that are mapped.
   *
   * @param held the O_* flags of each, by the gpa it is mapped at
   * @throws {VmError} when they are not, or are not open as they must be
   */
  check(held: ReadonlyMap<number, number>): void {
    for (const { gpa, isWritable } of this.#mapped) {
      const flags = held.get(gpa);
      const mode = (flags ?? O.path) & (O.accessMode | O.path);
      const fits = mode === O.readWrite || (mode === O.readOnly && !isWritable);
      if (!fits) throw misplaced(gpa);
    }
    for (const gpa of held.keys()) {
      if (!this.#mapped.some((one) => one.gpa === gpa)) throw misplaced(gpa);
    }
  }

  /**
   * Says where the files are held open; what was saved is mapped now.
   *
   * @throws {VmError} when a file is not held, or cannot be mapped
   */
  attach(fds: FdTable): void {
    this.#fds = fds;
    for (const one of this.#mapped) {
      const file = fds.heldFile(one.gpa);
      const fd = file?.hostFd;
      if (fd === undefined || (one.isWritable && !file!.isWritable)) {
        throw misplaced(one.gpa);
      }
      const got = this.#window.map(fd, one, one.gpa);
      if (got >= 0) continue;
      throw new VmError(
        "VM_MEMORY",
        `Cannot restore the address space: a file cannot be mapped (errno ${-got})`,
      );
    }
    for (const file of fds.files()) {
      if (file instanceof HostFile) file.seal();
    }
  }

  /** The mapping that a gpa is in. */
  find(gpa: number): MappedFileState | undefined {
    return this.#mapped.find((one) =>
      gpa >= one.gpa && gpa < one.gpa + one.lengthBytes
    );
  }

  /**
   * Maps a part of an open file, which is held open from now on.
   *
   * @param writes whether the program is to write there from the start
   * @returns its guest physical address, or a negative errno
   */
  add(
    file: OpenFile,
    offset: number,
    lengthBytes: number,
    writes = false,
  ): number {
    if (file.hostFd === undefined) return -ERRNO.ENODEV;
    const { isWritable } = file;
    const pages = { offset, lengthBytes, isWritable };
    let gpa = this.#window.map(file.hostFd, pages);
    if (gpa === -ERRNO.EPERM && isWritable && !writes) {
      // It may be sealed against writes: it can be read still.
      pages.isWritable = false;
      gpa = this.#window.map(file.hostFd, pages);
    }
    if (gpa < 0) return gpa;
    this.#mapped.push({ gpa, ...pages });
    this.#fds!.hold(gpa, file);
    return gpa;
  }

  /** The open file behind a gpa. */
  file(gpa: number): OpenFile | undefined {
    const found = this.find(gpa);
    return found && this.#fds?.heldFile(found.gpa);
  }

  /**
   * The physical address where the file that is mapped at `gpa` has ended, in
   * whole pages: who touches what is there or above gets SIGBUS.
   */
  endGpa(gpa: number): number {
    const found = this.find(gpa);
    const fd = this.file(gpa)?.hostFd;
    const stat = new Uint8Array(144);
    if (!found || fd === undefined || fstat(fd, stat) < 0) return Infinity;
    const size = Number(new DataView(stat.buffer).getBigInt64(48, true));
    const pages = Math.ceil(size / PAGE_BYTES) * PAGE_BYTES;
    return found.gpa + Math.max(pages - found.offset, 0);
  }

  /** Gives up what no area leads to any longer. */
  keepOnly(areas: readonly Area[]): void {
    const used = new Set<MappedFileState>();
    for (const { kind, gpa } of areas) {
      const found = kind === "shared" ? this.find(gpa!) : undefined;
      if (found) used.add(found);
    }
    for (const one of this.#mapped) {
      if (used.has(one)) continue;
      this.#window.unmap(one.gpa);
      this.#fds?.drop(one.gpa);
    }
    this.#mapped = this.#mapped.filter((one) => used.has(one));
  }
}

function misplaced(gpa: number): VmError {
  return new VmError(
    "VM_MEMORY",
    `Cannot restore the address space: the file at gpa 0x${
      gpa.toString(16)
    } is out of place`,
  );
}
