/**
 * Freeze, thaw, freeze: the second image is the first, but for clocks.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, Scratch, TestVm } from "../support.ts";
import {
  type Pieces,
  takeApart,
  type Value,
  valueOf,
} from "./hostile_image.ts";

/**
 * Model-specific registers that count time (Intel SDM volume 4, table 2-2, and
 * Documentation/virt/kvm/x86/msr.rst): the TSC, its deadline, KVM's clock.
 */
const CLOCK_MSRS = [0x10, 0x6e0, 0x4b56_4d00, 0x4b56_4d01, 0x11, 0x12];

/** Takes out what may differ, and returns the clocks. */
function withoutClocks(pieces: Pieces[]): Record<string, Value> {
  const clock = valueOf(pieces, "clock");
  const vcpu = valueOf(pieces, "vcpu");
  const isClock = ({ index }: Value) => CLOCK_MSRS.includes(index);
  const msrs = vcpu.msrs.filter(isClock);
  vcpu.msrs = vcpu.msrs.filter((msr: Value) => !isClock(msr));
  const { monotonicNs } = clock;
  delete clock.monotonicNs;
  for (const file of valueOf(pieces, "fd-table").files) {
    // A file without a name is another file of the same content after a thaw.
    if (!file.isUnlinked) continue;
    for (const key of ["device", "inode", "modifiedNs"]) {
      delete file.identity[key];
    }
  }
  return { monotonicNs, msrs };
}

/** Restores an image, and saves it again before it has run. */
async function again(
  image: string,
  folder: string,
  compress: boolean,
): Promise<string> {
  const next = `${image}.again`;
  const allow = { read: [folder], write: [folder] };
  await using test = await TestVm.restore(image, { allow });
  await test.vm.save(next, { compress });
  return next;
}

/** Restores and saves, as it is and packed, and compares. */
async function assertSame(image: string, folder: string): Promise<void> {
  for (const compress of [false, true]) {
    const first = compress ? await again(image, folder, true) : image;
    const second = await again(first, folder, compress);
    await assertAlike(first, second);
  }
}

/** Asserts that two images hold the same, but for clocks. */
async function assertAlike(first: string, second: string): Promise<void> {
  const before = await takeApart(first);
  const after = await takeApart(second);
  const clocks = [withoutClocks(before), withoutClocks(after)];
  assertEquals(after.map(({ id }) => id), before.map(({ id }) => id));
  for (const [i, { id, kind, version, parts }] of before.entries()) {
    assertEquals(after[i].version, version, kind);
    assertEquals(after[i].parts.length, parts.length, `${id}: parts`);
    for (const [n, { value, data }] of parts.entries()) {
      const found = after[i].parts[n];
      assertEquals(found.value, value, `${id}, part ${n}`);
      // Not as they are: a difference of megabytes cannot be shown.
      assertEquals(
        digest(found.data),
        digest(data),
        `${id}, data of part ${n}`,
      );
    }
  }
  // A program that does not run sees no time go by.
  assertEquals(clocks[1].monotonicNs, clocks[0].monotonicNs);
}

function digest(bytes: Uint8Array): string {
  let sum = 0;
  for (const byte of bytes) sum = Math.imul(sum, 31) + byte | 0;
  return `${bytes.length} bytes, ${sum}`;
}

for (
  const name of [
    "dup_offset",
    "append",
    "pipe_half",
    "simd",
    "malloc_stack",
    "unlinked",
  ]
) {
  kvmTest(
    `freeze: ${name} thawed and frozen again is the same image`,
    async () => {
      const [program] = await guest(name);
      await using scratch = new Scratch();
      const folder = scratch.file("folder");
      Deno.mkdirSync(folder);
      const image = scratch.file("vm.img");
      {
        await using first = await TestVm.create({
          program,
          cwd: folder,
          allow: { read: [folder], write: [folder] },
          onSave: async (vm) => {
            await vm.save(image);
            return "stop" as const;
          },
        });
        assertEquals((await first.run()).kind, "saved");
      }
      await assertSame(image, folder);
    },
  );
}

for (
  const [name, ...args] of [["held"], ["poll_stdin", "60000"], [
    "sleep",
    "60000",
  ], ["spin"]]
) {
  kvmTest(
    `freeze: ${name}, stopped anywhere, thawed and frozen again is the same`,
    async () => {
      const [program] = await guest(name);
      await using scratch = new Scratch();
      const folder = scratch.file("folder");
      Deno.mkdirSync(folder);
      const image = scratch.file("vm.img");
      {
        await using first = await TestVm.create({
          program,
          args,
          cwd: folder,
          allow: { read: [folder], write: [folder] },
        });
        first.run().catch(() => {});
        await first.until("ready");
        await delay(15);
        await first.vm.save(image);
      }
      await assertSame(image, folder);
    },
  );
}

kvmTest(
  "freeze: a VM saved twice gives the same bytes, but for clocks",
  async () => {
    const [program] = await guest("held");
    await using scratch = new Scratch();
    await using test = await TestVm.create({
      program,
      cwd: scratch.path,
      allow: { read: [scratch.path], write: [scratch.path] },
    });
    test.run().catch(() => {});
    await test.until("ready");
    await delay(5);
    await test.vm.pause();
    await using images = new Scratch();
    const names = [images.file("one.img"), images.file("two.img")];
    for (const name of names) await test.vm.save(name);
    await assertAlike(names[0], names[1]);
  },
);

kvmTest(
  "freeze: a stream of a VM holds what a file of it does",
  async () => {
    const [program] = await guest("held");
    await using scratch = new Scratch();
    const folder = scratch.file("folder");
    Deno.mkdirSync(folder);
    await using test = await TestVm.create({
      program,
      cwd: folder,
      allow: { read: [folder], write: [folder] },
    });
    test.run().catch(() => {});
    await test.until("ready");
    await test.vm.pause();
    const [file, streamed] = [scratch.file("file"), scratch.file("streamed")];
    for (const options of [{}, { compress: true }, { carryFiles: true }]) {
      const { totalBytes } = await test.vm.save(file, options);
      await Deno.writeFile(streamed, test.vm.save(options));
      assertEquals(Deno.statSync(streamed).size, totalBytes);
      await assertAlike(file, streamed);
    }
  },
);
