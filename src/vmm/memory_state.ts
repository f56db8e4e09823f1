/**
 * How memory travels: the pages that are not zero, in parts.
 *
 * @module
 */

import * as v from "valibot";
import {
  type Component,
  count,
  type Dump,
  nodeZlib,
  type Part,
  type StateSchema,
} from "../state/mod.ts";
import { libc, unwrap } from "../kvm/mod.ts";
import type { BlockAllocator } from "./blocks.ts";
import { VmError } from "./errors.ts";
import { BLOCK_BYTES, PAGE_BYTES } from "./layout.ts";
import type { Memory } from "./memory.ts";

/** How a part of memory travels. */
export const memoryState = {
  kind: "memory",
  version: 1,
  schema: v.object({
    /** Bytes of memory that the VM has. */
    sizeBytes: count,
    /** Whether the data are the pages themselves or one zstd frame of them. */
    encoding: v.picklist(["raw", "zstd"]),
    /** Pairs: gpa of the first page, how many pages. */
    runs: v.pipe(
      v.array(v.tuple([count, v.pipe(count, v.minValue(1))])),
      v.maxLength(BLOCK_BYTES),
    ),
  }),
} satisfies StateSchema<unknown>;

/** The state of a part of memory, version 1. */
export type MemoryPartV1 = v.InferOutput<typeof memoryState.schema>;

/** Most bytes of pages in one part: few parts, so that restore is short. */
const PART_BYTES = 32 * BLOCK_BYTES;

/** Most bytes of pages in one part that is packed, which takes memory. */
const PACKED_PART_BYTES = 4 * BLOCK_BYTES;

/** How much is looked at as a whole before page by page. */
const SPAN_BYTES = 64 * 1024;

/** The component that dumps memory. Only while every vCPU is paused. */
export class MemorySaver implements Component {
  readonly id = "memory";
  readonly kind: string = memoryState.kind;
  readonly version: number = memoryState.version;
  readonly #memory: Memory;
  readonly #blocks: BlockAllocator;
  readonly #compress: boolean;

  /** @param blocks which parts of memory are in use @param compress with zstd */
  constructor(memory: Memory, blocks: BlockAllocator, compress = false) {
    this.#memory = memory;
    this.#blocks = blocks;
    this.#compress = compress;
  }

  /** Answers with the pages that are not zero. */
  dump(): Dump {
    return { answer: "many", parts: this.#parts() };
  }

  /**
   * Blocks without a page of zeros first, aligned so that they can be mapped as
   * large pages; then the pages of the other blocks.
   */
  *#parts(): Generator<Part> {
    const { whole, rest } = this.#runs();
    if (!this.#compress) {
      for (const runs of split(whole, PART_BYTES)) {
        yield { ...this.#part(runs), dataAlignBytes: BLOCK_BYTES };
      }
    }
    const others = this.#compress ? [...whole, ...rest].sort(byGpa) : rest;
    const most = this.#compress ? PACKED_PART_BYTES : PART_BYTES;
    for (const runs of split(others, most)) yield this.#part(runs);
    // An empty part at least: it says how much memory there is.
    if (whole.length + rest.length === 0) yield this.#part([]);
  }

  #part(runs: Run[]): Part {
    const bytes = bytesOf(runs);
    const data = runs.map(([gpa, pages]) =>
      this.#memory.bytes(gpa, pages * PAGE_BYTES)
    );
    const { sizeBytes } = this.#memory;
    if (!this.#compress || bytes === 0) {
      return { value: { sizeBytes, encoding: "raw", runs }, data };
    }
    const whole = new Uint8Array(bytes);
    let at = 0;
    for (const piece of data) {
      whole.set(piece, at);
      at += piece.length;
    }
    const { constants, zstdCompressSync } = nodeZlib();
    const frame = zstdCompressSync(whole, {
      params: { [constants.ZSTD_c_compressionLevel]: 1 },
    });
    // What does not get smaller stays as it is, and can be mapped.
    if (frame.length >= bytes) {
      return { value: { sizeBytes, encoding: "raw", runs }, data };
    }
    return { value: { sizeBytes, encoding: "zstd", runs }, data: [frame] };
  }

  /** Runs of pages that are not zero: of whole blocks, and of the others. */
  #runs(): { whole: Run[]; rest: Run[] } {
    const memory = this.#memory;
    const whole: Run[] = [];
    const rest: Run[] = [];
    for (const block of this.#blocks.used()) {
      if (memory.isZero(block, BLOCK_BYTES)) continue;
      const runs: Run[] = [];
      for (let span = block; span < block + BLOCK_BYTES; span += SPAN_BYTES) {
        if (memory.isZero(span, SPAN_BYTES)) continue;
        for (let page = span; page < span + SPAN_BYTES; page += PAGE_BYTES) {
          if (!memory.isZero(page, PAGE_BYTES)) append(runs, page, 1);
        }
      }
      if (runs[0][1] === PAGES_PER_BLOCK) append(whole, ...runs[0]);
      else for (const run of runs) append(rest, ...run);
    }
    return { whole, rest };
  }
}

/** A run of pages: gpa of the first, and how many. */
type Run = [gpa: number, pages: number];

const PAGES_PER_BLOCK = BLOCK_BYTES / PAGE_BYTES;

/** Adds pages to a list of runs, to the last one where they follow it. */
function append(runs: Run[], gpa: number, pages: number): void {
  const last = runs.at(-1);
  if (last && last[0] + last[1] * PAGE_BYTES === gpa) last[1] += pages;
  else runs.push([gpa, pages]);
}

/** Cuts runs into lists of at most so many bytes. */
function* split(runs: readonly Run[], mostBytes: number): Generator<Run[]> {
  let part: Run[] = [];
  let room = mostBytes / PAGE_BYTES;
  for (const [gpa, pages] of runs) {
    for (let done = 0; done < pages;) {
      const take = Math.min(pages - done, room);
      part.push([gpa + done * PAGE_BYTES, take]);
      done += take;
      room -= take;
      if (room > 0) continue;
      yield part;
      part = [];
      room = mostBytes / PAGE_BYTES;
    }
  }
  if (part.length > 0) yield part;
}

function byGpa(a: Run, b: Run): number {
  return a[0] - b[0];
}

function bytesOf(runs: readonly Run[]): number {
  return runs.reduce((pages, run) => pages + run[1], 0) * PAGE_BYTES;
}

/** Where a part's data is in an image file. */
export interface PartInFile {
  /** What the part says. */
  readonly state: MemoryPartV1;
  /** Where its data begins, a multiple of the page size. */
  readonly dataOffset: number;
  /** How many bytes of data. */
  readonly dataBytes: number;
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
export function checkMemoryParts(parts: readonly PartInFile[]): number {
  const wrong = (what: string) =>
    new VmError("VM_MEMORY", `Cannot restore "memory": ${what}`);
  const sizeBytes = parts[0]?.state.sizeBytes ?? 0;
  for (const { state, dataBytes } of parts) {
    if (state.sizeBytes !== sizeBytes) throw wrong("its parts differ in size");
    const bytes = bytesOf(state.runs);
    const isPacked = state.encoding === "zstd";
    if (bytes > (isPacked ? PACKED_PART_BYTES : PART_BYTES)) {
      throw wrong(`a part has ${bytes} bytes of pages`);
    }
    if (!isPacked && bytes !== dataBytes) {
      throw wrong(`a part has ${dataBytes} bytes of data, must be ${bytes}`);
    }
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
      placePages(memory, part.state, unpack(part.state, part.read()));
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
