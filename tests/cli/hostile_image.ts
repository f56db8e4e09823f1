/**
 * Real images, taken apart and put together again with right checksums.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import {
  type Component,
  decodePayload,
  type Dump,
  FileSink,
  ImageFile,
  writeImage,
} from "../../src/state/mod.ts";
import { HEADER } from "../../src/state/format.ts";
import { TestVm } from "../support.ts";
import { tinyElf } from "./tiny_program.ts";

/** Any CBOR value, to be changed at will. */
// deno-lint-ignore no-explicit-any
export type Value = any;

/** One component of an image. */
export interface Pieces {
  kind: string;
  id: string;
  version: number;
  parts: { value: Value; data: Uint8Array<ArrayBuffer> }[];
}

/** Reads every component of an image. */
export async function takeApart(path: string): Promise<Pieces[]> {
  using image = await ImageFile.open(path);
  const pieces: Pieces[] = [];
  for (const section of image.sections) {
    const { kind, id, version } = section;
    if (section.part === 0) pieces.push({ kind, id, version, parts: [] });
    pieces.at(-1)!.parts.push({
      value: decodePayload(section.payload),
      data: new Uint8Array(image.readData(section)),
    });
  }
  return pieces;
}

/** Writes components as an image whose checksums are right. */
export async function putTogether(
  path: string,
  pieces: readonly Pieces[],
): Promise<void> {
  using file = Deno.openSync(path, {
    write: true,
    create: true,
    truncate: true,
  });
  const components = pieces.map(({ kind, id, version, parts }): Component => ({
    kind,
    id,
    version,
    dump: (): Dump => ({
      answer: "many",
      parts: parts.map(({ value, data }) => ({ value, data: [data] })),
    }),
  }));
  await writeImage(components, new FileSink(file, path), {
    creator: "ScratchVM 0.1.0",
  });
}

/** The component of a kind. */
export function pieceOf(pieces: readonly Pieces[], kind: string): Pieces {
  return pieces.find((piece) => piece.kind === kind)!;
}

/** The first value of the component of a kind. */
export function valueOf(pieces: readonly Pieces[], kind: string): Value {
  return pieceOf(pieces, kind).parts[0].value;
}

/** Changes fields of an image's header, and makes its checksum right again. */
export function patchHeader(
  path: string,
  patch: (view: DataView, bytes: Uint8Array) => void,
): void {
  const bytes = Deno.readFileSync(path);
  const view = new DataView(bytes.buffer);
  patch(view, bytes);
  const sum = crc32(bytes.subarray(0, HEADER.crc));
  view.setUint32(HEADER.crc, sum, true);
  Deno.writeFileSync(path, bytes);
}

/**
 * Saves a program of one page, which exits with what SAVE() returned, in a VM
 * of 16 MiB.
 */
export async function saveTiny(
  folder: string,
  compress = false,
): Promise<string> {
  const program = `${folder}/tiny`;
  Deno.writeFileSync(program, tinyElf());
  const image = `${folder}/tiny.img`;
  await using test = await TestVm.create({
    program,
    cwd: folder,
    memoryBytes: 16 * 1024 ** 2,
    onSave: async (vm) => {
      await vm.save(image, { compress });
      return "stop" as const;
    },
  });
  await test.run();
  await Deno.remove(program);
  return image;
}
