import { assert, assertEquals, assertThrows } from "@std/assert";
import { Kvm, KVM_CAP, KVM_MEM, KvmError } from "../../src/kvm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { MEMORY_BYTES, SmallGuest } from "./small_guest.ts";

const PAGES = MEMORY_BYTES / 4096;

/** mov %eax, 0x300000; mov %eax, 0x305008; out %al, $0x10; and again */
const WRITES_TWO_PAGES = [
  ...[0x89, 0x04, 0x25, 0x00, 0x00, 0x30, 0x00],
  ...[0x89, 0x04, 0x25, 0x08, 0x50, 0x30, 0x00],
  ...[0xe6, 0x10],
];

function dirtyPages(bitmap: Uint8Array): number[] {
  const pages: number[] = [];
  for (let page = 0; page < bitmap.length * 8; page++) {
    if (bitmap[page >>> 3] & (1 << (page & 7))) pages.push(page);
  }
  return pages;
}

kvmTest("vm: the dirty log holds the pages the guest wrote, once", () => {
  using guest = new SmallGuest(WRITES_TWO_PAGES, KVM_MEM.LOG_DIRTY_PAGES);
  const bitmap = new Uint8Array(PAGES / 8);
  guest.vm.getDirtyLog(0, bitmap);
  assertEquals(guest.vcpu.runSync(), 0);
  guest.vm.getDirtyLog(0, bitmap);
  const written = dirtyPages(bitmap);
  assert(written.includes(0x300) && written.includes(0x305));
  assert(!written.includes(0x301));
  guest.vm.getDirtyLog(0, bitmap);
  assertEquals(dirtyPages(bitmap), []);
});

kvmTest(
  "vm: with manual protection a page stays logged until it is cleared",
  () => {
    using kvm = Kvm.open();
    const manual = kvm.checkExtension(
      KVM_CAP.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
    );
    if (manual === 0) return;
    using guest = new SmallGuest(WRITES_TWO_PAGES);
    guest.vm.enableCapability(KVM_CAP.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 1n);
    guest.vm.setUserMemoryRegion({
      slot: 0,
      flags: KVM_MEM.LOG_DIRTY_PAGES,
      gpa: 0,
      sizeBytes: MEMORY_BYTES,
      hostAddress: guest.hostAddress,
    });
    assertEquals(guest.vcpu.runSync(), 0);
    const bitmap = new Uint8Array(PAGES / 8);
    for (let i = 0; i < 2; i++) {
      guest.vm.getDirtyLog(0, bitmap);
      const written = dirtyPages(bitmap);
      assert(written.includes(0x300) && written.includes(0x305));
    }
    guest.vm.clearDirtyLog(0, 0, PAGES, bitmap);
    guest.vm.getDirtyLog(0, bitmap);
    assertEquals(dirtyPages(bitmap), []);
  },
);

kvmTest(
  "vm: a dirty bitmap that is too short is never handed to the kernel",
  () => {
    using guest = new SmallGuest([0xe6, 0x10], KVM_MEM.LOG_DIRTY_PAGES);
    const short = new Uint8Array(PAGES / 8 - 8);
    for (
      const use of [
        () => guest.vm.getDirtyLog(0, short),
        () => guest.vm.clearDirtyLog(0, 0, PAGES, short),
      ]
    ) {
      const error = assertThrows(use, KvmError);
      assert(
        error.message.includes("dirty bitmap of 120 bytes"),
        error.message,
      );
    }
  },
);

kvmTest("vm: a slot without a log is named by the kernel", () => {
  using guest = new SmallGuest([0xe6, 0x10]);
  for (const slot of [0, 7]) {
    const error = assertThrows(
      () => guest.vm.getDirtyLog(slot, new Uint8Array(PAGES / 8)),
      KvmError,
    );
    assertEquals(error.ioctl, "KVM_GET_DIRTY_LOG");
    assertEquals(error.errnoName, "ENOENT");
  }
});

kvmTest(
  "vm: memory that is not page aligned is refused, naming the ioctl",
  () => {
    using guest = new SmallGuest([0xe6, 0x10]);
    const error = assertThrows(
      () =>
        guest.vm.setUserMemoryRegion({
          slot: 1,
          gpa: 0x1000_0000,
          sizeBytes: 100,
          hostAddress: guest.hostAddress,
        }),
      KvmError,
    );
    assertEquals(error.code, "KVM_CALL");
    assertEquals(error.ioctl, "KVM_SET_USER_MEMORY_REGION");
    assertEquals(error.errnoName, "EINVAL");
  },
);

kvmTest("vm: a vCPU number cannot be used twice", () => {
  using guest = new SmallGuest([0xe6, 0x10]);
  const error = assertThrows(() => guest.vm.createVcpu(0), KvmError);
  assertEquals(error.ioctl, "KVM_CREATE_VCPU");
  assertEquals(error.errnoName, "EEXIST");
});

kvmTest("vm: capabilities can be asked of the VM", () => {
  using guest = new SmallGuest([0xe6, 0x10]);
  assert(guest.vm.checkExtension(KVM_CAP.KVM_CAP_NR_MEMSLOTS) > 1);
});
