/**
 * Images as streams: saved without a file, restored without a file.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ImageError, Vm } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import {
  delay,
  guest,
  heldVm,
  native,
  resources,
  Scratch,
  seeded,
  TestVm,
} from "../support.ts";

const EXITED = { kind: "exited", code: 0 } as const;

async function bytesOf(stream: ReadableStream<Uint8Array>) {
  return new Uint8Array(await new Response(stream as BodyInit).arrayBuffer());
}

/** A stream of `bytes`, in pieces of random lengths. */
function chunked(
  bytes: Uint8Array,
  random: () => number,
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      const most = 1 + Math.floor(random() * 200_000);
      if (at < bytes.length) controller.enqueue(bytes.slice(at, at + most));
      else controller.close();
      at += most;
    },
  });
}

for (const compress of [false, true]) {
  const packed = compress ? ", packed" : "";
  kvmTest(
    `stream: a VM goes on from a stream where it was${packed}`,
    async () => {
      const random = seeded("stream");
      const [program] = await guest("held");
      await using natively = new Scratch();
      const expected = await native(program, [], natively.path, "input");
      await using scratch = new Scratch();
      await using first = await heldVm(scratch.path);
      await first.vm.pause();
      const image = await bytesOf(
        first.vm.save({ compress, carryFiles: true }),
      );
      await first.vm.kill();
      // What the image carries is written where the file is gone.
      await Deno.remove(scratch.file("held.txt"));
      const allow = { read: [scratch.path], write: [scratch.path] };
      await using second = await TestVm.restore(
        chunked(image, random),
        { allow, files: "carry" },
        first,
      );
      assertEquals(second.vm.state, "paused");
      second.console.push("input");
      assertEquals(await second.run(), { kind: "exited", code: 7 });
      assertEquals(second.output.stdout, expected.stdout);
      assertEquals(
        await Deno.readTextFile(scratch.file("held.txt")),
        await Deno.readTextFile(natively.file("held.txt")),
      );
    },
  );
}

kvmTest(
  "stream: from VM to VM without a file, while the first lives",
  async () => {
    const [program] = await guest("bigmem");
    const kept: TestVm[] = [];
    await using first = await TestVm.create({
      program,
      args: ["40"],
      onSave: async (vm) => {
        kept.push(await TestVm.restore(vm.save()));
        return 0;
      },
    });
    assertEquals(await first.run(), EXITED);
    await using second = kept[0];
    assertEquals(await second.run(), EXITED);
    assertEquals(first.output.stdout, "0 wrong\n");
    assertEquals(second.output.stdout, "0 wrong\n");
  },
);

kvmTest(
  "stream: one that is cut or damaged anywhere gives no VM, and holds nothing",
  async () => {
    const random = seeded("stream damage");
    await using scratch = new Scratch();
    await using first = await heldVm(scratch.path);
    await first.vm.pause();
    const image = await bytesOf(first.vm.save({ carryFiles: true }));
    const allow = { read: [scratch.path], write: [scratch.path] };
    const before = resources().fds;
    for (let round = 0; round < 20; round++) {
      const bad = image.slice();
      const at = Math.floor(random() * image.length);
      const isCut = round % 2 === 0;
      bad[at] ^= 1 << (round / 2 % 8);
      const stream = chunked(isCut ? bad.subarray(0, at) : bad, random);
      const error = await assertRejects(() => Vm.restore(stream, { allow }));
      assert(error instanceof ImageError, `${error} for byte ${at}`);
      assertEquals(resources().fds, before, `descriptors for byte ${at}`);
    }
  },
);

kvmTest(
  "stream: a VM goes on when its stream is cancelled, or never read",
  async () => {
    const [program] = await guest("chatter");
    await using test = await TestVm.create({ program });
    test.run().catch(() => {});
    const grows = async () => {
      const { length } = test.output.stdout;
      while (test.output.stdout.length === length) await delay(1);
    };
    await grows();
    const unread = test.vm.save();
    await grows();
    const reader = test.vm.save().getReader();
    assert((await reader.read()).value!.length > 0);
    assertEquals(test.vm.state, "paused");
    await reader.cancel("enough");
    assertEquals(test.vm.state, "running");
    await grows();
    await unread.cancel();
  },
);

kvmTest("stream: one that stands still ends with its VM", async () => {
  await using scratch = new Scratch();
  const test = await heldVm(scratch.path);
  const reader = test.vm.save().getReader();
  await reader.read();
  await test.vm[Symbol.asyncDispose]();
  await assertRejects(async () => {
    while (!(await reader.read()).done);
  });
});

kvmTest("stream: a restore that is aborted lets the stream go", async () => {
  const before = resources().fds;
  let cancelled: unknown;
  const silent = new ReadableStream<Uint8Array>({
    cancel: (reason) => void (cancelled = reason),
  });
  const giveUp = new AbortController();
  const restoring = Vm.restore(silent, { signal: giveUp.signal });
  giveUp.abort(new Error("no more time"));
  await assertRejects(() => restoring, Error, "no more time");
  assert(cancelled !== undefined);
  assertEquals(resources().fds, before);
});
