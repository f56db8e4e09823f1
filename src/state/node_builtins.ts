/**
 * Node's modules for checksums and compression, loaded when they are first
 * used: that takes 20 ms, which a program that is run and never saved need not
 * wait for.
 *
 * @module
 */

import type * as Crypto from "node:crypto";
import type * as Zlib from "node:zlib";

let zlib: typeof Zlib | undefined;
let crypto: typeof Crypto | undefined;

/** node:zlib: CRC-32 and zstd. */
export function nodeZlib(): typeof Zlib {
  return zlib ??= process.getBuiltinModule("node:zlib");
}

/** node:crypto: SHA-256. */
export function nodeCrypto(): typeof Crypto {
  return crypto ??= process.getBuiltinModule("node:crypto");
}

/** CRC-32 of `bytes` as zlib has it, going on from that of what is before. */
export function crc32(bytes: Uint8Array, before = 0): number {
  return nodeZlib().crc32(bytes, before);
}
