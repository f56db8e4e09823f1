import { assert, assertEquals } from "@std/assert";
import { CPUID, cpuidEntries, Kvm, SIZE } from "../../src/kvm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";

Deno.test("cpuidEntries: gives the entries that are whole, wherever they begin", () => {
  const bytes = new Uint8Array(3 + SIZE.kvm_cpuid2 + 2.5 * 40).subarray(3);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(CPUID.nent, 1000, true);
  for (let i = 0; i < 24; i++) {
    if (i !== 1) view.setUint32(i * 4, 0xf000_0000 + i, true);
  }
  const word = (i: number) => 0xf000_0000 + i;
  assertEquals(
    [...cpuidEntries(bytes)],
    [2, 12].map((first) => ({
      leaf: word(first),
      subleaf: word(first + 1),
      registers: [3, 4, 5, 6].map((i) => word(first + i)) as [
        number,
        number,
        number,
        number,
      ],
      offset: first * 4,
    })),
  );
  assertEquals([...cpuidEntries(bytes.subarray(0, 8))], []);
  assertEquals([...cpuidEntries(new Uint8Array())], []);
});

kvmTest(
  "cpuidEntries: the vendor's name is in leaf 0, as the CPU has it",
  () => {
    using kvm = Kvm.open();
    const entries = [...cpuidEntries(kvm.supportedCpuid())];
    const vendor = entries.find(({ leaf }) => leaf === 0);
    assert(vendor);
    const [, ebx, ecx, edx] = vendor.registers;
    const name = new TextDecoder().decode(
      new Uint8Array(new Uint32Array([ebx, edx, ecx]).buffer),
    );
    const cpuinfo = Deno.readTextFileSync("/proc/cpuinfo");
    assertEquals(name, /^vendor_id\s*: (\S+)$/m.exec(cpuinfo)?.[1]);
  },
);
