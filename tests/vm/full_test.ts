/**
 * A program whose pipes and sockets hold more than one section of an image may.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ImageFile } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, native, Scratch, TestVm } from "../support.ts";

kvmTest(
  "freeze: full pipes, sockets and queues of signals are read back in another VM",
  async () => {
    const [program] = await guest("full");
    const expected = await native(program);
    assertEquals(expected.status, 0);
    await using scratch = new Scratch();
    const path = scratch.file("vm.img");
    await using first = await TestVm.create({
      program,
      onSave: async (vm) => {
        await vm.save(path);
        return 0;
      },
    });
    // It goes on as if there had been no save…
    assertEquals(await first.run(), { kind: "exited", code: 0 });
    assertEquals(first.output.stdout, expected.stdout);
    assertEquals(first.output.stderr, "saved: 0\n");
    {
      using image = await ImageFile.open(path);
      let bytes = 0;
      for (const { kind, dataBytes } of image.sections) {
        if (kind === "fd-table") bytes += dataBytes;
      }
      assert(bytes > 16 * 1024 ** 2, `${bytes}`);
    }
    // …and again from the image.
    await using second = await TestVm.restore(path);
    assertEquals(await second.run(), { kind: "exited", code: 0 });
    assertEquals(second.output.stdout, expected.stdout);
    assertEquals(second.output.stderr, "saved: 1\n");
  },
);
