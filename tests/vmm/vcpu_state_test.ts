import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ERRNO, Kvm, type KvmVcpu, type KvmVm } from "../../src/kvm/mod.ts";
import { decodeState, toSection } from "../../src/state/mod.ts";
import {
  BLOCK_BYTES,
  bootVcpu,
  checkSyscall,
  checkVcpuState,
  loadVcpu,
  Memory,
  PageTables,
  PROT,
  SYSCALL_STUB_VA,
  VcpuSaver,
  vcpuState,
  type VcpuStateV1,
  VmError,
  writeBootPages,
} from "../../src/vmm/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { holds } from "./property.ts";

const CODE_VA = 0x40_0000;
const DATA_VA = 0x40_1000;
const MEMORY_BYTES = 4 * BLOCK_BYTES;

/** x87, SSE and AVX. */
const XCR0_AVX = 7n;
/** vmovdqu of register `n` at rbx + 32 n: 0x6f loads, 0x7f stores. */
function vmovdqu(opcode: number, n: number): number[] {
  const displacement = n * 32;
  return [
    0xc5,
    n < 8 ? 0xfe : 0x7e,
    opcode,
    0x83 | (n & 7) << 3,
    displacement & 0xff,
    displacement >>> 8,
    0,
    0,
  ];
}
const REGISTERS = Array.from({ length: 16 }, (_, n) => n);
const LOAD = REGISTERS.flatMap((n) => vmovdqu(0x6f, n));
const STORE = REGISTERS.flatMap((n) => vmovdqu(0x7f, n));
/** fld1; fldpi */
const X87 = [0xd9, 0xe8, 0xd9, 0xeb];
/** out %al, $0x60 */
const OUT = [0xe6, 0x60];

/** A VM whose vCPU runs code at CPL3. */
class Guest implements Disposable {
  readonly kvm = Kvm.open();
  readonly vm: KvmVm;
  readonly memory = new Memory(MEMORY_BYTES);
  readonly vcpu: KvmVcpu;

  constructor(code: number[]) {
    writeBootPages(this.memory);
    let next = 0x1_0000 + 16 * 4096;
    const tables = new PageTables(this.memory, () => (next += 4096) - 4096);
    tables.mapBlock(CODE_VA, BLOCK_BYTES, PROT.read | PROT.write | PROT.exec);
    this.memory.write(BLOCK_BYTES, new Uint8Array(code));
    this.vm = this.kvm.createVm();
    this.memory.attach(this.vm);
    this.vcpu = this.vm.createVcpu(0);
    this.vcpu.setCpuid(this.kvm.supportedCpuid());
    bootVcpu(this.vcpu, CODE_VA, 0);
    this.vcpu.setXcrs([{ xcr: 0, value: XCR0_AVX }]);
    this.vcpu.setRegs({ ...this.vcpu.getRegs(), rbx: BigInt(DATA_VA) });
  }

  /** The 512 bytes that the registers are loaded from and stored to. */
  get data(): Uint8Array {
    return this.memory.bytes(BLOCK_BYTES + DATA_VA - CODE_VA, 512);
  }

  /** Runs to the next `out`, and completes it. */
  run(): void {
    const { vcpu } = this;
    assertEquals(vcpu.runSync(), 0);
    assertEquals(vcpu.run.ioPort, 0x60);
    this.settle();
  }

  settle(): void {
    this.vcpu.run.immediateExit = 1;
    assertEquals(this.vcpu.runSync(), -ERRNO.EINTR);
    this.vcpu.run.immediateExit = 0;
  }

  /** The state through CBOR and the schema, as in an image. */
  save(): VcpuStateV1 {
    const saver = new VcpuSaver(this.vcpu, this.kvm.msrIndexList());
    const dump = saver.dump();
    assert(dump.answer === "payload");
    return decodeState(vcpuState, toSection(saver, dump.value));
  }

  [Symbol.dispose](): void {
    this.vcpu[Symbol.dispose]();
    this.vm[Symbol.dispose]();
    this.memory[Symbol.dispose]();
    this.kvm[Symbol.dispose]();
  }
}

/** MSRs that count time or are the VM's own, not the program's. */
function travels(index: number): boolean {
  const counters = [0x10, 0xe7, 0xe8]; // TSC, MPERF, APERF
  return !counters.includes(index) && index >>> 8 !== 0x4b564d;
}

