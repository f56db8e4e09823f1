/**
 * Writing what an image carries of a file.
 *
 * @module
 */

import { FilesError } from "./errors.ts";
import type { FilesPart, HostFileState } from "./files_state.ts";
import { ftruncate } from "./host_calls.ts";
import { cannotOpen, nameOf } from "./restore_errors.ts";
import type { Steps } from "./steps.ts";

/** The bytes that the image carries, in order, checked against the size. */
export function* carriedPieces(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
): Generator<{ offset: number; bytes: Uint8Array }> {
  let offset = 0;
  for (const part of content) {
    if (part.state.part !== "content" || part.state.offset !== offset) break;
    const bytes = part.data();
    yield { offset, bytes };
    offset += bytes.length + part.state.zeroBytes;
  }
  if (offset !== state.identity.sizeBytes) {
    throw new FilesError(
      "FILES_STATE",
      `${
        nameOf(state, fd)
      }: the image carries ${offset} of its ${state.identity.sizeBytes} bytes`,
    );
  }
}

/** What the image carries cannot be written: why. */
export function cannotFill(
  state: HostFileState,
  fd: number,
  cause: unknown,
): FilesError {
  const why = cause instanceof Error ? cause.message : `${cause}`;
  return new FilesError(
    "FILES_IO",
    `${nameOf(state, fd)}: what the image carries cannot be written: ${why}`,
    { hint: "make room on its disk", cause },
  );
}

/**
 * Gives a file, which is empty, the content that the image carries.
 *
 * @param count is told of each piece's bytes before it is written
 */
export function* fill(
  state: HostFileState,
  fd: number,
  content: readonly FilesPart[],
  hostFd: number,
  count: (bytes: number) => void = () => {},
): Steps<void> {
  for (const { offset, bytes } of carriedPieces(state, fd, content)) {
    count(bytes.length);
    try {
      using file = Deno.openSync(`/proc/self/fd/${hostFd}`, { write: true });
      file.seekSync(offset, Deno.SeekMode.Start);
      for (let done = 0; done < bytes.length;) {
        done += file.writeSync(bytes.subarray(done));
      }
    } catch (cause) {
      throw cannotFill(state, fd, cause);
    }
    yield;
  }
  // What is left at the end is zeros.
  const result = ftruncate(hostFd, state.identity.sizeBytes);
  if (result < 0) throw cannotOpen(state, fd, result);
}
