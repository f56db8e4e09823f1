/**
 * The index: the last section, which lists all others.
 *
 * @module
 */

import { decodePayload, encodePayload } from "./payload.ts";
import type { SectionInfo } from "./section.ts";

/** The fields of an entry, which are those of a section. */
const FIELDS = [
  "sequence",
  "kind",
  "id",
  "version",
  "part",
  "offset",
  "payloadBytes",
  "payloadCrc",
  "dataOffset",
  "dataBytes",
  "dataCrc",
] as const satisfies readonly (keyof SectionInfo)[];

/** The version of the index's payload. */
export const INDEX_VERSION = 1;

/** The payload of an index that lists `sections`. */
export function encodeIndex(sections: readonly SectionInfo[]): Uint8Array {
  return encodePayload(sections.map((section) => {
    return Object.fromEntries(FIELDS.map((field) => [field, section[field]]));
  }));
}

/**
 * Compares an index with the sections that were found.
 *
 * @returns what differs; `undefined` when nothing does. Fields that an entry
 * has beyond those known are passed over.
 */
export function compareIndex(
  payload: Uint8Array,
  sections: readonly SectionInfo[],
): string | undefined {
  let entries: unknown;
  try {
    entries = decodePayload(payload);
  } catch (error) {
    return `it is ${(error as Error).message}`;
  }
  if (!Array.isArray(entries)) return "it is no list";
  if (entries.length !== sections.length) {
    return `it lists ${entries.length} sections, there are ${sections.length}`;
  }
  for (const [i, section] of sections.entries()) {
    const entry: unknown = entries[i];
    if (typeof entry !== "object" || entry === null) {
      return `its entry ${i} is not a map`;
    }
    for (const field of FIELDS) {
      if (
        !Object.hasOwn(entry, field) ||
        (entry as SectionInfo)[field] !== section[field]
      ) {
        return `its entry ${i} has another ${field} than section ${i}`;
      }
    }
  }
  return undefined;
}
