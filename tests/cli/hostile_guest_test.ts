/**
 * Programs that try to reach beyond their own memory: each gets what Linux
 * would give it, and the VMM goes on.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, native, Scratch, seeded, TestVm, vm } from "../support.ts";
import { ERRNO, type VmEnd } from "../../mod.ts";
import {
  EXCEPTION_PORT,
  EXCEPTION_VECTORS,
  KERNEL_BLOCK,
  KERNEL_VA,
  SYSCALL_PORT,
  SYSCALL_STUB_VA,
} from "../../src/vmm/layout.ts";

const SIGSEGV = 11;

/** The hex digits of bytes; numbers above 255 are not taken. */
function hex(...bytes: number[]): string {
  return new Uint8Array(bytes).toHex();
}

/** A number of `count` bytes, the lowest first. */
function le(value: number | bigint, count: number): number[] {
  return Array.from(
    { length: count },
    (_, i) =>
      Number(BigInt.asUintN(64, BigInt(value)) >> BigInt(8 * i) & 0xffn),
  );
}

/** `movabs $value, %rax` (or another register: 2 is RDX, 6 RSI, 7 RDI). */
function load(value: number | bigint, register = 0): number[] {
  return [0x48, 0xb8 + register, ...le(value, 8)];
}

/** Zeroes a model-specific register: its number in ECX, the rest, `wrmsr`. */
function writeMsr(register: number): string {
  const zero = [0x31, 0xc0, 0x31, 0xd2];
  return hex(0xb9, ...le(register, 4), ...zero, 0x0f, 0x30);
}

/** Runs machine code in a VM. */
async function execute(
  ...code: string[]
): Promise<{ end: VmEnd; stdout: string }> {
  const [program] = await guest("machine_code");
  await using test = await TestVm.create({
    program,
    args: code,
    memoryBytes: 32 * 1024 ** 2,
  });
  const end = await test.run();
  return { end, stdout: test.output.stdout };
}

/** The signal that machine code ends with; 0 when it goes on. */
async function signalOf(code: string): Promise<number> {
  const { end, stdout } = await execute(code);
  if (end.kind === "signaled") return end.signal;
  assertEquals({ end, stdout }, {
    end: { kind: "exited", code: 0 },
    stdout: "went on\n",
  });
  return 0;
}

/** Instructions that give a program natively what they must give it here. */
const INSTRUCTIONS: Record<string, string> = {
  "hlt": "f4",
  "cli": "fa",
  "sti": "fb",
  "clts": "0f06",
  "invd": "0f08",
  "wbinvd": "0f09",
  "rdmsr": "0f32",
  "wrmsr of EFER": writeMsr(0xc000_0080),
  "wrmsr of LSTAR": writeMsr(0xc000_0082),
  "read of CR0": "0f20c0",
  "read of CR3": "0f20d8",
  "write of CR3": hex(...load(0x1000), 0x0f, 0x22, 0xd8),
  "write of CR4": "0f22e0",
  "write of CR8": "440f22c0",
  "read of DR0": "0f21c0",
  "write of DR7": "0f23f8",
  "lgdt": "0f011424",
  "lidt": "0f011c24",
  "lldt": "0f00d0",
  "ltr": "0f00d8",
  "lmsw": "0f01f0",
  "invlpg": "0f013f",
  "swapgs": "0f01f8",
  "sysretq": "480f07",
  "xsetbv": hex(0x31, 0xc9, 0x31, 0xd2, 0xb8, 7, 0, 0, 0, 0x0f, 0x01, 0xd1),
  "int3": "cc",
  "int $3": "cd03",
  "icebp": "f1",
  "into, which is no instruction": "ce",
  "ud2": "0f0b",
  "a prefix too many": "66".repeat(16) + "90",
  "single step by popf": "9c810c24000100009d90",
  "IOPL 3 by popf": "9c810c24003000009d90",
  "NT by popf": "9c810c24004000009d90",
  "a null stack": hex(0x31, 0xe4, 0x50),
  "a stack that is not canonical": hex(
    ...load(0x8000_0000_0000_0000n),
    0x48,
    0x94,
    0x50,
  ),
  "a jump that is not canonical": hex(
    ...load(0x8000_0000_0000_0000n),
    0xff,
    0xe0,
  ),
  "a jump into the other half": hex(...load(-4096n), 0xff, 0xe0),
  "a far jump to a null selector": hex(0x6a, 0, 0x57, 0x48, 0xcb),
  "a far jump to the kernel's code": hex(0x6a, 8, 0x57, 0x48, 0xcb),
  "a far jump to the kernel's code, as its own": hex(
    0x6a,
    0x0b,
    0x57,
    0x48,
    0xcb,
  ),
  "the kernel's data segment as a stack": hex(0xb8, 0x10, 0, 0, 0, 0x8e, 0xd0),
  "no stack segment": hex(0x31, 0xc0, 0x8e, 0xd0),
  "no data segment": hex(0x31, 0xc0, 0x8e, 0xd8),
  "a data segment beyond the table": hex(0xb8, 0xfb, 0x7f, 0, 0, 0x8e, 0xd8),
};

