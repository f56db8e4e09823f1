/**
 * What older versions said of descriptors and open files, as the present one
 * says it.
 *
 * @module
 */

import { PIPE_BYTES } from "./pipe.ts";

/** What upgrades look at: nothing of it was checked. */
interface OldTable {
  readonly part?: unknown;
  readonly pipes?: { readonly content?: unknown }[];
  readonly files?: {
    readonly type?: unknown;
    readonly content?: unknown;
    readonly messages?: unknown[];
  }[];
}

/** From each version of the state of descriptors to the one after it. */
export const filesUpgrades: Readonly<
  Record<number, (old: unknown) => unknown>
> = {
  1: (old) => old,
  2: (old) => withField(old, { held: [], locks: [] }),
  3: upgrade3,
  4: upgrade4,
  5: upgrade5,
};

/** The table of an older version with what it had not. */
function withField(old: unknown, added: object): unknown {
  return (old as { part?: unknown })?.part === "table"
    ? { ...old as object, ...added }
    : old;
}

function upgrade3(old: unknown): unknown {
  const { part, pipes } = (old ?? {}) as OldTable;
  if (part !== "table" || !Array.isArray(pipes)) return old;
  const grown = pipes.map((pipe) => ({ ...pipe, capacityBytes: PIPE_BYTES }));
  return withField(old, { pipes: grown, terminal: null });
}

function upgrade4(old: unknown): unknown {
  const { part, pipes, files } = (old ?? {}) as OldTable;
  if (part !== "table" || !Array.isArray(pipes) || !Array.isArray(files)) {
    return old;
  }
  return withField(old, {
    kept: [],
    files: files.map((file) =>
      file?.type === "host" ? { ...file, seals: null } : file
    ),
    pipes: pipes.map((pipe) => ({ ...pipe, segments: [] })),
  });
}

/** Version 5 had the bytes that wait where they belong. */
function upgrade5(old: unknown): unknown {
  const { part, pipes, files } = (old ?? {}) as OldTable;
  if (part !== "table" || !Array.isArray(pipes) || !Array.isArray(files)) {
    return old;
  }
  const ofPipes: Uint8Array[] = [];
  const ofSockets: Uint8Array[] = [];
  const ofTexts: Uint8Array[] = [];
  const newPipes = pipes.map(({ content, ...pipe }) => ({
    ...pipe,
    lengthBytes: moved(content, ofPipes),
  }));
  const newFiles = files.map(({ messages, content, ...file }) => {
    if (file.type === "socket") {
      const messageBytes = messages!.map((one) => moved(one, ofSockets));
      return { ...file, messageBytes };
    }
    if (file.type !== "virtual") return file;
    moved(content, ofTexts);
    return { ...file, text: ofTexts.length - 1 };
  });
  const all = [...ofPipes, ...ofSockets, ...ofTexts];
  const buffered = new Uint8Array(all.reduce((n, one) => n + one.length, 0));
  let at = 0;
  for (const one of all) {
    buffered.set(one, at);
    at += one.length;
  }
  return withField(old, {
    pipes: newPipes,
    files: newFiles,
    texts: ofTexts.map(({ length }) => length),
    buffered,
  });
}

/** Moves bytes to others; how many. @throws where there are none */
function moved(bytes: unknown, to: Uint8Array[]): number {
  if (!(bytes instanceof Uint8Array)) throw new TypeError("bytes are missing");
  to.push(bytes);
  return bytes.length;
}
