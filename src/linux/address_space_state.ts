/**
 * How an address space travels.
 *
 * @module
 */

import * as v from "valibot";
import { count as address, type StateSchema } from "../state/mod.ts";
import { PAGE_BYTES, PROT, USER_END_VA, VmError } from "../vmm/mod.ts";
import { areaMemoryFields } from "./area_memory.ts";
import {
  areaSourceField,
  type SourceFile,
  sourcesField,
} from "./area_source.ts";
import { type Area, MAX_AREAS } from "./areas.ts";
import { type MappedFiles, mappedFilesField } from "./mapped_files.ts";

/** How an address space travels. */
export const addressSpaceState = {
  kind: "address-space",
  version: 5,
  schema: v.object({
    areas: v.pipe(
      v.array(v.object({
        start: address,
        end: address,
        prot: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(7)),
        kind: v.picklist([
          "program",
          "heap",
          "stack",
          "anonymous",
          "file",
          "beyond",
          "device",
          "vdso",
          "vvar",
          "shared",
        ]),
        lazy: v.exactOptional(v.literal(true)),
        gpa: v.exactOptional(address),
        source: v.exactOptional(areaSourceField),
      })),
      // A split may have made one or two more.
      v.maxLength(MAX_AREAS + 2),
    ),
    ...areaMemoryFields,
    files: mappedFilesField,
    /** Files that pages were read from. */
    sources: sourcesField,
    brkStart: address,
    brk: address,
  }),
  // Version 2 added areas that devices answer, version 3 those of the vDSO,
  // version 4 shared files, version 5 which files pages were read from.
  upgrades: {
    1: (old: unknown) => old,
    2: (old: unknown) => old,
    3: (old: unknown) => ({ ...old as object, files: [] }),
    4: (old: unknown) => ({ ...old as object, sources: [] }),
  },
} satisfies StateSchema<unknown>;

/** The state of an address space, version 5. */
export type AddressSpaceStateV5 = v.InferOutput<
  typeof addressSpaceState.schema
>;

/** Whether a device claims all of a range of physical addresses. */
export type IsDevice = (gpa: number, lengthBytes: number) => boolean;

/**
 * The areas of a state.
 *
 * @param files those that are shared
 * @throws {VmError} when they are out of place, or lead to what is not there
 */
export function areasOf(
  state: AddressSpaceStateV5,
  files: MappedFiles,
  isDevice: IsDevice,
): Area[] {
  const areas: Area[] = [];
  let last = 0;
  for (const area of state.areas) {
    if (
      area.start < last || area.end <= area.start || area.end > USER_END_VA ||
      area.start % PAGE_BYTES !== 0 || area.end % PAGE_BYTES !== 0
    ) {
      throw new VmError(
        "VM_MEMORY",
        `Cannot restore the address space: area 0x${
          area.start.toString(16)
        } is out of place`,
      );
    }
    const { kind, gpa, start, end } = area;
    const leadsOn = kind === "device" || kind === "shared";
    const isThere = (gpa: number, bytes: number) => {
      if (gpa % PAGE_BYTES !== 0) return false;
      if (kind === "device") return isDevice(gpa, bytes);
      const file = files.find(gpa);
      return file !== undefined &&
        gpa + bytes <= file.gpa + file.lengthBytes &&
        (file.isWritable || (area.prot & PROT.write) === 0);
    };
    if (
      leadsOn !== (gpa !== undefined) ||
      (gpa !== undefined && !isThere(gpa, end - start))
    ) {
      throw new VmError(
        "VM_MEMORY",
        `Cannot restore the address space: area 0x${
          start.toString(16)
        } leads to a ${
          kind === "shared" ? "file" : "device"
        } that is not there`,
      );
    }
    last = area.end;
    const { source, ...rest } = area;
    const file = source && state.sources[source.file];
    if (source && !file) {
      throw new VmError(
        "VM_MEMORY",
        `Cannot restore the address space: area 0x${
          start.toString(16)
        } is of a file that is not there`,
      );
    }
    areas.push(
      source && file
        ? { ...rest, source: { file, offset: source.offset } }
        : rest,
    );
  }
  return areas;
}

/** What a state says of areas, and of the files that their pages are from. */
export function stateOfAreas(
  areas: readonly Area[],
): Pick<AddressSpaceStateV5, "areas" | "sources"> {
  const sources: SourceFile[] = [];
  // There may be as many files as areas.
  const indexes = new Map<string, number>();
  const indexOf = (file: SourceFile) => {
    const key = `${file.device} ${file.inode} ${file.path}`;
    const at = indexes.get(key) ?? sources.push(file) - 1;
    indexes.set(key, at);
    return at;
  };
  return {
    areas: areas.map(({ source, ...area }) =>
      source
        ? {
          ...area,
          source: { file: indexOf(source.file), offset: source.offset },
        }
        : area
    ),
    sources,
  };
}