kvmTest(
  "hostile guest: privileged instructions are answered as natively",
  async () => {
    const [program] = await guest("machine_code");
    const differ: string[] = [];
    for (const [name, code] of Object.entries(INSTRUCTIONS)) {
      const { status } = await native(program, [code]);
      const signal = await signalOf(code);
      const expected = status > 128 ? status - 128 : 0;
      if (signal !== expected) {
        differ.push(
          `${name}: ${signal}, not ${expected}`,
        );
      }
    }
    assertEquals(differ, []);
  },
);

/** Instructions that are this VM's affair: what they must end with. */
const OURS: [name: string, code: string, ...signals: number[]][] = [
  // A KVM without hardware support has a mind of its own here.
  ...[0, 1, 2, 8, 13, 14, 32, 128, 255].map((
    vector,
  ): [string, string, number, number] => [
    `int $${vector}`,
    hex(0xcd, vector),
    4,
    SIGSEGV,
  ]),
  ["monitor", "0f01c8", 4, SIGSEGV],
  ["vmcall", "0f01c1", 0, 4, SIGSEGV],
  ["vmmcall", "0f01d9", 0, 4, SIGSEGV],
  ["sysenter", "0f34", 4, SIGSEGV],
  // KVM may answer for the CPU, and as the other vendor's would.
  ["sysexit", "0f35", 4, SIGSEGV],
  [
    "the syscall stub, called with a getpid",
    hex(
      0x59,
      0x49,
      0xbb,
      ...le(0x202, 8),
      0xb8,
      39,
      0,
      0,
      0,
      ...load(SYSCALL_STUB_VA, 2),
      0xff,
      0xe2,
    ),
    0,
  ],
  [
    "the syscall stub, with a return that is not canonical",
    hex(
      ...load(-1n),
      0x48,
      0x89,
      0xc1,
      ...load(SYSCALL_STUB_VA, 2),
      0xff,
      0xe2,
    ),
    SIGSEGV,
  ],
  [
    "the middle of the syscall stub",
    hex(...load(SYSCALL_STUB_VA + 1, 2), 0xff, 0xe2),
    SIGSEGV,
  ],
  [
    "the hlt of the syscall stub",
    hex(...load(SYSCALL_STUB_VA + 2, 2), 0xff, 0xe2),
    SIGSEGV,
  ],
  [
    "the end of the stub's page",
    hex(...load(SYSCALL_STUB_VA + 4095, 2), 0xff, 0xe2),
    SIGSEGV,
  ],
];
for (
  const [name, ...code] of [
    ["nothing", 0x90],
    ["int $0x80", 0xcd, 0x80],
    ["syscall", 0x0f, 0x05],
    ["sysenter", 0x0f, 0x34],
    ["hlt", 0xf4],
    ["out to the syscall port", 0xe6, SYSCALL_PORT],
    ["out to the page fault port", 0xe6, EXCEPTION_PORT + 14],
  ] as [string, ...number[]][]
) {
  // lret to the 32-bit code segment, 16 bytes into the page.
  const leave = [0x6a, 0x1b, 0x48, 0x8d, 0x47, 0x10, 0x50, 0x48, 0xcb];
  const padding = new Array(16 - leave.length).fill(0x90);
  OURS.push([
    `${name} in 32-bit code`,
    hex(...leave, ...padding, ...code),
    4,
    7,
    SIGSEGV,
  ]);
}

