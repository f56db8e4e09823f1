/**
 * What is known of a host file, to tell whether it is the same later.
 *
 * @module
 */

import * as v from "valibot";
import { bytes, count, nodeCrypto } from "../state/mod.ts";
import { fstat } from "./host_calls.ts";
import { S_IF } from "./host_constants.ts";

/** What is known of a host file, to tell whether it is the same later. */
export const fileIdentity = v.object({
  /** Device and inode, as text: 64 bits each. */
  device: v.string(),
  inode: v.string(),
  sizeBytes: count,
  /** When it was last changed, nanoseconds since 1970, as text. */
  modifiedNs: v.string(),
  /** SHA-256 of its content; null when it was too long to read. */
  digest: v.nullable(bytes(32)),
});

/** What is known of a host file. */
export type FileIdentity = v.InferOutput<typeof fileIdentity>;

/** Files up to this size are read for their digest. */
const DIGEST_BYTES = 64 * 1024 * 1024;

/** What is known of the file behind a host descriptor. */
export function identityOf(fd: number, digestOf?: number): {
  identity: FileIdentity;
  isRegular: boolean;
  isFolder: boolean;
  isUnlinked: boolean;
} | number {
  const stat = new DataView(new ArrayBuffer(144));
  const result = fstat(fd, new Uint8Array(stat.buffer));
  if (result < 0) return result;
  const sizeBytes = Number(stat.getBigInt64(48, true));
  const type = stat.getUint32(24, true) & S_IF.mask;
  const isFolder = type === S_IF.directory;
  // Opening a pipe to read it would wait for a writer.
  const isRegular = type === S_IF.regular;
  const modifiedNs = stat.getBigInt64(88, true) * 1_000_000_000n +
    stat.getBigInt64(96, true);
  return {
    identity: {
      device: `${stat.getBigUint64(0, true)}`,
      inode: `${stat.getBigUint64(8, true)}`,
      sizeBytes: isFolder ? 0 : sizeBytes,
      modifiedNs: `${modifiedNs}`,
      digest: isRegular ? digestFile(fd, digestOf ?? sizeBytes) : null,
    },
    isRegular,
    isFolder,
    isUnlinked: stat.getBigUint64(16, true) === 0n,
  };
}

/** SHA-256 of a file's first bytes; null when it is too long or unreadable. */
function digestFile(fd: number, lengthBytes: number): Uint8Array | null {
  if (lengthBytes > DIGEST_BYTES) return null;
  let file: Deno.FsFile;
  try {
    // A descriptor of its own: the program's may be for writing only.
    file = Deno.openSync(`/proc/self/fd/${fd}`);
  } catch {
    return null;
  }
  try {
    const hash = nodeCrypto().createHash("sha256");
    const chunk = new Uint8Array(Math.min(1024 * 1024, lengthBytes));
    for (let done = 0; done < lengthBytes;) {
      const n = file.readSync(chunk.subarray(0, lengthBytes - done));
      if (n === null) return null;
      hash.update(chunk.subarray(0, n));
      done += n;
    }
    return new Uint8Array(hash.digest());
  } finally {
    file.close();
  }
}
