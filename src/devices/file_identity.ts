/**
 * What is known of a host file, to tell whether it is the same later.
 *
 * @module
 */

import * as v from "valibot";
import { ERRNO } from "../kvm/mod.ts";
import { bytes, count, nodeCrypto, yieldToEventLoop } from "../state/mod.ts";
import { fstat, fstatat } from "./host_calls.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_IF } from "./host_constants.ts";

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

/** How much is read between two turns of the event loop. */
const STEP_BYTES = 16 * 1024 * 1024;

/** A digest, and how long the file was when it was taken. */
interface TakenDigest {
  readonly digest: Uint8Array | null;
  readonly sizeBytes: number;
}

/** Digests that were taken already, by device and inode. */
export type Digests = Map<string, TakenDigest>;

/**
 * What is known of the file behind a host descriptor.
 *
 * @param digestOf of how many bytes to take the digest; absent: of all
 * @param digests digests of all of a file that were taken already
 */
export function identityOf(
  fd: number,
  digestOf?: number,
  digests?: Digests,
): {
  identity: FileIdentity;
  isRegular: boolean;
  isFolder: boolean;
} | number {
  const stat = new DataView(new ArrayBuffer(144));
  const result = fstat(fd, new Uint8Array(stat.buffer));
  if (result < 0) return result;
  const device = `${stat.getBigUint64(0, true)}`;
  const inode = `${stat.getBigUint64(8, true)}`;
  const taken = digests?.get(`${device}:${inode}`);
  // What was appended since a digest was taken is not part of what it is of.
  const sizeBytes = taken?.sizeBytes ?? Number(stat.getBigInt64(48, true));
  const type = stat.getUint32(24, true) & S_IF.mask;
  const isFolder = type === S_IF.directory;
  // Opening a pipe to read it would wait for a writer.
  const isRegular = type === S_IF.regular;
  const modifiedNs = stat.getBigInt64(88, true) * 1_000_000_000n +
    stat.getBigInt64(96, true);
  return {
    identity: {
      device,
      inode,
      sizeBytes: isFolder ? 0 : sizeBytes,
      modifiedNs: `${modifiedNs}`,
      digest: !isRegular
        ? null
        : taken
        ? taken.digest
        : digestFile(fd, digestOf ?? sizeBytes),
    },
    isRegular,
    isFolder,
  };
}

/** What looking gives where there is no such name (any more). */
const GONE: readonly number[] = [
  -ERRNO.ENOENT,
  -ERRNO.ENOTDIR,
  -ERRNO.ELOOP,
  // " (deleted)" makes a name longer.
  -ERRNO.ENAMETOOLONG,
  // The folder is gone, on a server.
  -ERRNO.ESTALE,
];

/**
 * Whether a path of the host, a character a byte, still names the file; a
 * negative errno where that cannot be known.
 */
export function leadsTo(
  path: string,
  { device, inode }: Pick<FileIdentity, "device" | "inode">,
): boolean | number {
  const stat = new DataView(new ArrayBuffer(144));
  const bytes = new Uint8Array(stat.buffer);
  const looked = fstatat(AT_FDCWD, path, bytes, AT_SYMLINK_NOFOLLOW);
  if (looked < 0) return GONE.includes(looked) ? false : looked;
  return `${stat.getBigUint64(0, true)}` === device &&
    `${stat.getBigUint64(8, true)}` === inode;
}

/**
 * Takes the digest of a file unless it was taken, while other things happen.
 *
 * @throws the signal's reason
 */
export async function digestOnce(
  fd: number,
  digests: Digests,
  signal?: AbortSignal,
): Promise<void> {
  const stat = new DataView(new ArrayBuffer(144));
  if (fstat(fd, new Uint8Array(stat.buffer)) < 0) return;
  if ((stat.getUint32(24, true) & S_IF.mask) !== S_IF.regular) return;
  const key = `${stat.getBigUint64(0, true)}:${stat.getBigUint64(8, true)}`;
  if (digests.has(key)) return;
  const sizeBytes = Number(stat.getBigInt64(48, true));
  const steps = digestSteps(fd, sizeBytes);
  for (;;) {
    const step = steps.next();
    if (step.done) {
      digests.set(key, { digest: step.value, sizeBytes });
      return;
    }
    await yieldToEventLoop();
    signal?.throwIfAborted();
  }
}

/** SHA-256 of a file's first bytes; null when it is too long or unreadable. */
function digestFile(fd: number, lengthBytes: number): Uint8Array | null {
  const steps = digestSteps(fd, lengthBytes);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** The same, with a stop now and then. */
function* digestSteps(
  fd: number,
  lengthBytes: number,
): Generator<void, Uint8Array | null> {
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
    let sinceStop = 0;
    for (let done = 0; done < lengthBytes;) {
      const n = file.readSync(chunk.subarray(0, lengthBytes - done));
      if (n === null) return null;
      hash.update(chunk.subarray(0, n));
      done += n;
      sinceStop += n;
      if (sinceStop >= STEP_BYTES) {
        sinceStop = 0;
        yield;
      }
    }
    return new Uint8Array(hash.digest());
  } finally {
    file.close();
  }
}
