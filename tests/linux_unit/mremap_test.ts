/**
 * mremap: what moves, and what stays where it cannot.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FdTable, HostFile, HostPaths, O } from "../../src/devices/mod.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { MAX_AREAS } from "../../src/linux/areas.ts";
import type { Linux } from "../../src/linux/linux.ts";
import type { Registers } from "../../src/linux/registers.ts";
import { mappingCalls } from "../../src/linux/syscalls/mmap.ts";
import { remapCalls } from "../../src/linux/syscalls/mremap.ts";
import { PAGE_BYTES, PROT } from "../../src/vmm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { Scratch } from "../support.ts";
import { ProbeGuest, Space } from "./probe_guest.ts";

const MEMORY_BYTES = 64 * 1024 * 1024;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAY_MOVE = 1;
const FIXED = 2;

/** A file of some pages, and calls on a mapping of it. */
class Mapped implements Disposable {
  readonly path: string;
  readonly warnings: string[] = [];
  readonly here: Space;
  readonly fd: number;
  readonly #paths: HostPaths;
  readonly #fds = new FdTable();
  readonly #linux: Linux;

  constructor(
    scratch: Scratch,
    pages: number,
    here = new Space(MEMORY_BYTES),
  ) {
    this.here = here;
    this.path = scratch.file("mapped");
    const content = new Uint8Array(pages * PAGE_BYTES);
    for (let i = 0; i < pages; i++) content[i * PAGE_BYTES] = i + 1;
    Deno.writeFileSync(this.path, content);
    this.#paths = new HostPaths({ read: [scratch.path], write: [] });
    const hostFd = this.#paths.open("/", this.path, O.readOnly, 0, {
      read: true,
    });
    this.fd = this.#fds.install(new HostFile(hostFd, O.readOnly), false);
    this.#linux = {
      paths: this.#paths,
      fds: this.#fds,
      space: this.here.space,
      user: this.here.user,
      unsupported: (call: string, what: string, result: number) => {
        this.warnings.push(`${call}: ${what}`);
        return result;
      },
    } as unknown as Linux;
  }

  call(name: "mmap" | "mremap", ...all: number[]): number {
    const args = {
      int: (i: number) => all[i],
      uint: (i: number) => all[i] % 2 ** 32,
      u64: (i: number) => all[i],
      big: (i: number) => BigInt(all[i]),
    } as unknown as Registers;
    const handler = { ...mappingCalls, ...remapCalls }[name]!;
    return Number(handler(this.#linux, args));
  }

  /** Maps the first pages of the file. */
  map(pages: number): number {
    const prot = PROT.read | PROT.write;
    const bytes = pages * PAGE_BYTES;
    return this.call("mmap", 0, bytes, prot, MAP_PRIVATE, this.fd, 0);
  }

  /** The first byte of each page; "-" where there is none. */
  firsts(va: number, pages: number): (number | "-")[] {
    return Array.from({ length: pages }, (_, i) => {
      const view = this.here.user.readStruct(va + i * PAGE_BYTES, 1);
      return view ? view.getUint8(0) : "-";
    });
  }

  [Symbol.dispose](): void {
    this.#fds.closeAll();
    this.#paths[Symbol.dispose]();
    this.here[Symbol.dispose]();
  }
}

Deno.test("mremap: more pages of a file hold what it has there", async () => {
  await using scratch = new Scratch();
  using mapped = new Mapped(scratch, 3);
  const va = mapped.map(1);
  const from = PAGE_BYTES;
  const moved = mapped.call("mremap", va, from, 5 * from, MAY_MOVE, 0);
  assertEquals(mapped.firsts(moved, 6), [1, 2, 3, "-", "-", "-"]);
  // All of it, what is beyond its file included, to where it is told.
  const to = 0x5000_0000;
  const flags = MAY_MOVE | FIXED;
  assertEquals(
    mapped.call("mremap", moved, 5 * from, 6 * from, flags, to),
    to,
  );
  assertEquals(mapped.firsts(to, 4), [1, 2, 3, "-"]);
  assertEquals(mapped.firsts(moved, 1), ["-"]);
  const areas = mapped.here.space.areas.within(to, to + 6 * from);
  assertEquals(
    areas.map(({ kind, start, end, source }) => [
      kind,
      (end - start) / PAGE_BYTES,
      source?.offset,
    ]),
    [["file", 3, 0], ["beyond", 3, 3 * PAGE_BYTES]],
  );
  assertEquals(mapped.warnings, []);
});

Deno.test("mremap: more pages of a file that is gone are refused, and said", async () => {
  await using scratch = new Scratch();
  using mapped = new Mapped(scratch, 3);
  const va = mapped.map(2);
  Deno.removeSync(mapped.path);
  const bytes = 2 * PAGE_BYTES;
  const grow = [va, bytes, bytes + PAGE_BYTES, MAY_MOVE, 0];
  assertEquals(mapped.call("mremap", ...grow), -ERRNO.ENOMEM);
  assertEquals(mapped.warnings, [
    "mremap: more pages of a file that is gone",
  ]);
  // It is as it was, and may go elsewhere.
  assertEquals(mapped.firsts(va, 2), [1, 2]);
  const to = 0x5000_0000;
  const move = [va, bytes, bytes, MAY_MOVE | FIXED, to];
  assertEquals(mapped.call("mremap", ...move), to);
  assertEquals(mapped.firsts(to, 2), [1, 2]);
});

/** Adds areas that take no memory, until there are so many. */
function fillTo(count: number, { space }: Space): void {
  let start = 0x10_0000_0000;
  while (space.areas.all.length < count) {
    const end = start + PAGE_BYTES;
    space.areas.insert({ start, end, prot: PROT.none, kind: "anonymous" });
    start = end + PAGE_BYTES;
  }
}

for (const shared of [false, true]) {
  const what = shared ? "a shared file" : "memory";
  // Files are shared with what a VM has.
  const test = shared ? kvmTest : Deno.test;
  test(`mremap: as many areas as may be, ${what} moves wholly or not at all`, async () => {
    await using scratch = new Scratch();
    for (const free of [1, 4]) {
      const kind = shared ? ProbeGuest : Space;
      using mapped = new Mapped(scratch, 3, new kind(MEMORY_BYTES));
      const { space, user } = mapped.here;
      const [from, to] = [0x4000_0000, 0x5000_0000];
      const prot = PROT.read | PROT.write;
      const type = shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
      const fd = shared ? mapped.fd : -1;
      const bytes = 3 * PAGE_BYTES;
      const flags = type | MAP_FIXED;
      const fileProt = shared ? PROT.read : prot;
      assertEquals(
        mapped.call("mmap", from, bytes, fileProt, flags, fd, 0),
        from,
      );
      space.map(to, bytes, prot, "anonymous");
      for (let i = 0; i < 3; i++) {
        if (!shared) user.writeU32(from + i * PAGE_BYTES, i + 1);
        user.writeU32(to + i * PAGE_BYTES, i + 11);
      }
      space.protect(to, bytes, PROT.read); // what is moved there stays apart
      fillTo(MAX_AREAS - free, mapped.here);
      const before = structuredClone(space.areas.all);
      const page = [from + PAGE_BYTES, PAGE_BYTES, PAGE_BYTES];
      const how = [MAY_MOVE | FIXED, to + PAGE_BYTES];
      const result = mapped.call("mremap", ...page, ...how);
      if (result < 0) {
        assertEquals(result, -ERRNO.ENOMEM);
        assertEquals(free, 1);
        assertEquals(space.areas.all, before);
        assertEquals(mapped.firsts(from, 3), [1, 2, 3]);
        assertEquals(mapped.firsts(to, 3), [11, 12, 13]);
      } else {
        assertEquals(result, to + PAGE_BYTES);
        assert(space.areas.all.length <= MAX_AREAS);
        assertEquals(mapped.firsts(from, 3), [1, "-", 3]);
        assertEquals(mapped.firsts(to, 3), [11, 2, 13]);
      }
    }
  });
}

Deno.test("mremap: what is at the target stays where a file cannot go there", async () => {
  await using scratch = new Scratch();
  using mapped = new Mapped(scratch, 1);
  const { space, user } = mapped.here;
  const va = mapped.map(1);
  const to = 0x5000_0000;
  const prot = PROT.read | PROT.write;
  space.map(to, 3 * PAGE_BYTES, prot, "anonymous");
  for (let i = 0; i < 3; i++) user.writeU32(to + i * PAGE_BYTES, i + 11);
  // More than there is may be written: it was mapped as none of it could be.
  const large = 0x6000_0000;
  const largeBytes = 2 * mapped.here.memory.sizeBytes;
  space.map(large, largeBytes, PROT.none, "anonymous");
  space.protect(large, largeBytes, prot);
  const grow = [va, PAGE_BYTES, 3 * PAGE_BYTES, MAY_MOVE | FIXED, to];
  assertEquals(mapped.call("mremap", ...grow), -ERRNO.ENOMEM);
  assertEquals(mapped.firsts(to, 3), [11, 12, 13]);
  assertEquals(mapped.firsts(va, 1), [1]);
  space.unmap(large, largeBytes);
  assertEquals(mapped.call("mremap", ...grow), to);
  assertEquals(mapped.firsts(to, 3), [1, "-", "-"]);
});