kvmTest(
  "hostile guest: ways around the stubs end the program alone",
  async (t) => {
    for (const [name, code, ...signals] of OURS) {
      await t.step(name, async () => {
        const signal = await signalOf(code);
        assert(signals.includes(signal), `it got ${signal}, not ${signals}`);
      });
    }
  },
);

kvmTest("hostile guest: in and out are refused on every port", async () => {
  const random = seeded("ports");
  const ports = new Set(Array.from({ length: 256 }, (_, port) => port));
  for (let i = 0; i < 60; i++) ports.add(Math.floor(random() * 65536));
  ports.add(0xffff);
  // in and out of 1, 2 and 4 bytes, by DX.
  const all = ["ec", "66ed", "ed", "ee", "66ef", "ef"];
  for (const port of ports) {
    const ours = port === SYSCALL_PORT ||
      port >= EXCEPTION_PORT && port < EXCEPTION_PORT + EXCEPTION_VECTORS;
    for (const [i, code] of all.entries()) {
      if (!ours && i % 3 !== port % 3) continue;
      const signal = await signalOf(hex(0x66, 0xba, ...le(port, 2)) + code);
      assertEquals(signal, SIGSEGV, `port ${port}, ${code}`);
    }
  }
});

kvmTest("hostile guest: string I/O to any address is refused", async () => {
  const addresses = [
    0n,
    0x1000n,
    BigInt(SYSCALL_STUB_VA),
    KERNEL_VA,
    KERNEL_VA + BigInt(KERNEL_BLOCK.pml4),
    0x8000_0000_0000n,
    -8n,
  ];
  for (const port of [SYSCALL_PORT, EXCEPTION_PORT + 14, 0x60]) {
    for (const count of [0, 1, 4096, 0x7fff_ffff]) {
      for (const address of [undefined, ...addresses]) {
        for (const code of ["f36c", "f36e", "f36d", "f36f"]) {
          const where = address === undefined
            ? [0x48, 0x89, 0xfe]
            : [...load(address, 6), ...load(address, 7)];
          const signal = await signalOf(
            hex(
              ...where,
              ...[0x66, 0xba, ...le(port, 2)],
              ...[0x48, 0xc7, 0xc1, ...le(count, 4)],
            ) + code,
          );
          const what = `${code} of ${count} at ${address}, port ${port}`;
          // Nothing to move is nothing done, on some CPUs.
          assert(
            signal === SIGSEGV || signal === 7 || (count === 0 && signal === 0),
            `${what}: ${signal}`,
          );
        }
      }
    }
  }
});

kvmTest(
  "hostile guest: the VMM's pages cannot be read, written or run",
  async () => {
    const places: bigint[] = [
      ...Object.values(KERNEL_BLOCK).map((gpa) => KERNEL_VA + BigInt(gpa)),
      KERNEL_VA,
      KERNEL_VA + 0x20_0000n,
      0xffff_8080_0000_0000n, // where MMIO would be
      0xffff_ffff_ffff_f000n,
      0x8000_0000_0000n,
    ];
    for (const gpa of Object.values(KERNEL_BLOCK)) places.push(BigInt(gpa));
    places.push(0x80_0000_0000n);
    for (const place of places) {
      // mov %al, (%rax); mov (%rax), %al; jmp *%rax
      for (const use of [[0x88, 0x00], [0x8a, 0x00], [0xff, 0xe0]]) {
        const signal = await signalOf(hex(...load(place), ...use));
        assertEquals(signal, SIGSEGV, `0x${place.toString(16)} ${use}`);
      }
    }
    const write = hex(...load(SYSCALL_STUB_VA), 0x88, 0x00);
    assertEquals(await signalOf(write), SIGSEGV);
    // mprotect, munmap, mremap and mmap of the stub's page, then a write to it.
    for (
      const [number, length, prot] of [[10, 4096, 7], [11, 4096, 0], [
        25,
        4096,
        8192,
      ]]
    ) {
      const code = hex(
        ...load(SYSCALL_STUB_VA, 7),
        ...load(length, 6),
        ...load(prot, 2),
        ...[0xb8, ...le(number, 4), 0x0f, 0x05],
      );
      assertEquals(await signalOf(code), 0, `call ${number}`);
      assertEquals(await signalOf(code + write), SIGSEGV, `call ${number}`);
    }
  },
);

