import { assert, assertEquals } from "@std/assert";
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

/** Sets a record lock by an open file. */
function set(fd: number, type: number, start: bigint, lengthBytes: bigint) {
  const lock = new DataView(new ArrayBuffer(FLOCK_BYTES));
  lock.setInt16(0, type, true);
  lock.setBigInt64(8, start, true);
  lock.setBigInt64(16, lengthBytes, true);
  const bytes = new Uint8Array(lock.buffer);
  assertEquals(recordLock(fd, F_OFD.set, bytes), 0);
}

/** Files of these names, opened, until it is disposed of. */
function openFiles(scratch: Scratch, ...names: string[]) {
  const flags = O.create | O.readWrite;
  const files = names.map((name) =>
    new HostFile(open(scratch.file(name), flags, 0o644), flags)
  );
  const close = () => files.forEach((file) => file.close());
  return { files, [Symbol.dispose]: close };
}

Deno.test("file_locks: record locks, and holes in them, have a bound; what is held can be given back", async () => {
  await using scratch = new Scratch();
  using opened = openFiles(scratch, "a", "other");
  const { files } = opened;
  const [{ hostFd: fd }, { hostFd: other }] = files;
  const locks = new ProcessLocks();
  const isTooMany = (range?: [start: bigint, lengthBytes: bigint], of = fd) => {
    const [start, lengthBytes] = range ?? [0n, 0n];
    const given = range && (() => ({ start, lengthBytes }));
    return locks.isTooMany(() => files, of, given);
  };
  assertEquals(isTooMany(), false);
  set(other, F_LCK.write, 0n, 0n);
  // A hole every other byte of one that has no end.
  assertEquals(isTooMany(), false);
  set(fd, F_LCK.write, 0n, 0n);
  let holes = 0n;
  for (; !isTooMany([2n * holes + 1n, 1n]); holes++) {
    set(fd, F_LCK.unlock, 2n * holes + 1n, 1n);
  }
  const held = () => locks.dump(files).length;
  assertEquals(held(), Number(holes) + 2);
  assert(MAX_RECORD_LOCKS - held() < 2);
  assert(isTooMany());
  assert(isTooMany([5n, 1n], other));
  // Whole ones, the ends of one, and all, whatever is held of other files.
  for (const range of [[0n, 1n], [2n, 1n], [2n * holes, 0n], [0n, 0n]]) {
    assertEquals(isTooMany([range[0], range[1]]), false);
  }
  set(fd, F_LCK.unlock, 0n, 8n);
  assertEquals(isTooMany(), false);
});

Deno.test("file_locks: those that were restored count", async () => {
  await using scratch = new Scratch();
  using opened = openFiles(scratch, "a");
  const { files } = opened;
  const [{ hostFd: fd }] = files;
  const state = Array.from({ length: MAX_RECORD_LOCKS }, (_, i) => ({
    file: 0,
    owner: "file" as const,
    isExclusive: true,
    start: BigInt(2 * i),
    lengthBytes: 1n,
  }));
  const locks = new ProcessLocks();
  locks.restore(state, files);
  assert(locks.isTooMany(() => files, fd));
  set(fd, F_LCK.unlock, 0n, 8n);
  assertEquals(locks.isTooMany(() => files, fd), false);
});
