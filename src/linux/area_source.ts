/**
 * Which file the pages of an area were read from.
 *
 * @module
 */

import * as v from "valibot";
import { fstat } from "../devices/mod.ts";
import { bytePath, count as address, u64 } from "../state/mod.ts";

/** Most files that areas name. */
const MAX_SOURCES = 65530;

/** The field of an address space that names those files. */
export const sourcesField = v.pipe(
  v.array(v.object({
    /** Path in the program's root, a character a byte. */
    path: bytePath,
    device: u64,
    inode: u64,
  })),
  v.maxLength(MAX_SOURCES),
);

/** The field of an area that says where in which file its first page is. */
export const areaSourceField = v.object({
  /** Index into `sources`. */
  file: address,
  offset: address,
});

/** A file that pages were read from. */
export type SourceFile = Readonly<v.InferOutput<typeof sourcesField>[number]>;

/** Where the first page of an area is from. */
export interface AreaSource {
  /** The file. */
  readonly file: SourceFile;
  /** Where in it, bytes. */
  readonly offset: number;
}

/** The file behind a descriptor of the host's, by the path it has here. */
export function sourceOf(
  hostFd: number,
  path: string | undefined,
): SourceFile | undefined {
  const stat = new DataView(new ArrayBuffer(144));
  const looked = fstat(hostFd, new Uint8Array(stat.buffer));
  if (path === undefined || looked < 0) return undefined;
  return {
    path,
    device: stat.getBigUint64(0, true),
    inode: stat.getBigUint64(8, true),
  };
}

/** Whether two are the same file, by the same name. */
export function isSameFile(one: SourceFile, other: SourceFile): boolean {
  return one.path === other.path && one.device === other.device &&
    one.inode === other.inode;
}

/** What follows `bytes` behind the place that an area begins at. */
export function movedBy(
  source: AreaSource | undefined,
  bytes: number,
): AreaSource | undefined {
  return source && { file: source.file, offset: source.offset + bytes };
}