function comparable(state: VcpuStateV1) {
  return { ...state, msrs: state.msrs.filter(({ index }) => travels(index)) };
}

kvmTest(
  "vcpu_state: a vCPU that ran AVX code is the same after a load, and goes on",
  () => {
    using first = new Guest([...LOAD, ...X87, ...OUT, ...STORE, ...OUT]);
    const pattern = crypto.getRandomValues(new Uint8Array(512));
    first.data.set(pattern);
    first.run();
    const saved = first.save();
    assertEquals(comparable(first.save()), comparable(saved));

    using second = new Guest([...LOAD, ...X87, ...OUT, ...STORE, ...OUT]);
    loadVcpu(second.vcpu, second.kvm, saved);
    second.settle();
    const loaded = second.save();
    assertEquals(loaded.xsave, saved.xsave);
    assertEquals(comparable(loaded), comparable(saved));
    // The TSC goes on from where it was, not from zero.
    const tsc = (s: VcpuStateV1) =>
      s.msrs.find(({ index }) => index === 0x10)!.value;
    assert(tsc(loaded) >= tsc(saved));

    assert(second.data.every((byte) => byte === 0));
    second.run();
    assertEquals(second.data, pattern);
  },
);

kvmTest(
  "vcpu_state: debug registers, FS and GS, and a page fault's address travel",
  () => {
    using first = new Guest(OUT);
    const sregs = first.vcpu.getSregs();
    first.vcpu.setSregs({
      ...sregs,
      fs: { ...sregs.fs, base: 0x7000_1234_5678n },
      gs: { ...sregs.gs, base: 0x1111n },
      cr2: 0xdead_beef_000n,
    });
    const debug = first.vcpu.getDebugRegs();
    first.vcpu.setDebugRegs({ ...debug, db: [1n, 2n, 3n, 4n] });
    first.run();
    const saved = first.save();
    assertEquals(saved.sregs.fs.base, 0x7000_1234_5678n);
    assertEquals(saved.debugRegs.db, [1n, 2n, 3n, 4n]);
    using second = new Guest(OUT);
    loadVcpu(second.vcpu, second.kvm, saved);
    second.settle();
    assertEquals(comparable(second.save()), comparable(saved));
  },
);

Deno.test("vcpu_state: events are asked for before what asking for them changes", () => {
  // Where page tables are shadowed, the address of a fault that waits to be
  // delivered is in CR2 only from then on.
  const asked: PropertyKey[] = [];
  const vcpu = new Proxy({ id: 0 }, {
    get(target, name) {
      return Reflect.get(target, name) ?? (() => void asked.push(name));
    },
  });
  new VcpuSaver(vcpu as unknown as KvmVcpu, []).dump();
  const first = asked.indexOf("getVcpuEvents");
  assert(first >= 0);
  assert(first < asked.indexOf("getSregs"));
  assert(first < asked.indexOf("getDebugRegs"));
});

kvmTest(
  "vcpu_state: a CPU that lacks what the program was shown is refused by name",
  () => {
    using guest = new Guest(OUT);
    const saved = guest.save();
    checkVcpuState(guest.vcpu, saved);
    const cpuid = saved.cpuid.slice();
    const view = new DataView(cpuid.buffer);
    let bit = -1;
    for (let at = 8; at < cpuid.length; at += 40) {
      // Leaf 7, EBX: some bit that this CPU does not have.
      if (
        view.getUint32(at, true) !== 7 || view.getUint32(at + 4, true) !== 0
      ) continue;
      const ebx = view.getUint32(at + 16, true);
      bit = REGISTERS.concat(REGISTERS.map((n) => n + 16))
        .find((n) => !(ebx & 1 << n)) ?? -1;
      if (bit >= 0) view.setUint32(at + 16, ebx | 1 << bit, true);
    }
    if (bit < 0) return console.log("this CPU has every feature of leaf 7");
    const error = assertThrows(
      () => checkVcpuState(guest.vcpu, { ...saved, cpuid }),
      VmError,
      `CPUID 7h.0 EBX bit ${bit}`,
    );
    assertEquals(error.code, "VM_INCOMPATIBLE");
  },
);

kvmTest("vcpu_state: a CPUID table of any bytes is compared or refused", () => {
  using guest = new Guest(OUT);
  const saved = guest.save();
  holds(
    "vcpu_state: cpuid",
    200,
    fc.uint8Array({ maxLength: 400 }),
    (cpuid) => {
      try {
        checkVcpuState(guest.vcpu, { ...saved, cpuid });
      } catch (error) {
        assert(error instanceof VmError, `${error}`);
        assertEquals(error.code, "VM_INCOMPATIBLE");
      }
    },
  );
});

