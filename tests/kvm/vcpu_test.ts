import { assert, assertEquals, assertThrows } from "@std/assert";
import { KvmError, REGS, type Regs } from "../../src/kvm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { SmallGuest } from "./small_guest.ts";

/** out %al, $0x10 */
const OUT = [0xe6, 0x10];
/** LSTAR (Intel SDM volume 4, table 2-2). */
const MSR_LSTAR = 0xc000_0082;

function run(guest: SmallGuest): number {
  assertEquals(guest.vcpu.runSync(), 0);
  const { run } = guest.vcpu;
  return run.view.getUint32(run.ioDataOffset, true);
}

kvmTest("vcpu: general registers come back as they were set", () => {
  const seed = crypto.getRandomValues(new BigUint64Array(18));
  console.log(`registers: ${[...seed].join(" ")}`);
  using guest = new SmallGuest(OUT);
  const regs = Object.fromEntries(
    REGS.map((name, i) => [name, seed[i]]),
  ) as Regs;
  regs.rip = 0x1000n;
  regs.rflags = 2n;
  guest.vcpu.setRegs(regs);
  assertEquals(guest.vcpu.getRegs(), regs);
});

kvmTest("vcpu: the guest sees the registers it was given", () => {
  // mov %ebx, %eax; out %eax, $0x10
  using guest = new SmallGuest([0x89, 0xd8, 0xe7, 0x10]);
  guest.vcpu.setRegs({ ...guest.vcpu.getRegs(), rbx: 0x1234_5678n });
  assertEquals(run(guest), 0x1234_5678);
});

kvmTest(
  "vcpu: segment and control registers come back as they were set",
  () => {
    using guest = new SmallGuest(OUT);
    const before = guest.vcpu.getSregs();
    assertEquals(before.cs.dpl, 3);
    const changed = {
      ...before,
      fs: { ...before.fs, base: 0x7123_4567_89a0n },
      cr2: 0xdead_b000n,
      gdt: { base: 0x5000n, limit: 63 },
    };
    guest.vcpu.setSregs(changed);
    assertEquals(guest.vcpu.getSregs(), changed);
  },
);

kvmTest("vcpu: MSRs come back as they were set, in the order asked", () => {
  using guest = new SmallGuest(OUT);
  const entries = [
    { index: MSR_LSTAR, value: 0x10000n },
    { index: 0xc000_0084, value: 0x4_7700n },
  ];
  guest.vcpu.setMsrs(entries);
  assertEquals(guest.vcpu.getMsrs(entries.map(({ index }) => index)), entries);
  assertEquals(guest.vcpu.getMsrs([]), []);
});

kvmTest("vcpu: every MSR that holds a guest's state can be read", () => {
  using guest = new SmallGuest(OUT);
  const indices = guest.kvm.msrIndexList();
  assertEquals(guest.vcpu.getMsrs(indices).length, indices.length);
});

kvmTest("vcpu: the first MSR that is refused is named", () => {
  using guest = new SmallGuest(OUT);
  const lstar = { index: MSR_LSTAR, value: 0n };
  const bad = { index: 0xdead_0001, value: 5n };
  const set = assertThrows(
    () => guest.vcpu.setMsrs([lstar, bad, lstar]),
    KvmError,
  );
  assertEquals(
    set.message,
    "KVM_SET_MSRS refused MSR 0xdead0001 with value 0x5",
  );
  const get = assertThrows(
    () => guest.vcpu.getMsrs([MSR_LSTAR, bad.index]),
    KvmError,
  );
  assertEquals(get.message, "KVM_GET_MSRS refused MSR 0xdead0001");
});

kvmTest("vcpu: the XSAVE area carries SSE registers into the guest", () => {
  // movd %xmm3, %eax; out %eax, $0x10
  using guest = new SmallGuest([0x66, 0x0f, 0x7e, 0xd8, 0xe7, 0x10]);
  const xsave = guest.vcpu.getXsave();
  assert(xsave.length >= 4096);
  const view = new DataView(xsave.buffer);
  // Intel SDM volume 1, 13.4: XMM3 at 208, XSTATE_BV at 512 (bit 1 is SSE).
  view.setUint32(208, 0xcafe_f00d, true);
  view.setUint32(512, view.getUint32(512, true) | 3, true);
  guest.vcpu.setXsave(xsave);
  assertEquals(
    new DataView(guest.vcpu.getXsave().buffer).getUint32(208, true),
    0xcafe_f00d,
  );
  assertEquals(run(guest), 0xcafe_f00d);
});

