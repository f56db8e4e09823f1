/**
 * Bringing memory back from an image: from a file long runs of pages are
 * mapped, from a stream all are read to where they belong.
 *
 * @module
 */

import { libc, unwrap } from "../kvm/mod.ts";
import { nodeZlib } from "../state/mod.ts";
import { VmError } from "./errors.ts";
import { PAGE_BYTES } from "./layout.ts";
import type { Memory } from "./memory.ts";
import {
  byGpa,
  bytesOf,
  type MemoryPartV1,
  PACKED_PART_BYTES,
  PART_BYTES,
} from "./memory_state.ts";

/** A part of memory in an image. */
export interface MemoryPart {
  /** What the part says. */
  readonly state: MemoryPartV1;
  /** How many bytes of data. */
  readonly dataBytes: number;
}

/** Where a part's data is in an image file. */
export interface PartInFile extends MemoryPart {
  /** Where its data begins, a multiple of the page size. */
  readonly dataOffset: number;
  /** Reads and checks the data. */
  read(): Uint8Array;
}

/** From fcntl.h. */
const O_CLOEXEC = 0o2000000;

/** Runs shorter than this are read, longer ones mapped. */
const MAP_FROM_BYTES = 16 * PAGE_BYTES;

/**
 * Most runs that are mapped: each is a mapping of its own, and so is the gap
 * after it. A process may have 65530 (Linux: vm.max_map_count), and needs some
 * for what a running program's pages are split into.
 */
const MAX_MAPPED_RUNS = 8192;

/**
 * Checks the parts of a memory against each other, before anything is allocated.
 *
 * @returns the size of the memory
 * @throws {VmError} when they do not fit each other
 */
export function checkMemoryParts(parts: readonly MemoryPart[]): number {
  const sizeBytes = parts[0]?.state.sizeBytes ?? 0;
  for (const part of parts) {
    if (part.state.sizeBytes !== sizeBytes) {
      throw wrong("its parts differ in size");
    }
    checkLength(part);
  }
  const runs = parts.flatMap(({ state }) => state.runs).sort(byGpa);
  let last = 0;
  for (const [gpa, pages] of runs) {
    const end = gpa + pages * PAGE_BYTES;
    if (gpa % PAGE_BYTES !== 0 || gpa < last || end > sizeBytes) {
      throw wrong(
        `a run of pages at gpa 0x${gpa.toString(16)} is out of place`,
      );
    }
    last = end;
  }
  return sizeBytes;
}

function wrong(what: string): VmError {
  return new VmError("VM_MEMORY", `Cannot restore "memory": ${what}`);
}

/**
 * Checks that a part has no more pages than it may, and as much data as they
 * take: before the next is looked at.
 *
 * @returns how many bytes its pages are of
 * @throws {VmError} when it has not
 */
export function checkLength({ state, dataBytes }: MemoryPart): number {
  const bytes = bytesOf(state.runs);
  const isPacked = state.encoding === "zstd";
  if (bytes > (isPacked ? PACKED_PART_BYTES : PART_BYTES)) {
    throw wrong(`a part has ${bytes} bytes of pages`);
  }
  if (!isPacked && bytes !== dataBytes) {
    throw wrong(`a part has ${dataBytes} bytes of data, must be ${bytes}`);
  }
  return bytes;
}

/**
 * Where in fresh memory the data of a part goes as it comes from a stream;
 * `undefined` for data that has to be unpacked: {@linkcode unpackPart}.
 *
 * @throws {VmError} when it does not fit the memory
 */
export function placesOf(
  memory: Memory,
  part: MemoryPart,
): Uint8Array[] | undefined {
  checkLength(part);
  if (part.state.encoding === "zstd") return undefined;
  return part.state.runs.map(([gpa, pages]) =>
    memory.bytes(gpa, pages * PAGE_BYTES)
  );
}