kvmTest(
  "vcpu_state: a vCPU frozen inside a stub goes on only where syscall does the same",
  () => {
    using guest = new Guest(OUT);
    const user = guest.save();
    const inStub = {
      ...user,
      regs: { ...user.regs, rip: BigInt(SYSCALL_STUB_VA) },
    };
    const kernel = {
      ...user,
      sregs: { ...user.sregs, cs: { ...user.sregs.cs, dpl: 0 } },
    };
    const both = ["raises-to-cpl0", "stays-at-cpl3"] as const;
    for (const here of both) {
      for (const saved of both) {
        checkSyscall(() => here, saved, user);
        for (const state of [inStub, kernel]) {
          if (here === saved) {
            checkSyscall(() => here, saved, state);
            continue;
          }
          const error = assertThrows(
            () => checkSyscall(() => here, saved, state),
            VmError,
          );
          assertEquals(error.code, "VM_INCOMPATIBLE");
          assert(
            error.message.includes(
              `${saved} where it was saved and ${here} here`,
            ),
          );
        }
      }
    }
  },
);

kvmTest(
  "vcpu_state: a state with random mistakes is loaded or refused with a type",
  () => {
    using source = new Guest([...LOAD, ...OUT]);
    source.run();
    const saved = source.save();
    const word = fc.bigInt(0n, (1n << 64n) - 1n);
    const mistake = fc.oneof(
      word.map((value) => ({ sregs: { ...saved.sregs, cr0: value } })),
      word.map((value) => ({ sregs: { ...saved.sregs, cr4: value } })),
      word.map((value) => ({ sregs: { ...saved.sregs, efer: value } })),
      word.map((value) => ({ sregs: { ...saved.sregs, apic_base: value } })),
      fc.tuple(fc.nat(255), fc.nat(255)).map(([type, dpl]) => ({
        sregs: { ...saved.sregs, cs: { ...saved.sregs.cs, type, dpl } },
      })),
      fc.array(fc.record({ xcr: fc.nat(3), value: word }), { maxLength: 16 })
        .map((xcrs) => ({ xcrs })),
      fc.array(
        fc.record({ index: fc.nat().map((n) => n >>> 0), value: word }),
        { maxLength: 20 },
      ).map((msrs) => ({ msrs })),
      word.map((value) => ({
        msrs: saved.msrs.map((entry, i) =>
          i % 7 === 0 ? { ...entry, value } : entry
        ),
      })),
      fc.uint8Array({ maxLength: 5000 }).map((xsave) => ({ xsave })),
      fc.array(fc.tuple(fc.integer({ min: 500, max: 600 }), fc.nat(255)), {
        minLength: 1,
      }).map((changes) => {
        const xsave = saved.xsave.slice();
        for (const [at, value] of changes) xsave[at] = value;
        return { xsave };
      }),
      word.map((value) => ({ debugRegs: { ...saved.debugRegs, dr7: value } })),
      word.map((value) => ({
        debugRegs: { ...saved.debugRegs, flags: value },
      })),
      fc.nat(0xffff_ffff).map((mpState) => ({ mpState })),
      fc.nat(255).map((n) => ({
        events: { ...saved.events, exception_nr: n, exception_injected: 1 },
      })),
      fc.nat(0xffff_ffff).map((flags) => ({
        events: { ...saved.events, flags },
      })),
      word.map((rip) => ({ regs: { ...saved.regs, rip } })),
      word.map((rflags) => ({ regs: { ...saved.regs, rflags } })),
    );
    let refused = 0;
    holds("vcpu_state: mistakes", 300, mistake, (change) => {
      using vm = source.kvm.createVm();
      using vcpu = vm.createVcpu(0);
      vcpu.setCpuid(source.kvm.supportedCpuid());
      try {
        loadVcpu(vcpu, source.kvm, { ...saved, ...change } as VcpuStateV1);
      } catch (error) {
        refused++;
        assert(
          error instanceof VmError,
          `${error instanceof Error ? error.stack : ""}`,
        );
        assertEquals(error.code, "VM_INCOMPATIBLE");
        assert(
          error.message.startsWith(`Cannot restore "vcpu0": `),
          error.message,
        );
      }
    });
    assert(refused > 0);
  },
);