kvmTest("vcpu: an XSAVE area of another length is refused", () => {
  using guest = new SmallGuest(OUT);
  const error = assertThrows(
    () => guest.vcpu.setXsave(new Uint8Array(100)),
    KvmError,
  );
  assertEquals(error.ioctl, "KVM_SET_XSAVE");
});

kvmTest("vcpu: XCR0 comes back as it was set", () => {
  using guest = new SmallGuest(OUT);
  assertEquals(guest.vcpu.getXcrs(), [{ xcr: 0, value: 1n }]);
  guest.vcpu.setXcrs([{ xcr: 0, value: 3n }]);
  assertEquals(guest.vcpu.getXcrs(), [{ xcr: 0, value: 3n }]);
});

kvmTest("vcpu: more XCRs than the structure holds are refused", () => {
  using guest = new SmallGuest(OUT);
  for (const count of [17, 100]) {
    const xcrs = Array.from({ length: count }, () => ({ xcr: 0, value: 1n }));
    const error = assertThrows(() => guest.vcpu.setXcrs(xcrs), KvmError);
    assertEquals(error.ioctl, "KVM_SET_XCRS");
  }
});

kvmTest("vcpu: debug registers come back as they were set", () => {
  using guest = new SmallGuest(OUT);
  const changed = {
    ...guest.vcpu.getDebugRegs(),
    db: [0x1000n, 0x2000n, 0x3000n, 0x4000n],
  };
  guest.vcpu.setDebugRegs(changed);
  assertEquals(guest.vcpu.getDebugRegs(), changed);
});

kvmTest("vcpu: events come back as they were set", () => {
  using guest = new SmallGuest(OUT);
  const events = { ...guest.vcpu.getVcpuEvents(), nmi_masked: 1 };
  guest.vcpu.setVcpuEvents(events);
  assertEquals(guest.vcpu.getVcpuEvents(), events);
});

kvmTest(
  "vcpu: the multiprocessing state is runnable, and rubbish is refused",
  () => {
    using guest = new SmallGuest(OUT);
    assertEquals(guest.vcpu.getMpState(), 0);
    guest.vcpu.setMpState(0);
    const error = assertThrows(() => guest.vcpu.setMpState(99), KvmError);
    assertEquals(error.ioctl, "KVM_SET_MP_STATE");
    assertEquals(error.errnoName, "EINVAL");
  },
);

kvmTest("vcpu: CPUID can be read back, and set again", () => {
  using guest = new SmallGuest(OUT);
  const cpuid = guest.vcpu.getCpuid();
  assertEquals(cpuid.length, guest.kvm.supportedCpuid().length);
  guest.vcpu.setCpuid(cpuid);
  assertEquals(guest.vcpu.getCpuid(), cpuid);
});

kvmTest(
  "vcpu: a CPUID table shorter than its count never reaches the kernel",
  () => {
    using guest = new SmallGuest(OUT);
    const cpuid = guest.vcpu.getCpuid();
    for (const length of [0, 7, 8, cpuid.length - 1, cpuid.length - 40]) {
      const error = assertThrows(
        () => guest.vcpu.setCpuid(cpuid.subarray(0, length)),
        KvmError,
      );
      assertEquals(error.ioctl, "KVM_SET_CPUID2");
      assertEquals(error.errno, 0);
    }
  },
);

kvmTest("vcpu: the TSC's frequency can be set to what it is", () => {
  using guest = new SmallGuest(OUT);
  const khz = guest.vcpu.getTscKhz();
  assert(khz > 100_000);
  guest.vcpu.setTscKhz(khz);
  assertEquals(guest.vcpu.getTscKhz(), khz);
});