/** Unpacks a part's data to where it belongs. @throws {VmError} */
export function unpackPart(
  memory: Memory,
  { state }: MemoryPart,
  data: Uint8Array,
): void {
  placePages(memory, state, unpack(state, data));
}

/** The image file that memory is mapped from. */
export interface MemorySource {
  /** Where it is. */
  readonly path: string;
  /** Which file was checked. */
  readonly identity: {
    readonly device: number;
    readonly inode: number | null;
    readonly sizeBytes: number;
  };
}

/**
 * Brings the pages of an image file into fresh memory: long runs are mapped,
 * and come in when they are touched; short ones and packed ones are read.
 *
 * @throws {VmError} when the file is not the one that was checked
 */
export function mapImageFile(
  memory: Memory,
  parts: readonly PartInFile[],
  source: MemorySource,
): void {
  using file = MappableFile.open(source);
  const mapFrom = mapFromBytes(parts);
  for (const part of parts) {
    if (part.state.encoding === "zstd") {
      unpackPart(memory, part, part.read());
      continue;
    }
    let fileOffset = part.dataOffset;
    for (const [gpa, pages] of part.state.runs) {
      const lengthBytes = pages * PAGE_BYTES;
      const run = { gpa, lengthBytes, fileOffset };
      if (lengthBytes >= mapFrom) memory.mapFile(file.fd, run);
      else memory.readFile(file.fd, run);
      fileOffset += lengthBytes;
    }
  }
}

/** How long a run must be to be mapped, so that not too many are. */
function mapFromBytes(parts: readonly PartInFile[]): number {
  const lengths = parts.flatMap(({ state }) =>
    state.encoding === "raw"
      ? state.runs.map(([, pages]) => pages * PAGE_BYTES)
      : []
  );
  let from = MAP_FROM_BYTES;
  let longer = lengths.filter((length) => length >= from);
  while (longer.length > MAX_MAPPED_RUNS) {
    from *= 2;
    longer = longer.filter((length) => length >= from);
  }
  return from;
}

/** A descriptor of the image, which Deno's own files do not show. */
class MappableFile {
  private constructor(readonly fd: number) {}

  static open(source: MemorySource): MappableFile {
    const path = new TextEncoder().encode(`${source.path}\0`);
    const fd = unwrap("open", libc.open(path, O_CLOEXEC));
    const file = new MappableFile(fd);
    const { dev, ino, size } = Deno.statSync(`/proc/self/fd/${fd}`);
    const { device, inode, sizeBytes } = source.identity;
    if (dev === device && ino === inode && size === sizeBytes) return file;
    file[Symbol.dispose]();
    throw new VmError(
      "VM_MEMORY",
      `Cannot restore "memory": ${source.path} was replaced meanwhile`,
    );
  }

  [Symbol.dispose](): void {
    libc.close(this.fd);
  }
}

/** The pages of a compressed part. */
function unpack(state: MemoryPartV1, frame: Uint8Array): Uint8Array {
  const bytes = bytesOf(state.runs);
  let whole: Uint8Array;
  try {
    whole = nodeZlib().zstdDecompressSync(frame, { maxOutputLength: bytes });
  } catch (cause) {
    throw new VmError(
      "VM_MEMORY",
      `Cannot restore "memory": its data cannot be unpacked`,
      { cause },
    );
  }
  if (whole.length !== bytes) {
    throw new VmError(
      "VM_MEMORY",
      `Cannot restore "memory": a part unpacks to ${whole.length} bytes, must be ${bytes}`,
    );
  }
  return whole;
}

/** Copies a part's pages to where they belong. */
function placePages(
  memory: Memory,
  state: MemoryPartV1,
  pages: Uint8Array,
): void {
  let at = 0;
  for (const [gpa, count] of state.runs) {
    const lengthBytes = count * PAGE_BYTES;
    memory.write(gpa, pages.subarray(at, at + lengthBytes));
    at += lengthBytes;
  }
}
