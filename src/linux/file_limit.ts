/**
 * The limit on how long files may become (RLIMIT_FSIZE).
 *
 * @module
 */

import { fstat, HostFile, O, type OpenFile } from "../devices/mod.ts";
import { ERRNO } from "../kvm/mod.ts";
import { SIGNAL } from "./faults.ts";
import type { Linux } from "./linux.ts";
import { CODE, sentBy } from "./signals/info.ts";

/** Number of the limit (asm-generic/resource.h). */
const RLIMIT_FSIZE = 1;

const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;

/** From where lseek(2) counts: the file's offset. */
const SEEK_CUR = 1;

/** How long files may become; Infinity where nobody has set a limit. */
function limitOf(linux: Linux): number {
  const soft = linux.process.limits.get(RLIMIT_FSIZE)?.[0] ?? RLIM_INFINITY;
  return soft === RLIM_INFINITY ? Infinity : Number(soft);
}

/** How long a file is. */
function sizeOf(hostFd: number): number {
  const stat = new Uint8Array(144);
  if (fstat(hostFd, stat) < 0) return 0;
  return Number(new DataView(stat.buffer).getBigInt64(48, true));
}

/** What a call answers that would make a file too long: it sends SIGXFSZ. */
export function tooLong(linux: Linux): number {
  const { process, ids, signals, task } = linux;
  const { pid } = process.state;
  signals.send(sentBy(SIGNAL.SIGXFSZ, CODE.user, pid, ids.uid), task);
  return -ERRNO.EFBIG;
}

/**
 * How many bytes may be written.
 *
 * @param offset where; absent: where the file's own offset is
 * @returns Infinity where there is no limit
 */
export function roomToWrite(
  linux: Linux,
  file: OpenFile,
  offset?: number,
): number {
  const limit = limitOf(linux);
  if (limit === Infinity || !(file instanceof HostFile)) return Infinity;
  const at = file.flags & O.append
    ? sizeOf(file.hostFd)
    : offset ?? Math.max(file.seek(0, SEEK_CUR), 0);
  return Math.max(limit - at, 0);
}

/**
 * Whether a file of the host may be made so long: 0 or -EFBIG.
 *
 * @param hostFd the host's descriptor of it
 */
export function mayBecome(
  linux: Linux,
  hostFd: number,
  lengthBytes: number,
): number {
  if (lengthBytes <= limitOf(linux)) return 0;
  return lengthBytes > sizeOf(hostFd) ? tooLong(linux) : 0;
}
