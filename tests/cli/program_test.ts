/**
 * Programs that cannot be run, and what users are told.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest, kvmTestUnless } from "../kvm_gate.ts";
import { lacksPrefix } from "../machine.ts";
import {
  delay,
  guest,
  resources,
  Scratch,
  seeded,
  TestVm,
} from "../support.ts";
import { GuestError, ProgramError, Vm, VmError } from "../../mod.ts";
import {
  AS_OWNER,
  assertRefused,
  run,
  shell,
  vmText,
  vmWords,
} from "./command.ts";
import { FIELD, tinyElf } from "./tiny_program.ts";

const HUGE = 0xffff_ffff_ffff_ffffn;

/** ELF headers that are wrong, and what is said of them. */
const WRONG: [
  what: string,
  patch: (view: DataView) => void,
  message: RegExp,
][] = [
  [
    "for AArch64",
    (v) => v.setUint16(FIELD.machine, 183, true),
    /for AArch64, must be for x86-64/,
  ],
  [
    "for a machine nobody knows",
    (v) => v.setUint16(FIELD.machine, 9999, true),
    /for machine 9999/,
  ],
  ["of 32 bits", (v) => {
    v.setUint8(FIELD.class, 1);
    v.setUint16(FIELD.machine, 3, true);
  }, /for i386, must be for x86-64/],
  ["for x32", (v) => v.setUint8(FIELD.class, 1), /for x32, must be for x86-64/],
  ["big-endian", (v) => {
    v.setUint8(FIELD.data, 2);
    v.setUint16(FIELD.machine, 22);
  }, /for S390, must be for x86-64/],
  [
    "an object file",
    (v) => v.setUint16(FIELD.type, 1, true),
    /it is no program \(ELF type 1\)/,
  ],
  [
    "a core dump",
    (v) => v.setUint16(FIELD.type, 4, true),
    /it is no program \(ELF type 4\)/,
  ],
  [
    "without program headers",
    (v) => v.setUint16(FIELD.phnum, 0, true),
    /program headers are missing/,
  ],
  [
    "with 65535 program headers",
    (v) => v.setUint16(FIELD.phnum, 0xffff, true),
    /program headers are missing or cut off/,
  ],
  [
    "with program headers of another size",
    (v) => v.setUint16(FIELD.phentsize, 32, true),
    /program headers are missing/,
  ],
  [
    "with program headers beyond its end",
    (v) => v.setBigUint64(FIELD.phoff, 1n << 40n, true),
    /missing or cut off/,
  ],
  [
    "with program headers at 2^64",
    (v) => v.setBigUint64(FIELD.phoff, HUGE, true),
    /too large: 0xffffffffffffffff/,
  ],
  [
    "with nothing to load",
    (v) => v.setUint32(FIELD.segmentType, 4, true),
    /nothing to load/,
  ],
  [
    "with a segment beyond its end",
    (v) => v.setBigUint64(FIELD.segmentFileBytes, 1n << 30n, true),
    /segment 0 does not fit the file/,
  ],
  [
    "with a segment of fewer bytes than in the file",
    (v) => v.setBigUint64(FIELD.segmentMemoryBytes, 1n, true),
    /segment 0 does not fit the file/,
  ],
  [
    "with a segment at half a page",
    (v) => v.setBigUint64(FIELD.segmentVa, 0x40_0010n, true),
    /segment 0 does not fit the file/,
  ],
  [
    "with a segment of 2^50 bytes",
    (v) => v.setBigUint64(FIELD.segmentMemoryBytes, 1n << 50n, true),
    /does not fit the VM's memory/,
  ],
  [
    "with a segment of 2^64 bytes",
    (v) => v.setBigUint64(FIELD.segmentMemoryBytes, HUGE, true),
    /too large/,
  ],
  [
    "with a segment at address 0",
    (v) => v.setBigUint64(FIELD.segmentVa, 0n, true),
    /segment at 0x0 /,
  ],
  [
    "with a segment in the kernel's half",
    (v) => v.setBigUint64(FIELD.segmentVa, 0xffff_8000_0000_0000n, true),
    /too large/,
  ],
  [
    "with a segment over the syscall stub",
    (v) => v.setBigUint64(FIELD.segmentVa, 0x7fff_ffff_f000n, true),
    /segment at 0x7ffffffff000 /,
  ],
  [
    "with more memory than the VM's",
    (v) => {
      v.setUint32(FIELD.segmentType + 4, 7, true);
      v.setBigUint64(FIELD.segmentMemoryBytes, 1n << 31n, true);
    },
    /does not fit the VM's memory/,
  ],
];

/** Why a program cannot be run. */
async function refusal(program: string): Promise<ProgramError> {
  let vm: Vm;
  try {
    vm = await Vm.create({ program, memoryBytes: 64 * 1024 ** 2 });
  } catch (error) {
    assert(error instanceof ProgramError, `${error}`);
    return error;
  }
  await vm[Symbol.asyncDispose]();
  throw new Error("it was loaded");
}

kvmTest(
  "program: one with wrong headers is refused with the reason",
  async (t) => {
    await using scratch = new Scratch();
    const program = scratch.file("program");
    Deno.writeFileSync(program, tinyElf());
    await using good = await TestVm.create({ program, cwd: scratch.path });
    assertEquals(await good.run(), { kind: "exited", code: 218 }); // 256 - ENOSYS
    for (const [what, patch, message] of WRONG) {
      await t.step(what, async () => {
        Deno.writeFileSync(program, tinyElf(undefined, patch));
        const before = resources();
        const error = await refusal(program);
        assert(
          error.message.startsWith(`Cannot run ${program}: `),
          error.message,
        );
        assertMatch(error.message, message);
        assertEquals(resources().fds, before.fds);
      });
    }
  },
);

