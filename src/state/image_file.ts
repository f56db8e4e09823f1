/**
 * An image in a file: its state at once, its data when it is wanted.
 *
 * @module
 */

import { crc32 } from "./node_builtins.ts";
import { cannotRead, FileSource, readAt } from "./byte_source.ts";
import { yieldToEventLoop } from "./chunk_writer.ts";
import { ImageError } from "./errors.ts";
import type { ImageHeader } from "./header.ts";
import { isZero } from "./fields.ts";
import { PAGE_SIZE_BYTES } from "./format.ts";
import { dataDamaged, paddingDamaged, walkImage } from "./image_walk.ts";
import type { ImageSummary } from "./image_writer.ts";
import {
  describeSection,
  payloadEnd,
  type Section,
  type SectionInfo,
} from "./section.ts";

/** How much data is checked between two turns of the event loop. */
const VERIFY_BYTES = 1024 * 1024;

/** Which file an image is in, to tell it from one that took its place. */
export interface FileIdentity {
  /** Device number, as in stat(2). */
  readonly device: number;
  /** Inode number; `null` where there is none. */
  readonly inode: number | null;
  /** How long the file is. */
  readonly sizeBytes: number;
  /** When it was last changed, in ms since 1970; `null` when not known. */
  readonly modifiedMs: number | null;
}

/** How far a check has come. */
export interface VerifyProgress {
  /** How many bytes of data were checked. */
  readonly checkedBytes: number;
  /** How many there are. */
  readonly dataBytes: number;
}

/**
 * An image in an open file, of which all but bulk data was checked.
 *
 * An image is replaced by renaming, never written in place, so an open one
 * stays what it is.
 */
export class ImageFile implements Disposable {
  /** Where the file is. */
  readonly path: string;
  /** Which file it is. */
  readonly identity: FileIdentity;
  /** What its header says. */
  readonly header: ImageHeader;
  /** Its sections, in order, with their payloads, without the index. */
  readonly sections: readonly Section[];
  /** Its sizes and its digest. */
  readonly summary: ImageSummary;
  readonly #file: Deno.FsFile;
  #open = true;

  private constructor(
    file: Deno.FsFile,
    found: Pick<
      ImageFile,
      "path" | "identity" | "header" | "sections" | "summary"
    >,
  ) {
    this.#file = file;
    this.path = found.path;
    this.identity = found.identity;
    this.header = found.header;
    this.sections = found.sections;
    this.summary = found.summary;
  }

  /**
   * Opens an image, and checks all of it but bulk data.
   *
   * @throws {ImageError} whatever is wrong with it: see the codes
   */
  static async open(path: string): Promise<ImageFile> {
    const name = JSON.stringify(path);
    let file: Deno.FsFile | undefined;
    try {
      const { file: opened, identity } = openRegular(path, name);
      file = opened;
      let header: ImageHeader | undefined;
      const sections: Section[] = [];
      const source = new FileSource(file, identity.sizeBytes, name);
      const summary = await walkImage(source, {
        header: (found) => void (header = found),
        section: (found) => void sections.push(found),
      });
      // The walk gave the header before anything else.
      const found = { path, identity, header: header!, sections, summary };
      const image = new ImageFile(file, found);
      file = undefined;
      return image;
    } finally {
      file?.close();
    }
  }

  /**
   * Reads and checks the data of one section.
   *
   * @param section one of {@linkcode ImageFile.sections}
   * @param target takes the data: exactly as long as it is, or new when absent
   * @throws {ImageError} when the data is damaged or cannot be read
   */
  readData(
    section: SectionInfo,
    target: Uint8Array = new Uint8Array(section.dataBytes),
  ): Uint8Array {
    if (target.length !== section.dataBytes) {
      throw new RangeError(
        `Cannot read ${section.dataBytes} bytes of data into ${target.length}`,
      );
    }
    const name = JSON.stringify(this.path);
    const count = readAt(this.#file, section.dataOffset, target, name);
    if (count < target.length || crc32(target) !== section.dataCrc) {
      throw dataDamaged(name, section);
    }
    return target;
  }

  /**
   * Checks the data of every section, a piece at a time, while other things
   * happen. To be called where data is mapped and so was never read.
   *
   * @throws {ImageError} naming the first section with damaged data; the
   * signal's reason; IMAGE_IO when the image is closed meanwhile
   */
  async verifyData(
    options: {
      readonly signal?: AbortSignal;
      readonly onProgress?: (progress: VerifyProgress) => void;
    } = {},
  ): Promise<void> {
    const { signal, onProgress } = options;
    const { dataBytes } = this.summary;
    const name = JSON.stringify(this.path);
    // No larger than it must be: a fresh mebibyte costs more than its use.
    const largest = this.sections.reduce(
      (most, section) => Math.max(most, section.dataBytes),
      0,
    );
    const buffer = new Uint8Array(Math.min(VERIFY_BYTES, largest));
    let checkedBytes = 0;
    for (const section of this.sections) {
      this.#checkPadding(section, name);
      let crc = 0;
      for (let done = 0; done < section.dataBytes;) {
        await yieldToEventLoop();
        signal?.throwIfAborted();
        this.#checkOpen(section);
        const wanted = Math.min(VERIFY_BYTES, section.dataBytes - done);
        const piece = buffer.subarray(0, wanted);
        const offset = section.dataOffset + done;
        if (readAt(this.#file, offset, piece, name) < wanted) {
          throw dataDamaged(name, section);
        }
        crc = crc32(piece, crc);
        done += wanted;
        checkedBytes += wanted;
        onProgress?.({ checkedBytes, dataBytes });
      }
      if (crc !== section.dataCrc) throw dataDamaged(name, section);
    }
  }

  /** Checks what is between a section's payload and its data. */
  #checkPadding(section: SectionInfo, name: string): void {
    // Below that it was looked at on the way through the image.
    if (section.dataAlignBytes <= PAGE_SIZE_BYTES) return;
    this.#checkOpen(section);
    const offset = payloadEnd(section);
    const padding = new Uint8Array(section.dataOffset - offset);
    if (
      readAt(this.#file, offset, padding, name) < padding.length ||
      !isZero(padding)
    ) throw paddingDamaged(name, describeSection(section), offset);
  }

  #checkOpen(section: SectionInfo): void {
    if (this.#open) return;
    throw new ImageError(
      "IMAGE_IO",
      `Cannot check ${JSON.stringify(this.path)}: it was closed`,
      { section: describeSection(section), offset: section.dataOffset },
    );
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#file.close();
  }
}

function openRegular(
  path: string,
  name: string,
): { file: Deno.FsFile; identity: FileIdentity } {
  try {
    // Before it is opened: opening a pipe would wait for a writer.
    if (!Deno.statSync(path).isFile) {
      throw new Error("it is not a regular file");
    }
    const file = Deno.openSync(path, { read: true });
    try {
      const stat = file.statSync();
      if (!stat.isFile) throw new Error("it is not a regular file");
      const identity = {
        device: stat.dev,
        inode: stat.ino,
        sizeBytes: stat.size,
        modifiedMs: stat.mtime?.getTime() ?? null,
      };
      return { file, identity };
    } catch (error) {
      file.close();
      throw error;
    }
  } catch (cause) {
    throw cannotRead(name, cause);
  }
}
