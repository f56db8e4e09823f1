/**
 * Images that are whole but cannot be restored here: another version, another
 * architecture, other components, more memory or a better CPU than there is.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { Scratch } from "../support.ts";
import { Vm } from "../../mod.ts";
import { CPUID, cpuidEntries } from "../../src/kvm/mod.ts";
import { HEADER } from "../../src/state/format.ts";
import { assertRefused, run, vmWords } from "./command.ts";
import { held, moreHeld } from "./held.ts";
import {
  patchHeader,
  type Pieces,
  putTogether,
  saveTiny,
  takeApart,
  valueOf,
} from "./hostile_image.ts";

/** A saved program of one page, and what restoring a changed copy says. */
class Sample implements AsyncDisposable {
  private constructor(
    readonly scratch: Scratch,
    readonly image: string,
    readonly pieces: Pieces[],
  ) {}

  static async save(): Promise<Sample> {
    const scratch = new Scratch();
    const image = await saveTiny(scratch.path);
    return new Sample(scratch, image, await takeApart(image));
  }

  /** Restores what `change` makes of the image, by the command line. */
  async restoreWith(change: (pieces: Pieces[]) => Pieces[] | void) {
    const pieces = structuredClone(this.pieces);
    await putTogether(this.image, change(pieces) ?? pieces);
    return await run(vmWords("restore", this.image), {
      cwd: this.scratch.path,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scratch[Symbol.asyncDispose]();
  }
}

kvmTest(
  "vm restore: an image put together again is as good as before",
  async () => {
    await using sample = await Sample.save();
    const before = Deno.readFileSync(sample.image);
    const { status, stderr } = await sample.restoreWith(() => {});
    assertEquals({ status, stderr }, { status: 1, stderr: "" });
    assertEquals(Deno.readFileSync(sample.image), before);
  },
);

kvmTest(
  "vm restore: a later format is incompatible, and says which",
  async () => {
    await using sample = await Sample.save();
    patchHeader(sample.image, (view) => {
      view.setUint32(HEADER.formatVersion, 7, true);
      view.setUint32(HEADER.minReaderVersion, 7, true);
    });
    const outcome = await run(vmWords("restore", sample.image));
    assertRefused(
      outcome,
      3,
      /: made by ScratchVM .* in format 7, this reads up to 1$/m,
    );
    assertStringIncludes(
      outcome.stderr,
      "\nhint: use the version that made it",
    );
  },
);

kvmTest(
  "vm restore: another architecture or page size is incompatible",
  async () => {
    await using sample = await Sample.save();
    const good = Deno.readFileSync(sample.image);
    patchHeader(sample.image, (_view, bytes) => {
      bytes.fill(0, HEADER.architecture, HEADER.architecture + 16);
      bytes.set(new TextEncoder().encode("aarch64"), HEADER.architecture);
    });
    assertRefused(
      await run(vmWords("restore", sample.image)),
      3,
      /: made for aarch64 with pages of 4096 bytes, this runs x86_64/,
    );
    Deno.writeFileSync(sample.image, good);
    patchHeader(sample.image, (view) => {
      view.setUint32(HEADER.pageSizeBytes, 65536, true);
    });
    assertRefused(
      await run(vmWords("restore", sample.image)),
      3,
      /: made for x86_64 with pages of 65536 bytes/,
    );
  },
);

kvmTest("vm restore: each component that is missing is named", async () => {
  await using sample = await Sample.save();
  for (const { kind } of sample.pieces) {
    const outcome = await sample.restoreWith((pieces) =>
      pieces.filter((piece) => piece.kind !== kind)
    );
    assertRefused(
      outcome,
      3,
      new RegExp(`the image has no state of ${kind}$`, "m"),
    );
  }
});

kvmTest("vm restore: each component of a later version is named", async () => {
  await using sample = await Sample.save();
  for (const [index, { kind, id }] of sample.pieces.entries()) {
    const outcome = await sample.restoreWith((pieces) => {
      pieces[index].version++;
    });
    assertRefused(
      outcome,
      3,
      new RegExp(
        `^vm: Cannot load "${id}": version of ${kind} is 2, must be <= 1$`,
        "m",
      ),
    );
  }
});

kvmTest("vm restore: state that nothing takes is named", async () => {
  await using sample = await Sample.save();
  const extra = {
    kind: "counter",
    id: "counter0",
    version: 1,
    parts: [{ value: { count: 1 }, data: new Uint8Array() }],
  };
  const outcome = await sample.restoreWith((pieces) => [...pieces, extra]);
  assertRefused(outcome, 3, /nothing here takes counter "counter0"$/m);
});

kvmTest("vm restore: more memory than the machine has is refused", async () => {
  await using sample = await Sample.save();
  const block = 2 * 1024 ** 2;
  const { total } = Deno.systemMemoryInfo();
  const sizeBytes = (Math.floor(total / block) + 512) * block;
  const outcome = await sample.restoreWith((pieces) => {
    valueOf(pieces, "machine").memoryBytes = sizeBytes;
    valueOf(pieces, "memory").sizeBytes = sizeBytes;
  });
  assertRefused(
    outcome,
    3,
    new RegExp(
      `with ${sizeBytes} bytes of memory: this machine has ${total}$`,
      "m",
    ),
  );
});

kvmTest("vm restore: a CPU feature that is lacking is named", async () => {
  await using sample = await Sample.save();
  const outcome = await sample.restoreWith((pieces) => {
    const { cpuid } = valueOf(pieces, "vcpu");
    const view = new DataView(cpuid.buffer, cpuid.byteOffset, cpuid.length);
    for (const { leaf, subleaf, offset } of cpuidEntries(cpuid)) {
      if (leaf !== 7 || subleaf !== 0) continue;
      view.setUint32(offset + CPUID.ebx, 0xffff_ffff, true);
    }
  });
  assertRefused(
    outcome,
    3,
    /CPU features that this machine lacks: CPUID 7h\.0 EBX bit \d/,
  );
});

kvmTest("Vm.restore: a refusal leaves nothing open", async () => {
  await using sample = await Sample.save();
  const attempts: ((pieces: Pieces[]) => void)[] = [
    (pieces) => void pieces.splice(2, 1),
    (pieces) => void (pieces[1].version = 9),
    (pieces) => void (valueOf(pieces, "vcpu").xsave = new Uint8Array(64)),
    (pieces) => void (valueOf(pieces, "address-space").blocks[0][1] = 1),
  ];
  const attempt = async () => {
    for (const change of attempts) {
      const pieces = structuredClone(sample.pieces);
      change(pieces);
      await putTogether(sample.image, pieces);
      await assertRejects(() => Vm.restore(sample.image), Error, "Cannot");
    }
  };
  // What is opened once for the life of the process is opened now; and what a
  // VM holds shows.
  await attempt();
  await putTogether(sample.image, sample.pieces);
  const before = held(sample.image);
  {
    await using _vm = await Vm.restore(sample.image);
    const during = moreHeld(before, held(sample.image));
    assertEquals(during["anon_inode:kvm-vm"], 1);
    assert(during.mappings >= 1, `${during.mappings} mappings`);
    assert(during.guestBytes >= 16 * 1024 ** 2, `${during.guestBytes} bytes`);
  }
  for (let i = 0; i < 10; i++) await attempt();
  assertEquals(moreHeld(before, held(sample.image)), {});
});
