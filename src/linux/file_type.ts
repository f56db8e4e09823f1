/**
 * What kind of file an open file is.
 *
 * @module
 */

import { type OpenFile, S_IF } from "../devices/mod.ts";

/** Bytes of a `struct stat`, and where its st_mode is. */
const STAT = { bytes: 144, mode: 24 } as const;

/** Whether an open file is a folder. */
export function isFolder(file: OpenFile): boolean {
  const bytes = new Uint8Array(STAT.bytes);
  if (file.stat(bytes) < 0) return false;
  const mode = new DataView(bytes.buffer).getUint32(STAT.mode, true);
  return (mode & S_IF.mask) === S_IF.directory;
}
