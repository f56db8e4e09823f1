/**
 * Guest memory without a VM: filled, written as an image, and read back, by the
 * code that does it for a VM. None of it needs KVM.
 *
 * @module
 */

import { MachineSaver, machineState } from "../src/linux/machine_state.ts";
import {
  type ByteSource,
  decodeState,
  type ImageSink,
  type ImageSummary,
  readImage,
  type Section,
  writeImage,
} from "../src/state/mod.ts";
import {
  BLOCK_BYTES,
  BlockAllocator,
  Memory,
  MemorySaver,
  memoryState,
  placesOf,
} from "../src/vmm/mod.ts";

const MIB = 1024 * 1024;

/** The golden ratio times 2^32: as the C programs fill theirs. */
const STEP = 0x9e3779b9;

/**
 * What memory is filled with: numbers that do not repeat, or bytes of which zstd
 * leaves about a third.
 */
export type Content = "numbers" | "packable";

/** Memory of which every page was written. */
export class WrittenMemory implements Disposable {
  readonly #memory: Memory;
  readonly #blocks: BlockAllocator;

  /** @param mib how much, a multiple of 2 @param content what is in it */
  constructor(mib: number, content: Content = "numbers") {
    this.#memory = new Memory(mib * MIB);
    this.#blocks = new BlockAllocator(mib * MIB);
    for (let i = 0; i < mib * MIB / BLOCK_BYTES; i++) this.#blocks.allocate();
    if (content === "numbers") fillNumbers(this.#memory.u32);
    else fillPackable(this.#memory.u8);
  }

  /** Writes it as an image, as a VM's is written. */
  write(sink: ImageSink): Promise<ImageSummary> {
    const { sizeBytes } = this.#memory;
    return writeImage(
      [
        new MachineSaver(sizeBytes, "stays-at-cpl3"),
        new MemorySaver(this.#memory, this.#blocks),
      ],
      sink,
      { creator: "bench" },
    );
  }

  /** Gives it back. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

function fillNumbers(words: Uint32Array): void {
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, STEP);
}

/** Runs of pointers and small numbers, with noise between. */
function fillPackable(bytes: Uint8Array): void {
  const piece = new Uint8Array(MIB);
  let state = 1;
  for (let i = 0; i < MIB; i++) {
    state = Math.imul(state, 1103515245) + 12345 >>> 0;
    piece[i] = i % 16 < 11 ? i >> 10 & 0xff : state >>> 24;
  }
  for (let at = 0; at < bytes.length; at += MIB) {
    // So that no piece is that before it.
    piece[at / MIB % 4096] ^= at / MIB;
    bytes.set(piece, at);
  }
}

/**
 * Reads the image of memory with numbers into fresh memory, as a VM's is read
 * from a stream.
 *
 * @throws {Error} unless all of the memory came
 */
export async function readMemory(
  source: ReadableStream<Uint8Array> | ByteSource,
): Promise<void> {
  using owned = new DisposableStack();
  let memory: Memory | undefined;
  const memoryFor = (section: Section) =>
    memory ??= owned.use(
      new Memory(decodeState(memoryState, section).sizeBytes),
    );
  const { sectionCount } = await readImage(source, {
    place(section) {
      if (section.kind !== memoryState.kind) return undefined;
      const { dataBytes } = section;
      const state = decodeState(memoryState, section);
      return placesOf(memoryFor(section), { state, dataBytes });
    },
    section(section) {
      if (section.kind === machineState.kind) {
        decodeState(machineState, section);
      }
    },
  });
  const last = memory?.u32.at(-1);
  const expected = Math.imul(memory?.u32.length ?? 0, STEP) >>> 0;
  if (last !== expected) {
    throw new Error(`The memory of ${sectionCount} sections did not come over`);
  }
}
