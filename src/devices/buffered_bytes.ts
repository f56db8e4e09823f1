/**
 * The bytes that pipes, sockets and files of /proc hold, on their way through an
 * image: one after the other, in parts.
 *
 * @module
 */

import type { Part } from "../state/mod.ts";
import type { FilesPart, FilesTable } from "./files_state.ts";
import { PipeBuffer } from "./pipe.ts";
import { malformed } from "./restore_errors.ts";
import type { Steps } from "./steps.ts";

/** How many of them one part holds. */
const PART_BYTES = 4 * 1024 * 1024;

/** Parts with all of `pieces`, which are not copied. */
export function* bufferedParts(pieces: Iterable<Uint8Array>): Generator<Part> {
  const value = { part: "buffered" };
  let data: Uint8Array[] = [];
  let room = PART_BYTES;
  for (let piece of pieces) {
    while (piece.length > 0) {
      const some = piece.subarray(0, room);
      data.push(some);
      piece = piece.subarray(some.length);
      room -= some.length;
      if (room > 0) continue;
      yield { value, data };
      data = [];
      room = PART_BYTES;
    }
  }
  if (data.length > 0) yield { value, data };
}

/** What held bytes at a save, with them. */
export interface Buffered {
  /** Each of the table's pipes. */
  readonly pipes: readonly PipeBuffer[];
  /** The messages of sockets, by the socket's place in `files`. */
  readonly messages: ReadonlyMap<number, readonly Uint8Array[]>;
  /** Each of the table's texts. */
  readonly texts: readonly Uint8Array[];
}

/**
 * Gives pipes, sockets and files of /proc their bytes again.
 *
 * @param parts all but the table
 * @throws {FilesError} when they are not as many as the table says
 */
export function* restoreBuffered(
  table: FilesTable,
  parts: readonly FilesPart[],
): Steps<Buffered> {
  const reader = new BufferedReader(table.buffered, parts);
  const pipes: PipeBuffer[] = [];
  for (const pipe of table.pipes) {
    pipes.push(restorePipe(pipe, reader.take(pipe.lengthBytes)));
    yield;
  }
  const messages = new Map<number, Uint8Array[]>();
  for (const [index, file] of table.files.entries()) {
    if (file.type !== "socket") continue;
    messages.set(index, file.messageBytes.map((n) => reader.take(n)));
    yield;
  }
  const texts: Uint8Array[] = [];
  for (const lengthBytes of table.texts) {
    texts.push(reader.take(lengthBytes));
    yield;
  }
  reader.finish();
  return { pipes, messages, texts };
}

/** Makes a pipe again, with what was in it. @throws {FilesError} */
function restorePipe(
  p: FilesTable["pipes"][number],
  content: Uint8Array,
): PipeBuffer {
  const inSegments = p.segments.reduce((n, one) => n + one.lengthBytes, 0);
  if (inSegments > content.length) {
    throw malformed(`the packets of pipe ${p.inode} are more than is in it`);
  }
  const pipe = new PipeBuffer(p.inode, content, p.capacityBytes, p.segments);
  pipe.open.read = p.readEndOpen;
  pipe.open.write = p.writeEndOpen;
  return pipe;
}

/** Reads bytes that are in parts; one part at a time is in memory. */
class BufferedReader {
  #left: Uint8Array;
  readonly #parts: readonly FilesPart[];
  #next = 0;

  constructor(first: Uint8Array, parts: readonly FilesPart[]) {
    this.#left = first;
    this.#parts = parts.filter(({ state }) => state.part === "buffered");
  }

  /** The next bytes, a copy. @throws {FilesError} where there are fewer */
  take(lengthBytes: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes);
    for (let done = 0; done < lengthBytes;) {
      if (this.#left.length === 0) this.#left = this.#nextPart();
      const some = this.#left.subarray(0, lengthBytes - done);
      bytes.set(some, done);
      done += some.length;
      this.#left = this.#left.subarray(some.length);
    }
    return bytes;
  }

  #nextPart(): Uint8Array {
    const part = this.#parts[this.#next++];
    if (!part) throw malformed("bytes of pipes, sockets or texts are missing");
    return part.data();
  }

  /** @throws {FilesError} where there are more */
  finish(): void {
    if (this.#left.length === 0 && this.#next >= this.#parts.length) return;
    throw malformed("there are more bytes than pipes, sockets and texts hold");
  }
}