kvmTest("program: one cut at any byte is refused", async () => {
  await using scratch = new Scratch();
  const program = scratch.file("program");
  const good = tinyElf();
  for (let length = good.length - 1; length >= 0; length--) {
    Deno.writeFileSync(program, good.subarray(0, length));
    const { code } = await refusal(program);
    assertEquals(code, length < 4 ? "PROGRAM_NOT_ELF" : "PROGRAM_CORRUPT");
  }
});

kvmTest(
  "program: one with any bytes changed runs, ends or is refused",
  async () => {
    const random = seeded("program bytes");
    await using scratch = new Scratch();
    const program = scratch.file("program");
    const good = tinyElf();
    let refused = 0;
    let ran = 0;
    for (let i = 0; i < 4 * good.length; i++) {
      const bytes = good.slice();
      bytes[i % good.length] ^= 1 << Math.floor(random() * 8);
      if (i >= good.length) {
        bytes[Math.floor(random() * good.length)] = Math.floor(random() * 256);
      }
      Deno.writeFileSync(program, bytes);
      try {
        let over = false;
        await using test = await TestVm.create({
          program,
          cwd: scratch.path,
          memoryBytes: 64 * 1024 ** 2,
        });
        const end = test.run().finally(() => over = true);
        const kill = async () => {
          for (let i = 0; i < 5 && !over; i++) await delay(2);
          await test.vm.kill();
        };
        await Promise.allSettled([end, kill()]);
        await end;
        ran++;
      } catch (error) {
        const typed = [ProgramError, VmError, GuestError];
        assert(typed.some((kind) => error instanceof kind), `${i}: ${error}`);
        refused++;
      }
    }
    console.log({ refused, ran });
  },
);

kvmTest(
  "vm run: what is no program is refused with its own reason",
  async () => {
    await using scratch = new Scratch();
    const cases: [
      name: string,
      content: string | Uint8Array,
      message: RegExp,
    ][] = [
      ["empty", "", /it is neither an ELF file nor a script/m],
      ["text", "hello\n", /it is neither an ELF file nor a script/m],
      ["script", "#! \n/bin/sh\n", /its first line names no interpreter/m],
      [
        "interpreter",
        "#!/nothing/here\n",
        /its interpreter \/nothing\/here cannot be opened: there is no such file$/m,
      ],
      [
        "interpreter of an interpreter",
        `#!${scratch.file("interpreter")}\n`,
        /its interpreter \/nothing\/here cannot be opened: there is no such file$/m,
      ],
      [
        "itself",
        `#!${scratch.file("itself")}\n`,
        /its interpreter is a script for a script, and so on, more than 5 times$/m,
      ],
      ["magic", "\x7fELF", /its ELF header is cut off$/m],
      [
        "arm",
        tinyElf(undefined, (v) => v.setUint16(FIELD.machine, 40, true)),
        /it is for ARM, must be for x86-64$/m,
      ],
    ];
    for (const [name, content, message] of cases) {
      const path = scratch.file(name);
      if (typeof content === "string") Deno.writeTextFileSync(path, content);
      else Deno.writeFileSync(path, content);
      assertRefused(await run(vmWords("run", path)), 1, message);
    }
    const missing = await run(vmWords("run", scratch.file("missing")));
    assertRefused(missing, 1, /^vm: Cannot run .*missing: /);
    const folder = await run(vmWords("run", scratch.path));
    assertRefused(folder, 1, /: it is not a file$/m);
    const below = await run(vmWords("run", `${scratch.file("text")}/x`));
    assertRefused(below, 1, /^vm: Cannot run .*text\/x: /);
    assertEquals([...Deno.readDirSync(scratch.path)].length, cases.length);
  },
);

kvmTest("vm run: a pipe in a program's place is not waited for", async () => {
  await using scratch = new Scratch();
  const fifo = scratch.file("fifo");
  await new Deno.Command("mkfifo", { args: [fifo] }).output();
  assertRefused(await run(vmWords("run", fifo)), 1, /: it is not a file$/m);
});

kvmTestUnless(
  lacksPrefix(AS_OWNER),
  "vm run: a program that may not be read is refused",
  async () => {
    await using scratch = new Scratch();
    const program = scratch.file("program");
    Deno.writeFileSync(program, tinyElf(), { mode: 0o000 });
    let script = vmText("run", program);
    if (Deno.uid() === 0) {
      // Nothing is unreadable for root, unless it gives up what makes it so.
      await Deno.chown(program, 65534, 65534);
      script = `${AS_OWNER} ${script}`;
    }
    assertRefused(
      await shell(script),
      1,
      /^vm: Cannot run \S+program: .*denied/i,
    );
  },
);

kvmTest(
  "vm run: a VM too small for the program is refused with a hint",
  async () => {
    const [bigmem] = await guest("bigmem");
    const outcome = await run(vmWords("run", "--memory=4M", bigmem));
    assertEquals(outcome.status, 1, outcome.stderr);
    assertMatch(outcome.stderr, /^vm: .*memory/);
    assertMatch(outcome.stderr, /^hint: give it more with --memory$/m);
  },
);
