/**
 * /dev/kv: a key-value store, kept by SQLite, whose content travels.
 *
 * One write is one request, and what it asks for is read back:
 *
 * - `SET key length⏎bytes` stores a value
 * - `GET key⏎` has reads give `length⏎bytes`
 * - `DEL key⏎` forgets a key
 * - `LIST⏎` and `LIST after⏎` have reads give `key length⏎` for each key, sorted,
 *   from the first or the one behind `after`: as many as one reply holds, so
 *   that a program asks again from the last key until there is nothing
 *
 * A key is up to 200 characters of `!` to `~`, a value up to 128 KiB. The write
 * itself fails: ENOENT (no such key), EINVAL (no such request), E2BIG (key or
 * value too long), ENOSPC (the store is full). A reply can be read in pieces,
 * at its end is 0; the next request that succeeds drops what is unread.
 *
 * Options: `size` (what all keys and values may take, bytes; default 16 MiB).
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import {
  defineDevice,
  DeviceErrno,
  type DeviceHandle,
  ERRNO,
  type Part,
  type SavedPart,
} from "../mod.ts";

/** A part of the store in an image; its data is the values, one by one. */
interface KvPartV1 {
  readonly entries: readonly {
    readonly key: string;
    readonly lengthBytes: number;
  }[];
}

/** What of an open file travels. */
interface KvFileV1 {
  /** What the program has not read of the reply. */
  readonly reply: Uint8Array;
}

/** An entry, as SQLite gives it. */
interface Row {
  readonly key: string;
  readonly value: Uint8Array;
}

const MAX_KEY_BYTES = 200;
const MAX_VALUE_BYTES = 128 * 1024;
/** A value and its length, or as many lines as there is room for. */
const MAX_REPLY_BYTES = MAX_VALUE_BYTES + 16;
/** What an entry takes beside its key and value, about. */
const ENTRY_BYTES = 64;
const MAX_SIZE_BYTES = 64 * 1024 ** 2;
/** Each can hold a reply. */
const MAX_OPEN_FILES = 32;
/** At how much a part of the image is full. */
const PART_ENTRIES = 4096;
const PART_BYTES = 4 * 1024 ** 2;
const NEWLINE = 10;
const POLLIN = 1;
const POLLOUT = 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Entries in a database that is in memory. */
class Store {
  readonly #database = new DatabaseSync(":memory:");
  readonly #sizeBytes: number;
  #usedBytes = 0;

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
    this.#database.exec("CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB)");
  }

  get(key: string): Uint8Array | undefined {
    const [row] = this.#rows("WHERE key = ?", key);
    return row?.value;
  }

  /** Whether there was room for it. */
  set(key: string, value: Uint8Array): boolean {
    const used = this.#usedBytes - this.#bytesOf(key, this.get(key)) +
      this.#bytesOf(key, value);
    if (used > this.#sizeBytes) return false;
    this.#run("INSERT OR REPLACE INTO kv VALUES (?, ?)", key, value);
    this.#usedBytes = used;
    return true;
  }

  /** Whether it was there. */
  delete(key: string): boolean {
    this.#usedBytes -= this.#bytesOf(key, this.get(key));
    return this.#run("DELETE FROM kv WHERE key = ?", key) > 0;
  }

  /** All entries, in order. */
  entries(): Row[] {
    return this.#rows("ORDER BY key");
  }

  /** Lines of keys behind a key and lengths of values, as one reply holds. */
  list(after: string): string {
    const sql = "SELECT key || ' ' || length(value) || char(10) AS line " +
      "FROM kv WHERE key > ? ORDER BY key";
    let lines = "";
    for (const { line } of this.#database.prepare(sql).iterate(after)) {
      if (lines.length + String(line).length > MAX_REPLY_BYTES) break;
      lines += line;
    }
    return lines;
  }

  close(): void {
    this.#database.close();
  }

  #bytesOf(key: string, value: Uint8Array | undefined): number {
    return value ? key.length + value.length + ENTRY_BYTES : 0;
  }

  #rows(condition: string, ...keys: string[]): Row[] {
    const sql = `SELECT key, value FROM kv ${condition}`;
    return this.#database.prepare(sql).all(...keys) as unknown as Row[];
  }

  #run(sql: string, ...values: (string | Uint8Array)[]): number {
    return Number(this.#database.prepare(sql).run(...values).changes);
  }
}

function isKey(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_KEY_BYTES &&
    /^[!-~]+$/.test(value);
}