kvmTest(
  "hostile guest: SAVE() takes no arguments, whatever they are",
  async () => {
    const random = seeded("SAVE arguments");
    const [program] = await guest("machine_code");
    const rubbish = () => BigInt(Math.floor(random() * 2 ** 52)) << 12n;
    for (let i = 0; i < 20; i++) {
      let asked = 0;
      const code = hex(
        ...[2, 6, 7].flatMap((register) => load(rubbish(), register)),
        ...[0x49, 0xb8, ...le(rubbish(), 8), 0x49, 0xba, ...le(-1n, 8)],
        ...[0xb8, ...le(0x53564d01, 4), 0x0f, 0x05],
        // What it returned must be what was answered: else ud2.
        ...[0x3d, ...le(-ERRNO.EBUSY, 4), 0x74, 0x02, 0x0f, 0x0b],
      );
      await using test = await TestVm.create({
        program,
        args: [code],
        memoryBytes: 32 * 1024 ** 2,
        onSave: () => {
          asked++;
          return Promise.resolve(-ERRNO.EBUSY);
        },
      });
      assertEquals(await test.run(), { kind: "exited", code: 0 });
      assertEquals(asked, 1);
    }
    // Its number with more above it is no call at all: ENOSYS.
    const wide = hex(
      ...load(0x1_5356_4d01n),
      ...[0x0f, 0x05, 0x3d, ...le(-ERRNO.ENOSYS, 4), 0x74, 0x02, 0x0f, 0x0b],
    );
    assertEquals(await signalOf(wide), 0);
  },
);

kvmTest(
  "hostile guest: random code ends the program, or is stopped",
  async () => {
    const random = seeded("random code");
    await using scratch = new Scratch();
    const [program] = await guest("machine_code");
    const ends: Record<string, number> = {};
    for (let i = 0; i < 150; i++) {
      const code = Array.from({ length: 64 }, () => Math.floor(random() * 256));
      await using test = await TestVm.create({
        program,
        args: [hex(...code)],
        cwd: scratch.path,
        allow: { read: [scratch.path], write: [scratch.path] },
        memoryBytes: 32 * 1024 ** 2,
      });
      let over = false;
      const running = test.run().finally(() => over = true);
      const kill = async () => {
        for (let n = 0; n < 10 && !over; n++) {
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        await test.vm.kill();
      };
      const [end] = await Promise.all([running, kill()]);
      ends[end.kind] = (ends[end.kind] ?? 0) + 1;
    }
    console.log(ends);
  },
);

kvmTest(
  "vm run: a program that forges a trap gives 139, and a reason",
  async () => {
    const [fault] = await guest("fault");
    for (
      const how of [
        "forge-syscall",
        "forge-fault",
        "forge-string",
        "hlt",
        "pagetable-write",
        "stub-write",
      ]
    ) {
      const { status, stdout, stderr } = await vm(["run", fault, how]);
      assertEquals({ status, stdout }, { status: 139, stdout: "" }, stderr);
      assert(
        /^vm: the program was ended by SIGSEGV \(.*\)( at .*)?, RIP 0x[0-9a-f]+\n$/
          .test(stderr),
        stderr,
      );
    }
  },
);
