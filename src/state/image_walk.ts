/**
 * The way through an image from its first byte to its last, checking each:
 * the one reader behind files and streams.
 *
 * @module
 */

import { crc32, nodeCrypto } from "./node_builtins.ts";
import type { ByteSource } from "./byte_source.ts";
import { ImageError, type ImageErrorCode } from "./errors.ts";
import { isZero } from "./fields.ts";
import {
  ALIGN_BYTES,
  alignUp,
  HEADER,
  INDEX_KIND,
  MAX_DATA_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_SECTIONS,
  MAX_TOTAL_PAYLOAD_BYTES,
  PAGE_SIZE_BYTES,
  SECTION,
  TRAILER,
} from "./format.ts";
import { decodeHeader, type ImageHeader } from "./header.ts";
import type { ImageSummary } from "./image_writer.ts";
import { compareIndex, INDEX_VERSION } from "./index_section.ts";
import {
  dataOffsetOf,
  decodeSectionHeader,
  describeSection,
  payloadEnd,
  type Section,
  type SectionInfo,
} from "./section.ts";
import { decodeTrailer } from "./trailer.ts";

/** What is told of an image on the way through it. */
export interface ImageVisitor {
  /** The header, before anything else. */
  header?(header: ImageHeader): void | Promise<void>;
  /**
   * Where the data of a section is to go, piece by piece, as long together as
   * the data; absent: into a buffer. What was put there may yet turn out to be
   * damaged: only once {@linkcode ImageVisitor.section} is called was it checked.
   */
  place?(section: Section): readonly Uint8Array[] | undefined;
  /**
   * A section. `data` is a view that is used again when this has resolved; it
   * is empty when the section has no data, when it went where
   * {@linkcode ImageVisitor.place} said, and when data is passed over.
   */
  section(section: Section, data: Uint8Array): void | Promise<void>;
}

/**
 * Goes through an image. Data is read and checked, unless the source can pass
 * over it.
 *
 * Sections are told of before the end was seen: until this has resolved, the
 * image may still turn out to be truncated.
 *
 * @throws {ImageError} whatever is wrong with it; what the visitor throws
 */
export async function walkImage(
  source: ByteSource,
  visitor: ImageVisitor,
): Promise<ImageSummary> {
  return await new Walk(source, visitor).run();
}

const NO_DATA = new Uint8Array();

/** How much data is read before it is checked. */
const CHECK_BYTES = 1024 * 1024;

class Walk {
  readonly #source: ByteSource;
  readonly #visitor: ImageVisitor;
  readonly #digest = nodeCrypto().createHash("sha256");
  readonly #found: SectionInfo[] = [];
  readonly #names = new Set<string>();
  readonly #small = new Uint8Array(SECTION.sizeBytes);
  /** Used for the data of every section; as large as the largest so far. */
  #data = NO_DATA;
  #payloadBytes = 0;
  #dataBytes = 0;
  #offset = 0;
  /** What is being read, for messages. */
  #where = "header";

  constructor(source: ByteSource, visitor: ImageVisitor) {
    this.#source = source;
    this.#visitor = visitor;
  }

  async run(): Promise<ImageSummary> {
    const count = await this.#source.fill(this.#small);
    const header = decodeHeader(
      this.#small.subarray(0, count),
      this.#source.name,
    );
    this.#offset = HEADER.sizeBytes;
    this.#digest.update(this.#small);
    await this.#visitor.header?.(header);
    while (true) {
      const info = await this.#sectionHeader();
      const payload = await this.#payload(info);
      if (info.kind === INDEX_KIND) return await this.#end(info, payload);
      const section = { ...info, payload };
      const data = await this.#bulk(section);
      this.#found.push(info);
      await this.#visitor.section(section, data);
    }
  }

