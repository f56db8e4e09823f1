/**
 * Small images for tests, in memory and in files.
 *
 * @module
 */

import {
  type Component,
  type Dump,
  type ImageError,
  ImageFile,
  type ImageSink,
  type ImageSummary,
  readImageStream,
  type Section,
  writeImage,
} from "../../src/state/mod.ts";

/** What the sample images say made them. */
export const CREATOR = "ScratchVM 0.1.0";

/** A component that answers with `dump`. */
export function component(
  kind: string,
  id: string,
  dump: Dump | (() => Dump | Promise<Dump>),
  version = 1,
): Component {
  return {
    kind,
    id,
    version,
    dump: typeof dump === "function" ? dump : () => dump,
  };
}

/** A component that answers with one value. */
export function payload(
  kind: string,
  id: string,
  value: unknown,
  version = 1,
): Component {
  return component(kind, id, { answer: "payload", value }, version);
}

/** `length` bytes that differ from those of another seed. */
export function pattern(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761 >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

/** A clock, memory of two pages and an empty part, a device with odd data. */
export function sampleComponents(): Component[] {
  return [
    payload("clock", "clock", { monotonicNs: 123456789 }),
    component("memory", "ram", {
      answer: "many",
      parts: [
        { value: { gpa: 0, pages: 1 }, data: [pattern(4096, 1)] },
        {
          value: { gpa: 8192, pages: 1 },
          data: [pattern(1000, 2), pattern(3096, 3)],
        },
        { value: { gpa: 16384, pages: 0 } },
      ],
    }),
    component("nothing", "idle0", { answer: "nothing" }),
    component("blob", "blob0", {
      answer: "many",
      parts: [{
        value: { name: "odd" },
        data: [pattern(101, 4)],
        dataAlignBytes: 16384,
      }],
    }, 7),
    payload("register", "vcpu0", {
      rax: 0xffff_ffff_ffff_ffffn,
      bytes: pattern(33, 5),
    }),
  ];
}

/** Collects all that is written to it. */
export class MemorySink implements ImageSink {
  readonly #chunks: Uint8Array[] = [];

  write(chunk: Uint8Array): void {
    this.#chunks.push(chunk.slice());
  }

  /** All of it. */
  bytes(): Uint8Array<ArrayBuffer> {
    const length = this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }
}

/** The image of `components`. */
export async function imageOf(
  components: Iterable<Component>,
): Promise<Uint8Array<ArrayBuffer>> {
  const sink = new MemorySink();
  await writeImage(components, sink, { creator: CREATOR });
  return sink.bytes();
}

/** A stream of `bytes` in chunks of `chunkBytes`. */
export function streamOf(
  bytes: Uint8Array<ArrayBuffer>,
  chunkBytes = 1000,
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + chunkBytes));
      at += chunkBytes;
    },
  });
}

/** An image as a stream reader saw it. */
export interface SeenImage {
  summary: ImageSummary;
  sections: Section[];
  data: Uint8Array[];
}

/** Reads an image as a stream. */
export async function readStream(
  bytes: Uint8Array<ArrayBuffer>,
  chunkBytes?: number,
): Promise<SeenImage> {
  const sections: Section[] = [];
  const data: Uint8Array[] = [];
  const summary = await readImageStream(streamOf(bytes, chunkBytes), {
    section(section, found) {
      sections.push(section);
      data.push(found.slice());
    },
  });
  return { summary, sections, data };
}

/** Reads an image from a file, with all its data. */
export async function readFile(path: string): Promise<SeenImage> {
  using image = await ImageFile.open(path);
  await image.verifyData();
  const data = image.sections.map((section) => image.readData(section));
  return { summary: image.summary, sections: [...image.sections], data };
}

/** What reading `bytes` throws, from a file and from a stream. */
export async function errorsOf(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<{ file: ImageError; stream: ImageError }> {
  using folder = new Folder();
  const path = folder.path("damaged.img");
  Deno.writeFileSync(path, bytes);
  return {
    file: await thrownBy(() => readFile(path)),
    stream: await thrownBy(() => readStream(bytes)),
  };
}

/** What `work` throws. */
export async function thrownBy(
  work: () => Promise<unknown>,
): Promise<ImageError> {
  try {
    await work();
  } catch (error) {
    return error as ImageError;
  }
  throw new Error("it did not throw");
}

/** A temporary folder that goes when it is disposed of. */
export class Folder implements Disposable {
  /** Where it is. */
  readonly root: string = Deno.makeTempDirSync({ prefix: "scratchvm-" });

  /** The path of a file in it. */
  path(name: string): string {
    return `${this.root}/${name}`;
  }

  /** What is in it. */
  names(): string[] {
    return [...Deno.readDirSync(this.root)].map(({ name }) => name).sort();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}
