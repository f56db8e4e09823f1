import { assertEquals } from "@std/assert";
import { HostFile, O } from "../../src/devices/mod.ts";
import {
  F_LCK,
  MAX_RECORD_LOCKS,
  ProcessLocks,
} from "../../src/devices/file_locks.ts";
import { open } from "../../src/devices/host_calls.ts";
import {
  F_OFD,
  FLOCK_BYTES,
  recordLock,
} from "../../src/devices/lock_calls.ts";
import { Scratch } from "../support.ts";

Deno.test("file_locks: record locks, and holes in them, have a bound; what is held can be given back", async () => {
  await using scratch = new Scratch();
  const flags = O.create | O.readWrite;
  const file = new HostFile(open(scratch.file("a"), flags, 0o644), flags);
  using _ = { [Symbol.dispose]: () => file.close() };
  const set = (type: number, start: bigint, lengthBytes: bigint) => {
    const lock = new DataView(new ArrayBuffer(FLOCK_BYTES));
    lock.setInt16(0, type, true);
    lock.setBigInt64(8, start, true);
    lock.setBigInt64(16, lengthBytes, true);
    const bytes = new Uint8Array(lock.buffer);
    assertEquals(recordLock(file.hostFd, F_OFD.set, bytes), 0);
  };
  const locks = new ProcessLocks();
  const files = [file];
  // A hole every other byte of one that has no end.
  assertEquals(locks.isTooMany(files), false);
  set(F_LCK.write, 0n, 0n);
  let holes = 0n;
  const hole = () => ({ start: 2n * holes + 1n, lengthBytes: 1n });
  for (; !locks.isTooMany(files, hole()); holes++) {
    set(F_LCK.unlock, hole().start, 1n);
  }
  const held = () => locks.dump(files).length;
  assertEquals(held(), Number(holes) + 1);
  assertEquals(MAX_RECORD_LOCKS - held() < 2, true);
  assertEquals(locks.isTooMany(files), true);
  // Whole ones, the ends of one, and all.
  for (const range of [[0n, 1n], [2n, 1n], [2n * holes, 0n], [0n, 0n]]) {
    const [start, lengthBytes] = range;
    assertEquals(locks.isTooMany(files, { start, lengthBytes }), false);
  }
  set(F_LCK.unlock, 0n, 8n);
  assertEquals(locks.isTooMany(files), false);
});