  /** Reads the next section's header, and checks that it belongs there. */
  async #sectionHeader(): Promise<SectionInfo> {
    const sequence = this.#found.length;
    const offset = this.#offset;
    this.#where = `section ${sequence}`;
    await this.#fill(this.#small, "the header of ");
    const header = decodeSectionHeader(this.#small);
    if (header === "unknown flags") {
      throw this.#error(
        "IMAGE_VERSION",
        `${this.#where} at byte ${offset} has flags that this does not know`,
        offset,
      );
    }
    if (typeof header === "string") {
      const what = header === "damaged" ? "is damaged" : "is not there";
      throw this.#corrupt(`${this.#where} at byte ${offset} ${what}`, offset);
    }
    this.#where = describeSection(header);
    if (header.sequence !== sequence) {
      throw this.#corrupt(
        `${this.#where} at byte ${offset} is section ${header.sequence}, expected section ${sequence}`,
        offset,
      );
    }
    this.#payloadBytes += header.payloadBytes;
    const excess = header.payloadBytes > MAX_PAYLOAD_BYTES ||
        header.dataBytes > MAX_DATA_BYTES
      ? "is longer than a section may be"
      : this.#payloadBytes > MAX_TOTAL_PAYLOAD_BYTES
      ? "makes the state longer than it may be"
      : sequence >= MAX_SECTIONS && header.kind !== INDEX_KIND
      ? "is one more than there may be"
      : undefined;
    if (excess !== undefined) {
      throw this.#corrupt(`${this.#where} at byte ${offset} ${excess}`, offset);
    }
    this.#checkPart(header, offset);
    this.#digest.update(this.#small);
    return { ...header, offset, dataOffset: dataOffsetOf(offset, header) };
  }

  /** Parts of one component stand together, numbered from 0. */
  #checkPart(
    header: Pick<SectionInfo, "kind" | "id" | "version" | "part" | "dataBytes">,
    offset: number,
  ): void {
    const { kind, id, version, part } = header;
    if (kind === INDEX_KIND) {
      if (part === 0 && header.dataBytes === 0 && version >= INDEX_VERSION) {
        return;
      }
      throw this.#corrupt(`the index at byte ${offset} is damaged`, offset);
    }
    const before = this.#found.at(-1);
    const name = JSON.stringify([kind, id]);
    const follows = part === 0
      ? !this.#names.has(name)
      : before?.kind === kind && before.id === id &&
        before.version === version && before.part === part - 1;
    if (!follows) {
      throw this.#corrupt(
        `${this.#where} at byte ${offset} does not belong there`,
        offset,
      );
    }
    this.#names.add(name);
  }

  /** Reads a section's payload, and what there is before data or the next. */
  async #payload(info: SectionInfo): Promise<Uint8Array> {
    const offset = this.#offset;
    const left = this.#source.remainingBytes;
    if (left !== undefined && left < info.payloadBytes) {
      // Before anything is allocated for it.
      this.#offset += left;
      throw this.#truncated("the payload of ");
    }
    const payload = new Uint8Array(info.payloadBytes);
    await this.#fill(payload, "the payload of ");
    if (crc32(payload) !== info.payloadCrc) {
      throw this.#corrupt(
        `the payload of ${this.#where} at byte ${offset} is damaged`,
        offset,
      );
    }
    const next = info.dataOffset || alignUp(this.#offset, ALIGN_BYTES);
    if (this.#source.skip && info.dataAlignBytes > PAGE_SIZE_BYTES) {
      // As long as data may be, and looked at where data is.
      const padding = next - this.#offset;
      const passed = this.#source.skip(padding);
      this.#offset += passed;
      if (passed < padding) throw this.#truncated("the padding after ");
    } else {
      await this.#padding(next);
    }
    return payload;
  }

  /** Reads and checks a section's data, or passes over it. */
  async #bulk(info: Section): Promise<Uint8Array> {
    if (info.dataBytes === 0) {
      if (info.dataCrc === 0) return NO_DATA;
      throw this.#corrupt(`${this.#where} is damaged`, info.offset);
    }
    this.#dataBytes += info.dataBytes;
    let data = NO_DATA;
    if (this.#source.skip) {
      const passed = this.#source.skip(info.dataBytes);
      this.#offset += passed;
      if (passed < info.dataBytes) throw this.#truncated("the data of ");
    } else {
      const places = this.#visitor.place?.(info);
      if (!places) data = this.#buffer(info.dataBytes);
      await this.#checked(info, places ?? [data]);
    }
    await this.#padding(alignUp(this.#offset, ALIGN_BYTES));
    return data;
  }

  /** So many bytes of the buffer that all sections share. */
  #buffer(lengthBytes: number): Uint8Array<ArrayBuffer> {
    if (this.#data.length < lengthBytes) {
      this.#data = new Uint8Array(lengthBytes);
    }
    return this.#data.subarray(0, lengthBytes);
  }

  /** Reads a section's data to where it goes, and checks it there. */
  async #checked(
    info: SectionInfo,
    places: readonly Uint8Array[],
  ): Promise<void> {
    let left = info.dataBytes;
    let crc = 0;
    for (const place of places) {
      left -= place.length;
      if (left < 0) break;
      // While it is in the cache: a place can be a part's 64 MiB.
      for (let done = 0; done < place.length; done += CHECK_BYTES) {
        const piece = place.subarray(done, done + CHECK_BYTES);
        await this.#fill(piece, "the data of ");
        crc = crc32(piece, crc);
      }
    }
    if (left !== 0) {
      throw new RangeError(
        `Cannot place ${info.dataBytes} bytes of ${this.#where}: its places differ by ${-left}`,
      );
    }
    if (crc !== info.dataCrc) throw dataDamaged(this.#source.name, info);
  }

  /** Reads zeros up to byte `end`. */
  async #padding(end: number): Promise<void> {
    if (end === this.#offset) return;
    const start = this.#offset;
    const padding = new Uint8Array(end - start);
    await this.#fill(padding, "the padding after ");
    if (!isZero(padding)) {
      throw paddingDamaged(this.#source.name, this.#where, start);
    }
  }

  /** Reads the trailer, and compares it and the index with what was found. */
  async #end(index: SectionInfo, payload: Uint8Array): Promise<ImageSummary> {
    if (index.dataCrc !== 0 || payloadEnd(index) > this.#offset) {
      throw this.#corrupt("the index is damaged", index.offset);
    }
    const differs = compareIndex(payload, this.#found);
    if (differs !== undefined) {
      throw this.#corrupt(
        `the index at byte ${index.offset} does not fit: ${differs}`,
        index.offset,
      );
    }
    const offset = this.#offset;
    this.#where = "trailer";
    const bytes = this.#small.subarray(0, TRAILER.sizeBytes);
    await this.#fill(bytes, "the ");
    const trailer = decodeTrailer(bytes);
    if (trailer === undefined) {
      throw this.#corrupt(`the trailer at byte ${offset} is damaged`, offset);
    }
    const digest = this.#digest.digest();
    if (
      trailer.indexOffset !== index.offset ||
      trailer.totalBytes !== this.#offset || !digest.equals(trailer.digest)
    ) {
      throw this.#corrupt(
        `the trailer at byte ${offset} belongs to another image`,
        offset,
      );
    }
    if (await this.#source.fill(this.#small.subarray(0, 1)) > 0) {
      throw this.#corrupt(
        `there are bytes after its end at byte ${this.#offset}`,
        this.#offset,
      );
    }
    return {
      totalBytes: this.#offset,
      dataBytes: this.#dataBytes,
      sectionCount: this.#found.length,
      digest: digest.toString("hex"),
    };
  }

  async #fill(target: Uint8Array, what: string): Promise<void> {
    const filled = this.#source.fill(target);
    const count = typeof filled === "number" ? filled : await filled;
    this.#offset += count;
    if (count < target.length) throw this.#truncated(what);
  }

  #truncated(what: string): ImageError {
    return this.#error(
      "IMAGE_TRUNCATED",
      `it ends at byte ${this.#offset}, inside ${what}${this.#where}`,
      this.#offset,
    );
  }

  #corrupt(what: string, offset: number): ImageError {
    return this.#error("IMAGE_CORRUPT", what, offset);
  }

  #error(code: ImageErrorCode, what: string, offset: number): ImageError {
    return new ImageError(code, `Cannot read ${this.#source.name}: ${what}`, {
      section: this.#where,
      offset,
    });
  }
}

/** The error of padding that is not zero. */
export function paddingDamaged(
  name: string,
  section: string,
  offset: number,
): ImageError {
  return new ImageError(
    "IMAGE_CORRUPT",
    `Cannot read ${name}: the padding after ${section} at byte ${offset} is damaged`,
    { section, offset },
  );
}

/** The error of a section whose data does not fit its checksum. */
export function dataDamaged(name: string, info: SectionInfo): ImageError {
  return new ImageError(
    "IMAGE_CORRUPT",
    `Cannot read ${name}: the data of ${
      describeSection(info)
    } at byte ${info.dataOffset} is damaged`,
    { section: describeSection(info), offset: info.dataOffset },
  );
}
