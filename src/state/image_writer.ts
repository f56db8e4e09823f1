/**
 * Writing an image, front to back.
 *
 * @module
 */

import { crc32, nodeCrypto } from "./node_builtins.ts";
import { ChunkWriter, yieldToEventLoop } from "./chunk_writer.ts";
import type { Component, Dump, Part } from "./component.ts";
import { excerpt, ImageError, reasonOf } from "./errors.ts";
import { fitsField } from "./fields.ts";
import {
  ALIGN_BYTES,
  INDEX_KIND,
  MAX_DATA_BYTES,
  MAX_SECTIONS,
  MAX_TOTAL_PAYLOAD_BYTES,
  PAGE_SIZE_BYTES,
  SECTION,
  SECTION_TEXT_BYTES,
  TRAILER,
} from "./format.ts";
import { encodeHeader } from "./header.ts";
import type { ImageSink } from "./image_sink.ts";
import { encodeIndex, INDEX_VERSION } from "./index_section.ts";
import { encodePayload } from "./payload.ts";
import { dataOffsetOf, encodeSectionHeader, isDataAlign } from "./section.ts";
import type { SectionInfo } from "./section.ts";
import { encodeTrailer } from "./trailer.ts";

/** How far a save has come. */
export interface WriteProgress {
  /** The component that is being written. */
  readonly component: string;
  /** How many bytes of the image were written. */
  readonly writtenBytes: number;
}

/** How to write an image. */
export interface WriteOptions {
  /** What writes it, such as "ScratchVM 0.1.0": ASCII, at most 64 bytes. */
  readonly creator: string;
  /** Ends the save early; the image is then incomplete. */
  readonly signal?: AbortSignal;
  /** Called after each section. */
  readonly onProgress?: (progress: WriteProgress) => void;
}

/** What was written, or read. */
export interface ImageSummary {
  /** How many bytes the image has. */
  readonly totalBytes: number;
  /** How many of them are bulk data, such as pages of memory. */
  readonly dataBytes: number;
  /** How many sections there are, without the index. */
  readonly sectionCount: number;
  /** SHA-256 of all headers, as hex digits: equal for equal images only. */
  readonly digest: string;
}

/**
 * Writes the state of `components` to `sink`, in their order.
 *
 * Every component is asked for its state before the first byte is written;
 * parts are asked for one at a time while writing.
 *
 * @throws {ImageError} IMAGE_COMPONENT when one of them cannot be saved, or
 * answers what an image cannot hold; what the sink throws; the signal's reason
 */
export async function writeImage(
  components: Iterable<Component>,
  sink: ImageSink,
  options: WriteOptions,
): Promise<ImageSummary> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const header = encodeHeader(options.creator);
  const dumps = await dumpAll(components);
  const writer = new SectionWriter(new ChunkWriter(sink, signal));
  await writer.start(header);
  const put = async (section: PreparedSection | undefined) => {
    if (section === undefined) return;
    await writer.put(section);
    onProgress?.({ component: section.id, writtenBytes: writer.offset });
  };
  let prepared: PreparedSection | undefined;
  for (const { component, dump } of dumps) {
    const parts = dump.answer === "payload" ? [dump] : dump.parts;
    let part = 0;
    for (const piece of parts as Iterable<Part>) {
      // While a sink waits for its peer there is time for the next checksum.
      const [done, next] = await Promise.allSettled([
        put(prepared),
        writer.prepare(component, part++, piece),
      ]);
      if (done.status === "rejected") throw done.reason;
      if (next.status === "rejected") throw next.reason;
      prepared = next.value;
    }
    if (part === 0) throw cannotSave(component, "it gave none of its parts");
  }
  await put(prepared);
  return await writer.finish();
}

/** How much data is summed before the sink has its turn. */
const SLICE_BYTES = 1024 * 1024;

/** A section that has only to be written. */
interface PreparedSection
  extends Pick<SectionInfo, "kind" | "id" | "version" | "part"> {
  readonly payload: Uint8Array;
  readonly data: readonly Uint8Array[];
  readonly dataBytes: number;
  readonly dataAlignBytes: number;
  readonly dataCrc: number;
}

/** An answer that means sections. */
type Written = Extract<Dump, { answer: "payload" | "many" }>;

/** Asks every component, so that a refusal comes before any byte. */
async function dumpAll(
  components: Iterable<Component>,
): Promise<{ component: Component; dump: Written }[]> {
  const names = new Set<string>();
  const dumps: { component: Component; dump: Written }[] = [];
  for (const component of components) {
    const { kind, id, version } = component;
    if (
      !fitsField(kind, SECTION_TEXT_BYTES.kind) || kind === INDEX_KIND ||
      !fitsField(id, SECTION_TEXT_BYTES.id) ||
      !Number.isInteger(version) || version < 1 || version > 0xffff_ffff
    ) {
      throw cannotSave(
        component,
        `kind "${
          excerpt(String(kind))
        }", version ${version}: does not fit an image`,
      );
    }
    const name = JSON.stringify([kind, id]);
    if (names.has(name)) {
      throw cannotSave(component, `there are two of kind "${kind}"`);
    }
    names.add(name);
    let dump: Dump;
    try {
      dump = await component.dump();
    } catch (cause) {
      throw cannotSave(component, reasonOf(cause), cause);
    }
    switch (dump?.answer) {
      case "cannot":
        throw cannotSave(component, dump.why);
      case "nothing":
        break;
      case "payload":
      case "many":
        dumps.push({ component, dump });
        break;
      default:
        // Silence is no answer: what is not saved would be lost unnoticed.
        throw cannotSave(component, "it did not say what there is to save");
    }
  }
  return dumps;
}

