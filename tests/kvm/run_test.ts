import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  decodeExit,
  ERRNO,
  KVM_EXIT,
  KVM_SYNC,
  REG,
  SREGS,
} from "../../src/kvm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { SmallGuest } from "./small_guest.ts";

kvmTest("run: an `out` leaves with its port, width and value", () => {
  // mov $0x11223344, %eax; out %eax, $0x42
  using guest = new SmallGuest([0xb8, 0x44, 0x33, 0x22, 0x11, 0xe7, 0x42]);
  const { run } = guest.vcpu;
  assertEquals(guest.vcpu.runSync(), 0);
  assertEquals(run.exitReason, KVM_EXIT.KVM_EXIT_IO);
  assertEquals(run.ioDirection, 1);
  assertEquals(run.ioPort, 0x42);
  assertEquals(run.ioSizeBytes, 4);
  assertEquals(run.ioCount, 1);
  assertEquals(run.view.getUint32(run.ioDataOffset, true), 0x1122_3344);
});

kvmTest("run: an `in` takes what the VMM puts there", () => {
  // in $0x42, %al; out %al, $0x43
  using guest = new SmallGuest([0xe4, 0x42, 0xe6, 0x43]);
  const { run } = guest.vcpu;
  assertEquals(guest.vcpu.runSync(), 0);
  const input = decodeExit(run);
  assert(input.kind === "io" && input.direction === "in");
  input.data[0] = 0x99;
  assertEquals(guest.vcpu.runSync(), 0);
  const output = decodeExit(run);
  assert(output.kind === "io" && output.direction === "out");
  assertEquals([output.port, ...output.data], [0x43, 0x99]);
});

kvmTest("run: MMIO leaves with its address and data, both ways", () => {
  using guest = new SmallGuest([
    ...[0xb8, 0x44, 0x33, 0x22, 0x11], // mov $0x11223344, %eax
    ...[0x89, 0x04, 0x25, 0x10, 0x00, 0x40, 0x00], // mov %eax, 0x400010
    ...[0x8b, 0x04, 0x25, 0x20, 0x00, 0x40, 0x00], // mov 0x400020, %eax
    ...[0xe7, 0x10], // out %eax, $0x10
  ]);
  const { run } = guest.vcpu;
  assertEquals(guest.vcpu.runSync(), 0);
  const write = decodeExit(run);
  assert(write.kind === "mmio" && write.isWrite);
  assertEquals(write.gpa, 0x40_0010);
  assertEquals([...write.data], [0x44, 0x33, 0x22, 0x11]);
  assertEquals(guest.vcpu.runSync(), 0);
  const read = decodeExit(run);
  assert(read.kind === "mmio" && !read.isWrite);
  assertEquals(read.gpa, 0x40_0020);
  read.data.set([1, 2, 3, 4]);
  assertEquals(guest.vcpu.runSync(), 0);
  assertEquals(run.view.getUint32(run.ioDataOffset, true), 0x0403_0201);
});

kvmTest("run: a fault without a handler is a shutdown", () => {
  using guest = new SmallGuest([0x0f, 0x0b]); // ud2
  assertEquals(guest.vcpu.runSync(), 0);
  assertEquals(decodeExit(guest.vcpu.run), { kind: "shutdown" });
});

kvmTest("run: sync regs show the registers, and take changes", () => {
  using guest = new SmallGuest([
    ...[0xe6, 0x10], // out %al, $0x10
    ...[0x89, 0xd8, 0xe7, 0x11], // mov %ebx, %eax; out %eax, $0x11
  ]);
  const { vcpu } = guest;
  const { run } = vcpu;
  vcpu.setRegs({ ...vcpu.getRegs(), r15: 0xffff_ffff_0000_0001n });
  run.syncValid = KVM_SYNC.REGS | KVM_SYNC.SREGS;
  assertEquals(run.syncValid, 3);
  assertEquals(vcpu.runSync(), 0);
  assertEquals(run.syncRegs[REG.r15], 1);
  assertEquals(run.syncRegs[REG.r15 + 1], -1);
  assertEquals(run.syncRegsU32[REG.r15 + 1], 0xffff_ffff);
  assertEquals(run.syncCsDpl, 3);
  run.syncRegsU32[REG.rbx] = 0xabcd_ef01;
  run.syncDirty = KVM_SYNC.REGS;
  assertEquals(vcpu.runSync(), 0);
  assertEquals(run.syncDirty, 0, "the kernel took the registers");
  assertEquals(run.ioPort, 0x11);
  assertEquals(run.view.getUint32(run.ioDataOffset, true), 0xabcd_ef01);
});

