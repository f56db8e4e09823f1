import { assertEquals } from "@std/assert";
import { decodeExit, type Exit, KVM_EXIT, KvmRun } from "../../src/kvm/mod.ts";

/** A shared page as the kernel would leave it; the union starts at byte 32. */
function page(reason: number, fill: (view: DataView) => void): KvmRun {
  const run = new KvmRun(new ArrayBuffer(12288));
  run.exitReason = reason;
  fill(run.view);
  return run;
}

const nothing = () => {};

const cases: [string, KvmRun, Exit][] = [
  ["hlt", page(KVM_EXIT.KVM_EXIT_HLT, nothing), { kind: "hlt" }],
  ["intr", page(KVM_EXIT.KVM_EXIT_INTR, nothing), { kind: "intr" }],
  ["debug", page(KVM_EXIT.KVM_EXIT_DEBUG, nothing), { kind: "debug" }],
  ["shutdown", page(KVM_EXIT.KVM_EXIT_SHUTDOWN, nothing), { kind: "shutdown" }],
  [
    "hypercall",
    page(KVM_EXIT.KVM_EXIT_HYPERCALL, (v) => v.setBigUint64(32, 12n, true)),
    { kind: "hypercall", number: 12n },
  ],
  [
    "system-event",
    page(KVM_EXIT.KVM_EXIT_SYSTEM_EVENT, (v) => v.setUint32(32, 2, true)),
    { kind: "system-event", type: 2 },
  ],
  [
    "fail-entry",
    page(
      KVM_EXIT.KVM_EXIT_FAIL_ENTRY,
      (v) => v.setBigUint64(32, 0x8000_0021n, true),
    ),
    { kind: "fail-entry", reason: 0x8000_0021n },
  ],
  [
    "internal-error",
    page(KVM_EXIT.KVM_EXIT_INTERNAL_ERROR, (v) => {
      v.setUint32(32, 1, true);
      v.setUint32(36, 2, true);
      v.setBigUint64(40, 7n, true);
      v.setBigUint64(48, 8n, true);
    }),
    { kind: "internal-error", suberror: 1, data: [7n, 8n] },
  ],
  [
    "a reason that is not known",
    page(77, nothing),
    { kind: "unsupported", reason: 77 },
  ],
];

for (const [name, run, expected] of cases) {
  Deno.test(`exit: ${name} is decoded`, () => {
    assertEquals(decodeExit(run), expected);
  });
}

Deno.test("exit: a repeated port access has all its items", () => {
  const run = page(KVM_EXIT.KVM_EXIT_IO, (v) => {
    v.setUint8(32, 1);
    v.setUint8(33, 2);
    v.setUint16(34, 0x3f8, true);
    v.setUint32(36, 3, true);
    v.setUint32(40, 4096, true);
  });
  run.u8.set([1, 2, 3, 4, 5, 6, 7], 4096);
  assertEquals(decodeExit(run), {
    kind: "io",
    direction: "out",
    port: 0x3f8,
    sizeBytes: 2,
    count: 3,
    data: new Uint8Array([1, 2, 3, 4, 5, 6]),
  });
});

Deno.test("exit: MMIO data is never longer than its field", () => {
  const run = page(KVM_EXIT.KVM_EXIT_MMIO, (v) => {
    v.setBigUint64(32, 0x1_0000_1000n, true);
    v.setUint32(48, 1000, true);
  });
  const exit = decodeExit(run);
  assertEquals(exit.kind === "mmio" && exit.data.length, 8);
  assertEquals(exit.kind === "mmio" && exit.gpa, 0x1_0000_1000);
});
