import { assert, assertEquals, assertThrows } from "@std/assert";
import { ERRNO, Kvm, KVM_CAP, KvmError, libc } from "../../src/kvm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";

/** asm/unistd_64.h; setfsuid(2) changes this thread's rights to files only. */
const SYS_setfsuid = 122;
const NOBODY = 65534;

Deno.test("system: a missing /dev/kvm is named, with what to do", () => {
  const error = assertThrows(() => Kvm.open("/dev/no-such-kvm"), KvmError);
  assertEquals(error.code, "KVM_NO_DEVICE");
  assertEquals(error.ioctl, "open");
  assertEquals(error.errno, ERRNO.ENOENT);
  assertEquals(error.errnoName, "ENOENT");
  assertEquals(error.message, "Cannot open /dev/no-such-kvm: ENOENT");
  assert(error.hint);
});

Deno.test("system: a device that is not KVM is refused", () => {
  const error = assertThrows(() => Kvm.open("/dev/null"), KvmError);
  assertEquals(error.code, "KVM_NO_DEVICE");
  assertEquals(error.ioctl, "KVM_GET_API_VERSION");
  assertEquals(error.errnoName, "ENOTTY");
});

Deno.test("system: a device that is not permitted is told from a missing one", () => {
  const path = Deno.makeTempFileSync();
  try {
    Deno.chmodSync(path, 0);
    // Root may open anything, except under another's identity.
    const isRoot = Deno.uid() === 0;
    if (isRoot) libc.syscall(SYS_setfsuid, NOBODY, 0, 0);
    let error: KvmError;
    try {
      error = assertThrows(() => Kvm.open(path), KvmError);
    } finally {
      if (isRoot) libc.syscall(SYS_setfsuid, 0, 0, 0);
    }
    assertEquals(error.code, "KVM_NO_PERMISSION");
    assertEquals(error.errnoName, "EACCES");
    assert(error.hint?.includes("kvm"));
  } finally {
    Deno.removeSync(path);
  }
});

kvmTest("system: KVM answers for capabilities, CPUID and MSRs", () => {
  using kvm = Kvm.open();
  assert(kvm.vcpuMapBytes >= 4096);
  assert(kvm.checkExtension(KVM_CAP.KVM_CAP_USER_MEMORY) > 0);
  assertEquals(kvm.checkExtension(0x7fff_0000), 0);
  assert(kvm.requireCapability("KVM_CAP_SYNC_REGS") & 1);
  const cpuid = kvm.supportedCpuid();
  const count = new DataView(cpuid.buffer).getUint32(0, true);
  assert(count > 0);
  assertEquals(cpuid.length, 8 + 40 * count);
  // IA32_TIME_STAMP_COUNTER and LSTAR are on every x86-64.
  const msrs = kvm.msrIndexList();
  assert(msrs.includes(0x10) && msrs.includes(0xc000_0082));
});

kvmTest("system: a capability that is missing is named", () => {
  using kvm = Kvm.open();
  Object.assign(kvm, { checkExtension: () => 0 });
  const error = assertThrows(
    () => kvm.requireCapability("KVM_CAP_SYNC_REGS"),
    KvmError,
  );
  assertEquals(error.code, "KVM_NO_CAPABILITY");
  assert(error.message.includes("KVM_CAP_SYNC_REGS"));
});

kvmTest("system: a disposed KVM reaches no other file's descriptor", () => {
  const kvm = Kvm.open();
  kvm[Symbol.dispose]();
  kvm[Symbol.dispose]();
  assertEquals(kvm.fd, -1);
  const error = assertThrows(() => kvm.createVm(), KvmError);
  assertEquals(error.ioctl, "KVM_CREATE_VM");
  assertEquals(error.errnoName, "EBADF");
});
