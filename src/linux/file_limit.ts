/**
 * How long files may become: the program's own limit (RLIMIT_FSIZE), and, of
 * files in memory, the VM's: all together have as much as the VM's memory.
 *
 * @module
 */

import {
  fstat,
  HostFile,
  isInMemory,
  O,
  type OpenFile,
} from "../devices/mod.ts";
import { ERRNO } from "../kvm/mod.ts";
import { SIGNAL } from "./faults.ts";
import type { Linux } from "./linux.ts";
import { pageCeil } from "./space_layout.ts";
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

/** A file's inode, how long it is, and how much of it there is; bytes. */
function look(hostFd: number) {
  const bytes = new Uint8Array(144);
  const isThere = fstat(hostFd, bytes) >= 0;
  const stat = new DataView(bytes.buffer);
  const long = (at: number) => isThere ? Number(stat.getBigInt64(at, true)) : 0;
  return { inode: long(8), sizeBytes: long(48), heldBytes: long(64) * 512 };
}

/** What a file in memory takes, in whole pages; bytes. */
function takenBy({ sizeBytes, heldBytes }: ReturnType<typeof look>): number {
  return Math.max(pageCeil(sizeBytes), heldBytes);
}

/** What files in memory may still take; those that are mapped count too. */
function roomInMemory(linux: Linux): number {
  const taken = new Map<number, number>();
  for (const file of linux.fds.files()) {
    if (!(file instanceof HostFile) || !file.isInMemory) continue;
    const found = look(file.hostFd);
    taken.set(found.inode, takenBy(found));
  }
  const sum = [...taken.values()].reduce((all, one) => all + one, 0);
  return Math.max(linux.memory.sizeBytes - sum, 0);
}

/** How long a file in memory may become. */
function mostInMemory(linux: Linux, hostFd: number): number {
  return takenBy(look(hostFd)) + roomInMemory(linux);
}

/** What a call answers that would make a file too long: it sends SIGXFSZ. */
function tooLong(linux: Linux): number {
  const { process, ids, signals, task } = linux;
  const { pid } = process.state;
  signals.send(sentBy(SIGNAL.SIGXFSZ, CODE.user, pid, ids.uid), task);
  return -ERRNO.EFBIG;
}

/** Where a write begins. */
function startOf(
  file: HostFile,
  offset?: number,
  appends = (file.flags & O.append) !== 0,
): number {
  if (appends) return look(file.hostFd).sizeBytes;
  return offset ?? Math.max(file.seek(0, SEEK_CUR), 0);
}

/**
 * How many bytes may be written.
 *
 * @param offset where; absent: where the file's own offset is
 * @param appends whether it is at the end; absent: as the file was opened
 * @returns Infinity where there is no limit
 */
export function roomToWrite(
  linux: Linux,
  file: OpenFile,
  offset?: number,
  appends?: boolean,
): number {
  if (!(file instanceof HostFile)) return Infinity;
  let most = limitOf(linux);
  if (file.isInMemory) {
    most = Math.min(most, mostInMemory(linux, file.hostFd));
  }
  if (most === Infinity) return Infinity;
  return Math.max(most - startOf(file, offset, appends), 0);
}

/** What a write answers for which there is no room; arguments as before. */
export function noRoom(
  linux: Linux,
  file: OpenFile,
  offset?: number,
  appends?: boolean,
): number {
  const isTooLong = !(file instanceof HostFile) ||
    startOf(file, offset, appends) >= limitOf(linux);
  return isTooLong ? tooLong(linux) : -ERRNO.ENOSPC;
}

/**
 * Whether a file of the host may be made so long: 0, -EFBIG or -ENOSPC.
 *
 * @param hostFd the host's descriptor of it
 */
export function mayBecome(
  linux: Linux,
  hostFd: number,
  lengthBytes: number,
): number {
  if (lengthBytes <= look(hostFd).sizeBytes) return 0;
  if (lengthBytes > limitOf(linux)) return tooLong(linux);
  return mayHold(linux, hostFd, lengthBytes);
}

/** Whether a file, if it is one in memory, may have so much: 0 or -ENOSPC. */
function mayHold(linux: Linux, hostFd: number, lengthBytes: number): number {
  const isMuch = isInMemory(hostFd) &&
    lengthBytes > mostInMemory(linux, hostFd);
  return isMuch ? -ERRNO.ENOSPC : 0;
}

/**
 * Whether space may be reserved for a file up to there, though it stays as long
 * as it is: 0, -EFBIG or -ENOSPC. Only in memory does the limit count.
 */
export function mayReserve(
  linux: Linux,
  hostFd: number,
  endBytes: number,
): number {
  return isInMemory(hostFd) ? mayBecome(linux, hostFd, endBytes) : 0;
}