kvmTest("run: a segment set through sync regs is the guest's", () => {
  using guest = new SmallGuest([
    ...[0xe6, 0x10], // out %al, $0x10
    ...[0x64, 0x8b, 0x04, 0x25, 0, 0, 0, 0], // mov %fs:0, %eax
    ...[0xe7, 0x11], // out %eax, $0x11
  ]);
  const { vcpu } = guest;
  const { run } = vcpu;
  new DataView(guest.memory.buffer).setUint32(0x9000, 0x5151_5151, true);
  const { fs } = vcpu.getSregs();
  run.syncValid = KVM_SYNC.REGS | KVM_SYNC.SREGS;
  assertEquals(vcpu.runSync(), 0);
  run.writeSyncSegment(SREGS.fs, { ...fs, base: 0x9000n });
  run.syncDirty = KVM_SYNC.SREGS;
  assertEquals(vcpu.runSync(), 0);
  assertEquals(run.view.getUint32(run.ioDataOffset, true), 0x5151_5151);
});

kvmTest(
  "run: an immediate exit completes the exit before, and nothing more",
  () => {
    // out %al, $0x10; out %al, $0x11
    using guest = new SmallGuest([0xe6, 0x10, 0xe6, 0x11]);
    const { vcpu } = guest;
    assertEquals(vcpu.runSync(), 0);
    vcpu.run.immediateExit = 1;
    assertEquals(vcpu.runSync(), -ERRNO.EINTR);
    assertEquals(vcpu.getRegs().rip, 0x1002n);
    vcpu.run.immediateExit = 0;
    assertEquals(vcpu.runSync(), 0);
    assertEquals(vcpu.run.ioPort, 0x11);
  },
);

kvmTest("run: off-thread the guest runs while JavaScript does", async () => {
  using guest = new SmallGuest([
    ...[0x80, 0x3c, 0x25, 0x00, 0x90, 0x00, 0x00, 0x00], // cmpb $0, 0x9000
    ...[0x74, 0xf6], // je to the start
    ...[0xe6, 0x12], // out %al, $0x12
  ]);
  const { vcpu } = guest;
  vcpu.run.exitReason = KVM_EXIT.KVM_EXIT_UNKNOWN;
  const running = vcpu.runAsync();
  let turns = 0;
  for (; turns < 5; turns++) await new Promise((done) => setTimeout(done, 1));
  assertEquals(vcpu.run.exitReason, KVM_EXIT.KVM_EXIT_UNKNOWN);
  guest.memory[0x9000] = 1;
  assertEquals(await running, 0);
  assertEquals(vcpu.run.exitReason, KVM_EXIT.KVM_EXIT_IO);
  assertEquals(vcpu.run.ioPort, 0x12);
});

kvmTest("run: off-thread an immediate exit gives -1", async () => {
  using guest = new SmallGuest([0xe6, 0x10]);
  guest.vcpu.run.immediateExit = 1;
  assertEquals(await guest.vcpu.runAsync(), -1);
});

kvmTest(
  "run: after disposal no view reaches the shared page, and no ioctl a file",
  () => {
    const guest = new SmallGuest([0xe6, 0x10]);
    const { vcpu } = guest;
    assertEquals(vcpu.runSync(), 0);
    guest[Symbol.dispose]();
    assertEquals(vcpu.fd, -1);
    assertEquals(vcpu.runSync(), -ERRNO.EBADF);
    assertEquals(vcpu.run.u8.length, 0);
    assertEquals(vcpu.run.syncRegsU32.length, 0);
    assertThrows(() => vcpu.run.view.getUint8(0), TypeError);
  },
);