/** The parts of an image that the entries take; at least one. */
function partsOf(entries: readonly Row[]): [Part & { value: KvPartV1 }] {
  const parts: {
    value: { entries: KvPartV1["entries"][0][] };
    data: Uint8Array[];
  }[] = [];
  let bytes = PART_BYTES;
  for (const { key, value } of entries) {
    if (bytes >= PART_BYTES || parts.at(-1)!.data.length >= PART_ENTRIES) {
      parts.push({ value: { entries: [] }, data: [] });
      bytes = 0;
    }
    const part = parts.at(-1)!;
    part.value.entries.push({ key, lengthBytes: value.length });
    part.data.push(value);
    bytes += value.length;
  }
  if (parts.length === 0) parts.push({ value: { entries: [] }, data: [] });
  return parts as unknown as [Part & { value: KvPartV1 }];
}

/** Fills a store. @throws {TypeError} when the part is no good */
function fill(store: Store, { value, data }: SavedPart): void {
  const { entries } = Object(value) as Partial<KvPartV1>;
  if (!Array.isArray(entries)) throw new TypeError("entries must be a list");
  let at = 0;
  for (const entry of entries) {
    const { key, lengthBytes } = Object(entry);
    const isLength = Number.isInteger(lengthBytes) && lengthBytes >= 0 &&
      lengthBytes <= Math.min(MAX_VALUE_BYTES, data.length - at);
    if (!isKey(key) || !isLength || store.get(key)) {
      throw new TypeError("an entry must have a key of its own and a length");
    }
    if (!store.set(key, data.subarray(at, at += lengthBytes))) {
      throw new RangeError("there is more than the store may hold");
    }
  }
  if (at !== data.length) throw new RangeError("there is data of no entry");
}

/** Does what a request says. @returns the reply @throws {DeviceErrno} */
function perform(store: Store, request: Uint8Array): Uint8Array {
  const end = request.indexOf(NEWLINE);
  const line = decoder.decode(request.subarray(0, Math.max(end, 0)));
  const body = request.subarray(end + 1);
  const [, verb, key, length] =
    /^(SET|GET|DEL|LIST)(?: ([!-~]+))?(?: (\d{1,9}))?$/.exec(line) ?? [];
  const isSet = verb === "SET";
  if (
    verb === undefined || (verb !== "LIST" && key === undefined) ||
    isSet !== (length !== undefined)
  ) throw new DeviceErrno(ERRNO.EINVAL);
  const lengthBytes = Number(length ?? 0);
  if ((key?.length ?? 0) > MAX_KEY_BYTES || lengthBytes > MAX_VALUE_BYTES) {
    throw new DeviceErrno(ERRNO.E2BIG);
  }
  if (lengthBytes !== body.length) throw new DeviceErrno(ERRNO.EINVAL);
  switch (verb) {
    case "SET":
      if (store.set(key, body)) return new Uint8Array();
      throw new DeviceErrno(ERRNO.ENOSPC);
    case "DEL":
      if (store.delete(key)) return new Uint8Array();
      throw new DeviceErrno(ERRNO.ENOENT);
    case "GET": {
      const value = store.get(key);
      if (!value) throw new DeviceErrno(ERRNO.ENOENT);
      const head = encoder.encode(`${value.length}\n`);
      const reply = new Uint8Array(head.length + value.length);
      reply.set(head);
      reply.set(value, head.length);
      return reply;
    }
    default:
      return encoder.encode(store.list(key ?? ""));
  }
}

export default defineDevice({
  kind: "kv",
  version: 1,
  contained: true,
  config: (values) => ({
    sizeBytes: values.number("size", {
      default: 16 * 1024 ** 2,
      max: MAX_SIZE_BYTES,
    }),
  }),
  create({ config, savedParts }, _saved?: KvPartV1) {
    const store = new Store(config.sizeBytes);
    let openFiles = 0;
    try {
      for (const part of savedParts) fill(store, part);
    } catch (error) {
      store.close();
      throw error;
    }
    return {
      files: {
        "/dev/kv"(_file, saved): DeviceHandle | number {
          let { reply = new Uint8Array() } = Object(saved) as Partial<KvFileV1>;
          if (
            !(reply instanceof Uint8Array && reply.length <= MAX_REPLY_BYTES)
          ) {
            throw new TypeError("its reply must be bytes, and not too many");
          }
          if (openFiles >= MAX_OPEN_FILES) return -ERRNO.EMFILE;
          openFiles++;
          return {
            write(request) {
              reply = perform(store, request);
            },
            read(lengthBytes) {
              const piece = reply.subarray(0, lengthBytes);
              reply = reply.subarray(piece.length);
              return piece;
            },
            poll: () => reply.length > 0 ? POLLIN | POLLOUT : POLLOUT,
            dump: (): KvFileV1 => ({ reply: reply.slice() }),
            close: () => void openFiles--,
          };
        },
      },
      dump: () => ({ answer: "many", parts: partsOf(store.entries()) }),
      dispose: () => store.close(),
    };
  },
});
