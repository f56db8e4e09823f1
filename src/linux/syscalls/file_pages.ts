/**
 * Pages of files that a program has copies of: private mappings.
 *
 * @module
 */

import { ERRNO } from "../../kvm/mod.ts";
import { HostFile, O, type OpenFile } from "../../devices/mod.ts";
import { BLOCK_BYTES, PROT } from "../../vmm/mod.ts";
import { isSameFile, sourceOf } from "../area_source.ts";
import type { Area } from "../areas.ts";
import type { Linux } from "../linux.ts";
import { pageCeil } from "../space_layout.ts";

/**
 * Maps a copy of a file's pages; those wholly beyond its end may not be used.
 *
 * @returns `va`, or a negative errno
 */
export function mapFile(
  linux: Linux,
  file: OpenFile,
  offset: number,
  where: { va: number; bytes: number; prot: number; lazy: boolean },
): number {
  const { va, bytes, prot, lazy } = where;
  const { space } = linux;
  const stat = new Uint8Array(144);
  const looked = file.stat(stat);
  if (looked < 0) return looked;
  const sizeBytes = Number(new DataView(stat.buffer).getBigInt64(48, true));
  const held = Math.min(pageCeil(Math.max(sizeBytes - offset, 0)), bytes);
  // All that the file holds is brought in now, into blocks of its own.
  if (held > space.blocks.freeBytes - BLOCK_BYTES) return -ERRNO.ENOMEM;
  // What is there already stays where the file cannot be put in its place.
  const isCommitted = held > 0 && (prot & PROT.write) !== 0 && !lazy;
  if (isCommitted && !space.hasRoom(held, [va, va + bytes])) {
    return -ERRNO.ENOMEM;
  }
  const fd = file.hostFd!; // files of the host alone are mapped
  const from = sourceOf(fd, linux.paths.nameOf(fd));
  const source = from && { file: from, offset };
  const result = space.map(va, bytes, prot, "beyond", true, source);
  if (result < 0 || held === 0) return result;
  const inside = space.map(va, held, prot, "file", lazy, source);
  if (inside < 0) {
    space.unmap(va, bytes);
    return inside;
  }
  for (let done = 0; done < held;) {
    const io = linux.user.area(va + done, held - done);
    const got = file.pread(io, offset + done);
    if (got < 0) {
      space.unmap(va, bytes);
      return got === -ERRNO.EISDIR ? -ERRNO.ENODEV : got;
    }
    if (got === 0) break; // what is left of the last page: zero
    done += got;
  }
  return va;
}

/** Opens the file that an area's pages were read from, if it is there still. */
export function openSource(
  linux: Linux,
  { source }: Area,
): HostFile | undefined {
  if (!source) return undefined;
  const { path } = source.file;
  const fd = linux.paths.open("/", path, O.readOnly, 0, { read: true });
  if (fd < 0) return undefined;
  const file = new HostFile(fd, O.readOnly);
  const found = sourceOf(fd, path);
  if (found && isSameFile(found, source.file)) return file;
  file.close();
  return undefined;
}

/** Reads pages of a private mapping from their file again. */
export function readAgain(
  linux: Linux,
  area: Area,
  start: number,
  end: number,
): void {
  const file = openSource(linux, area);
  if (!file) return;
  const offset = area.source!.offset + (start - area.start);
  for (let done = 0; done < end - start;) {
    const io = linux.user.area(start + done, end - start - done);
    const got = file.pread(io, offset + done);
    if (got <= 0) break;
    done += got;
  }
  file.close();
}
