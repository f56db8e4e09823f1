/**
 * Sends as many MiB as it is told through stages and back, beside the mapped
 * memory of a large VM, and prints how much memory that took at most, bytes.
 *
 *     memory_process.ts MIB
 *
 * @module
 */

import {
  decrypt,
  encrypt,
  zstdCompress,
  zstdDecompress,
} from "../../../mod.ts";
import { Memory } from "../../../src/vmm/mod.ts";

const MIB = 1024 * 1024;
const CHUNK_BYTES = MIB / 4;
/** V8 counts what is mapped as if it were its own, and collects less often. */
const MAPPED_MIB = 2048;

/** A field of /proc/self/status in bytes: VmRSS, VmHWM (proc(5)). */
function statusBytes(name: string): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)![1]) *
    1024;
}

/** So many MiB that no stage makes smaller, each chunk a new one. */
function source(mib: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const words = new Uint32Array(CHUNK_BYTES / 4)
    .map((_, i) => Math.imul(i + 1, 0x9e3779b9));
  let left = mib * MIB / CHUNK_BYTES;
  return new ReadableStream({
    pull(controller) {
      if (left-- === 0) return controller.close();
      words[0]++;
      controller.enqueue(new Uint8Array(words.slice().buffer));
    },
  }, { highWaterMark: 0 });
}

const mib = Number(Deno.args[0]);
const key = new Uint8Array(32).fill(7);
using memory = new Memory(MAPPED_MIB * MIB);
// proc(5): 5 makes VmHWM what VmRSS is.
Deno.writeTextFileSync("/proc/self/clear_refs", "5");
const before = statusBytes("VmRSS");
let bytes = 0;
for await (
  const chunk of source(mib)
    .pipeThrough(zstdCompress()).pipeThrough(encrypt({ key }))
    .pipeThrough(decrypt({ key })).pipeThrough(zstdDecompress())
) bytes += chunk.length;
if (bytes !== mib * MIB) throw new Error(`${bytes} bytes came back`);
// Mapped until here.
memory.u8[0] = 1;
console.log(statusBytes("VmHWM") - before);
