import { assertEquals, assertThrows } from "@std/assert";
import { Kvm, KvmError, libc } from "../../src/kvm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { mappingsOf, openDescriptors, SmallGuest } from "./small_guest.ts";

/** What KVM's descriptors and the shared pages are called in /proc. */
const KVM_NAME = "kvm";

function held(): { descriptors: string[]; mappings: string[] } {
  return {
    descriptors: openDescriptors().filter((line) => line.includes(KVM_NAME)),
    mappings: mappingsOf("kvm-vcpu"),
  };
}

kvmTest(
  "resources: a guest holds three descriptors and one mapping, then none",
  () => {
    const before = held();
    {
      using guest = new SmallGuest([0xe6, 0x10]);
      assertEquals(guest.vcpu.runSync(), 0);
      const during = held();
      assertEquals(during.descriptors.length, before.descriptors.length + 3);
      assertEquals(during.mappings.length, before.mappings.length + 1);
    }
    assertEquals(held(), before);
  },
);

kvmTest("resources: what fails on the way leaves nothing behind", () => {
  const before = openDescriptors();
  assertThrows(() => Kvm.open("/dev/null"), KvmError);
  {
    using guest = new SmallGuest([0xe6, 0x10]);
    assertThrows(() => guest.vm.createVcpu(0), KvmError);
  }
  assertEquals(openDescriptors(), before);
});

kvmTest("resources: a vCPU whose page cannot be mapped is closed", () => {
  using kvm = Kvm.open();
  // The kernel maps no more than its pages: a longer mapping is refused.
  Object.defineProperty(kvm, "vcpuMapBytes", { value: 2 ** 46 * 2 });
  using vm = kvm.createVm();
  const before = held();
  const error = assertThrows(() => vm.createVcpu(0), KvmError);
  assertEquals(error.ioctl, "mmap");
  assertEquals(error.errnoName, "ENOMEM");
  assertEquals(held(), before);
});

Deno.test("resources: a mapping that fails is told from an address", () => {
  assertEquals(Number(libc.mmap(0, 0, 3, 1, -1, 0)), -1);
});