/** Writes sections, and remembers what the index and the trailer need. */
class SectionWriter {
  readonly #out: ChunkWriter;
  readonly #written: SectionInfo[] = [];
  #preparedCount = 0;
  readonly #digest = nodeCrypto().createHash("sha256");
  readonly #headerBytes = new Uint8Array(SECTION.sizeBytes);
  #payloadBytes = 0;
  #dataBytes = 0;

  constructor(out: ChunkWriter) {
    this.#out = out;
  }

  get offset(): number {
    return this.#out.offset;
  }

  async start(header: Uint8Array): Promise<void> {
    this.#digest.update(header);
    await this.#out.write(header);
  }

  /** Encodes and sums one part of a component. */
  async prepare(
    component: Component,
    part: number,
    { value, data = [], dataAlignBytes = PAGE_SIZE_BYTES }: Part,
  ): Promise<PreparedSection> {
    let payload: Uint8Array;
    try {
      payload = encodePayload(value);
    } catch (cause) {
      throw cannotSave(component, reasonOf(cause), cause);
    }
    let dataBytes = 0;
    for (const chunk of data) dataBytes += chunk.length;
    this.#payloadBytes += payload.length;
    const excess = dataBytes > MAX_DATA_BYTES
      ? `part ${part} has ${dataBytes} bytes of data, must be <= ${MAX_DATA_BYTES}`
      : this.#payloadBytes > MAX_TOTAL_PAYLOAD_BYTES
      ? `the image would have more than ${MAX_TOTAL_PAYLOAD_BYTES} bytes of state beside its data`
      : this.#preparedCount >= MAX_SECTIONS
      ? `the image would have more than ${MAX_SECTIONS} sections`
      : !isDataAlign(dataAlignBytes)
      ? `data cannot be aligned to ${dataAlignBytes} bytes`
      : undefined;
    if (excess !== undefined) throw cannotSave(component, excess);
    this.#preparedCount++;
    const { kind, id, version } = component;
    return {
      ...{ kind, id, version, part, payload, data, dataBytes },
      dataAlignBytes: dataBytes > 0 ? dataAlignBytes : 0,
      dataCrc: await crcOf(data),
    };
  }

  /** Writes what was prepared. */
  async put(section: PreparedSection): Promise<void> {
    this.#written.push(await this.#put(section));
    this.#dataBytes += section.dataBytes;
  }

  /** Writes the index and the trailer. */
  async finish(): Promise<ImageSummary> {
    const indexOffset = this.#out.offset;
    await this.#put({
      ...{ kind: INDEX_KIND, id: INDEX_KIND, version: INDEX_VERSION, part: 0 },
      payload: encodeIndex(this.#written),
      ...{ data: [], dataBytes: 0, dataAlignBytes: 0, dataCrc: 0 },
    });
    const totalBytes = this.#out.offset + TRAILER.sizeBytes;
    const digest = this.#digest.digest();
    await this.#out.write(encodeTrailer({ indexOffset, totalBytes, digest }));
    await this.#out.flush();
    return {
      totalBytes,
      dataBytes: this.#dataBytes,
      sectionCount: this.#written.length,
      digest: digest.toString("hex"),
    };
  }

  async #put(section: PreparedSection): Promise<SectionInfo> {
    const { payload, data, dataBytes, dataAlignBytes, ...name } = section;
    const offset = this.#out.offset;
    const header = {
      ...name,
      sequence: this.#written.length,
      payloadBytes: payload.length,
      payloadCrc: crc32(payload),
      dataBytes,
      dataAlignBytes,
    };
    encodeSectionHeader(this.#headerBytes, header);
    this.#digest.update(this.#headerBytes);
    await this.#out.write(this.#headerBytes);
    await this.#out.write(payload);
    if (dataBytes > 0) {
      await this.#out.pad(dataAlignBytes);
      for (const chunk of data) await this.#out.write(chunk);
    }
    await this.#out.pad(ALIGN_BYTES);
    return { ...header, offset, dataOffset: dataOffsetOf(offset, header) };
  }
}

/** The checksum of `data`; a long one in slices, between which others run. */
async function crcOf(data: readonly Uint8Array[]): Promise<number> {
  let crc = 0;
  for (const chunk of data) {
    for (let done = 0; done < chunk.length; done += SLICE_BYTES) {
      const slice = chunk.subarray(done, done + SLICE_BYTES);
      crc = crc32(slice, crc);
      if (slice.length === SLICE_BYTES) await yieldToEventLoop();
    }
  }
  return crc;
}

function cannotSave(
  component: Component,
  why: string,
  cause?: unknown,
): ImageError {
  const { kind, id } = component;
  return new ImageError(
    "IMAGE_COMPONENT",
    `Cannot save "${excerpt(id)}": ${why}`,
    { section: `${excerpt(kind)} "${excerpt(id)}"`, cause },
  );
}
