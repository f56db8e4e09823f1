import { assert, assertEquals } from "@std/assert";
import { HostFile, memfdWithFlags, O } from "../../src/devices/mod.ts";
import { roomToWrite } from "../../src/linux/file_limit.ts";
import type { Linux } from "../../src/linux/linux.ts";

const MEMORY_BYTES = 64 * 1024 * 1024;
const FAR = 1024 ** 4;

Deno.test("file_limit: wherever a file in memory is written, it grows no longer than the VM's memory", () => {
  const file = new HostFile(memfdWithFlags("m", 0), O.readWrite | O.append);
  // All that the limit takes of a program.
  const linux = {
    memory: { sizeBytes: MEMORY_BYTES },
    fds: { files: () => [file] },
    process: { limits: new Map() },
  } as unknown as Linux;
  // At its end, whatever the offset, unless that is switched off.
  assertEquals(roomToWrite(linux, file, FAR), MEMORY_BYTES);
  assertEquals(roomToWrite(linux, file, FAR, true), MEMORY_BYTES);
  assertEquals(roomToWrite(linux, file, FAR, false), 0);
  assertEquals(roomToWrite(linux, file, 4096, false), MEMORY_BYTES - 4096);
  assert(file.isInMemory);
  file.close();
});
