/**
 * Images with right checksums whose state is rubbish: refused, or a VM that
 * ends like any other; never a crash, a hang, or a file outside what is allowed.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import {
  delay,
  guest,
  resources,
  Scratch,
  seeded,
  TestVm,
} from "../support.ts";
import {
  FilesError,
  GuestError,
  ImageError,
  KvmError,
  type RestoreOptions,
  type VmEnd,
  VmError,
} from "../../mod.ts";
import { KERNEL_BLOCK } from "../../src/vmm/mod.ts";
import {
  pieceOf,
  type Pieces,
  putTogether,
  takeApart,
  type Value,
  valueOf,
} from "./hostile_image.ts";

const TYPED = [FilesError, GuestError, ImageError, KvmError, VmError];

/** What came of a hostile image: it was refused, it failed, or it ran. */
type Fate =
  | { readonly kind: "refused" | "failed"; readonly error: Error }
  | { readonly kind: "ended"; readonly end: VmEnd };

/** A program that holds one of everything, saved while it waits for input. */
class Held implements AsyncDisposable {
  private constructor(
    readonly scratch: Scratch,
    readonly folder: string,
    readonly image: string,
    readonly pieces: Pieces[],
  ) {}

  static async save(): Promise<Held> {
    const [program] = await guest("held");
    const scratch = new Scratch();
    const folder = scratch.file("allowed");
    Deno.mkdirSync(folder);
    const image = scratch.file("vm.img");
    await using test = await TestVm.create({
      program,
      cwd: folder,
      allow: { read: [folder], write: [folder] },
      memoryBytes: 64 * 1024 ** 2,
    });
    test.run().catch(() => {});
    await test.until("ready");
    await delay(5);
    await test.vm.save(image);
    return new Held(scratch, folder, image, await takeApart(image));
  }

  /** Restores a changed copy, and runs it for no longer than `runMs`. */
  async try(
    change: (pieces: Pieces[]) => Pieces[] | void,
    options: RestoreOptions = {},
    runMs = 40,
  ): Promise<Fate> {
    const pieces = structuredClone(this.pieces);
    await putTogether(this.image, change(pieces) ?? pieces);
    let test: TestVm;
    try {
      test = await TestVm.restore(this.image, {
        allow: { read: [this.folder], write: [this.folder] },
        ...options,
      });
    } catch (error) {
      return { kind: "refused", error: typed(error) };
    }
    await using _ = test;
    test.console.push("input\n");
    let over = false;
    const running = test.run().finally(() => over = true);
    // A program that goes on for ever is none of ours to end, but to stop.
    const kill = async () => {
      for (let waited = 0; waited < runMs && !over; waited += 2) await delay(2);
      await test.vm.kill();
    };
    try {
      await Promise.allSettled([running, kill()]);
      return { kind: "ended", end: await running };
    } catch (error) {
      return { kind: "failed", error: typed(error) };
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scratch[Symbol.asyncDispose]();
  }
}

function typed(error: unknown): Error {
  if (TYPED.some((kind) => error instanceof kind)) return error as Error;
  throw new Error(`not an error that a user should see: ${error}`, {
    cause: error,
  });
}

/** Changes that must be refused before anything runs. */
const REFUSED: [what: string, message: RegExp, (pieces: Pieces[]) => void][] = [
  ["areas overlap", /area 0x[0-9a-f]+ is out of place/, (p) => {
    const { areas } = valueOf(p, "address-space");
    areas[1].start = areas[0].start;
  }],
  ["an area that ends before it starts", /is out of place/, (p) => {
    const { areas } = valueOf(p, "address-space");
    [areas[0].start, areas[0].end] = [areas[0].end, areas[0].start];
  }],
  ["an area beyond what programs may use", /is out of place/, (p) => {
    const { areas } = valueOf(p, "address-space");
    areas.at(-1).end = 0x8000_0000_0000;
  }],
  ["an area at half a page", /is out of place/, (p) => {
    valueOf(p, "address-space").areas[0].start -= 8;
  }],
  ["a protection there is not", /areas\.0\.prot/, (p) => {
    valueOf(p, "address-space").areas[0].prot = 8;
  }],
  ["a block used twice", /is in use/, (p) => {
    const { blocks } = valueOf(p, "address-space");
    blocks[1][1] = blocks[0][1];
  }],
  ["the kernel's block given to the program", /is in use/, (p) => {
    valueOf(p, "address-space").blocks[0][1] = 0;
  }],
  ["a block beyond memory", /is no block of memory/, (p) => {
    valueOf(p, "address-space").blocks[0][1] = 64 * 1024 ** 2;
  }],
  ["a block at half a block", /is no block of memory/, (p) => {
    valueOf(p, "address-space").blocks[0][1] += 4096;
  }],
  ["one virtual block twice", /block number \d+ is out of place/, (p) => {
    const { blocks } = valueOf(p, "address-space");
    blocks[1][0] = blocks[0][0];
  }],
  ["page tables beyond memory", /page tables are out of place/, (p) => {
    const { tables } = valueOf(p, "address-space");
    tables.end += 1024 ** 3;
    tables.next += 1024 ** 3;
  }],
  ["memory of another size", /Cannot restore "memory"/, (p) => {
    valueOf(p, "machine").memoryBytes = 4 * 1024 ** 2;
  }],
  ["memory of half a block", /memory/, (p) => {
    for (const part of pieceOf(p, "memory").parts) part.value.sizeBytes += 4096;
    valueOf(p, "machine").memoryBytes += 4096;
  }],
  ["memory of no bytes", /memory/, (p) => {
    for (const part of pieceOf(p, "memory").parts) {
      part.value = { sizeBytes: 0, encoding: "raw", runs: [] };
      part.data = new Uint8Array();
    }
    valueOf(p, "machine").memoryBytes = 0;
  }],
  ["a run of pages beyond memory", /is out of place/, (p) => {
    valueOf(p, "memory").runs.at(-1)[0] = 64 * 1024 ** 2;
  }],
  ["runs of pages that overlap", /is out of place/, (p) => {
    const { runs } = valueOf(p, "memory");
    runs[1][0] = runs[0][0];
  }],
  ["more pages than data", /has \d+ bytes of data, must be \d+/, (p) => {
    valueOf(p, "memory").runs.at(-1)[1]++;
  }],
  ["a run of 2^40 pages", /is out of place|bytes of pages/, (p) => {
    valueOf(p, "memory").runs[0][1] = 2 ** 40;
  }],
  ["packed memory that is not packed", /cannot be unpacked/, (p) => {
    valueOf(p, "memory").encoding = "zstd";
  }],
  ["packed memory that unpacks to more", /unpack/, (p) => {
    const part = pieceOf(p, "memory").parts[0];
    part.value.encoding = "zstd";
    // A frame of 4 GiB of zeros in one repeated block (RFC 8878, 3.1.1).
    part.data = zeroBomb();
    part.value.runs = [[0, 1]];
  }],
  ["a descriptor below 0", /descriptors\.0\.fd/, (p) => {
    valueOf(p, "fd-table").descriptors[0].fd = -1;
  }],
  ["a descriptor of a million", /descriptors\.0\.fd/, (p) => {
    valueOf(p, "fd-table").descriptors[0].fd = 1_000_000;
  }],
  ["one descriptor twice", /descriptor 0 is out of place/, (p) => {
    valueOf(p, "fd-table").descriptors[1].fd = 0;
  }],
  ["a descriptor of a file there is not", /fd-table/, (p) => {
    valueOf(p, "fd-table").descriptors[0].file = 99;
  }],
  ["a file without a descriptor", /nothing points to file/, (p) => {
    const table = valueOf(p, "fd-table");
    table.files.push(table.files[0]);
  }],
  ["an end of a pipe there is not", /pipe 7 is missing/, (p) => {
    fileOf(p, "pipe").pipe = 7;
  }],
  ["a pipe of more than any holds", /pipes\.0\.lengthBytes/, (p) => {
    valueOf(p, "fd-table").pipes[0].lengthBytes = 2 ** 20 + 1;
  }],
  ["a pipe of bytes that there are not", /are missing/, (p) => {
    valueOf(p, "fd-table").pipes[0].lengthBytes++;
  }],
  ["bytes that nothing holds", /there are more bytes/, (p) => {
    valueOf(p, "fd-table").buffered = new Uint8Array(1);
  }],
  ["a device file that is a disk", /\/dev\/sda is no device file/, (p) => {
    fileOf(p, "device").path = "/dev/sda";
  }],
  ["a fourth standard stream", /stream/, (p) => {
    fileOf(p, "console").stream = 3;
  }],
  ["an offset that no file has", /offset/, (p) => {
    fileOf(p, "host").offset = Number.MAX_SAFE_INTEGER;
  }],
  ["content for a file that is not carried", /fd-table|carries/, (p) => {
    fileOf(p, "host").isUnlinked = true;
  }],
  ["content that comes first", /its first part is no table/, (p) => {
    pieceOf(p, "fd-table").parts.unshift({
      value: { part: "content", file: 0, offset: 0, zeroBytes: 0 },
      data: new Uint8Array(10),
    });
  }],
  ["registers of a megabyte", /XSAVE area of 1048576 bytes/, (p) => {
    valueOf(p, "vcpu").xsave = new Uint8Array(1 << 20);
  }],
  ["no XSAVE area", /XSAVE area of 0 bytes/, (p) => {
    valueOf(p, "vcpu").xsave = new Uint8Array();
  }],
  ["a register of 65 bits", /regs\.rax/, (p) => {
    valueOf(p, "vcpu").regs.rax = -1;
  }],
  ["a control register without paging", /vcpu0/, (p) => {
    valueOf(p, "vcpu").sregs.cr0 = 0xffff_ffff_ffff_ffffn;
  }],
  ["a model-specific register there is not", /MSR 0xdeadbeef/, (p) => {
    valueOf(p, "vcpu").msrs.push({ index: 0xdeadbeef, value: 1n });
  }],
  ["an extended control register without x87", /vcpu0/, (p) => {
    valueOf(p, "vcpu").xcrs = [{ xcr: 0, value: 0n }];
  }],
  ["a CPU that waits for its start", /vcpu0/, (p) => {
    valueOf(p, "vcpu").mpState = 1;
  }],
  ["a working folder without a path", /cwd/, (p) => {
    valueOf(p, "process").cwd = "relative";
  }],
  ["a signal 65", /signalActions\.\d\.signal/, (p) => {
    valueOf(p, "process").signalActions[0].signal = 65;
  }],
  ["a time before the start", /monotonicNs/, (p) => {
    valueOf(p, "clock").monotonicNs = -5;
  }],
  ["a text for a number", /monotonicNs/, (p) => {
    valueOf(p, "clock").monotonicNs = "x".repeat(1_000_000);
  }],
  ["a call without arguments", /arguments/, (p) => {
    valueOf(p, "pending-io").calls[0].call.arguments = [];
  }],
];

/** The first file of a type in the table of descriptors. */
function fileOf(pieces: Pieces[], type: string): Value {
  const { files } = valueOf(pieces, "fd-table");
  return files.find((file: Value) => file.type === type);
}

/** A zstd frame of 4 GiB of zeros in 128 KiB blocks of one repeated byte. */
function zeroBomb(): Uint8Array<ArrayBuffer> {
  const blocks = 32768;
  const bytes = new Uint8Array(6 + blocks * 4);
  bytes.set([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38]);
  for (let i = 0; i < blocks; i++) {
    const last = i === blocks - 1 ? 1 : 0;
    const head = last | 1 << 1 | (128 * 1024) << 3;
    bytes.set([head & 255, head >> 8 & 255, head >> 16 & 255, 0], 6 + i * 4);
  }
  return bytes;
}

kvmTest(
  "hostile image: state out of range is refused by its name",
  async (t) => {
    await using held = await Held.save();
    await held.try(() => {});
    for (const [what, message, change] of REFUSED) {
      await t.step(what, async () => {
        const before = resources();
        const fate = await held.try(change);
        assert(fate.kind === "refused", `${fate.kind}`);
        assertMatch(fate.error.message, message);
        assertEquals(resources().fds, before.fds);
      });
    }
    assertEquals([...Deno.readDirSync(held.folder)].length, 1);
  },
);

kvmTest("hostile image: the sample itself runs to its end", async () => {
  await using held = await Held.save();
  const fate = await held.try(() => {}, {}, 5000);
  assertEquals(fate, { kind: "ended", end: { kind: "exited", code: 7 } });
  assertEquals(
    Deno.readTextFileSync(`${held.folder}/held.txt`),
    "before\nafter\n",
  );
});

kvmTest("hostile image: no path leads out of what is allowed", async (t) => {
  await using held = await Held.save();
  const outside = held.scratch.file("secret");
  Deno.writeTextFileSync(outside, "before\n");
  Deno.symlinkSync(outside, `${held.folder}/link`);
  Deno.symlinkSync(held.scratch.path, `${held.folder}/up`);
  const paths = [
    outside,
    `${held.folder}/../secret`,
    `${held.folder}/link`,
    `${held.folder}/up/secret`,
    `${held.folder}/./../allowed/../secret`,
    `/proc/self/root${outside}`,
    `/proc/self/fd/0`,
    "/etc/passwd",
    "/dev/kvm",
    `//${outside}`,
  ];
  for (const path of paths) {
    for (const files of ["check", "trust", "rollback", "carry"] as const) {
      await t.step(
        `${path.replace(held.scratch.path, "…")} ${files}`,
        async () => {
          const fate = await held.try((pieces) => {
            const file = fileOf(pieces, "host");
            file.path = path;
            file.isCarried = true;
            pieceOf(pieces, "fd-table").parts.push({
              value: {
                part: "content",
                file: valueOf(pieces, "fd-table").files.indexOf(file),
                offset: 0,
                zeroBytes: 0,
              },
              data: new TextEncoder().encode("hostile"),
            });
          }, { files });
          assert(fate.kind === "refused", fate.kind);
          assert(fate.error instanceof FilesError);
          assertMatch(fate.error.code, /FILES_(DENIED|MISSING)/);
        },
      );
    }
  }
  assertEquals(Deno.readTextFileSync(outside), "before\n");
});

kvmTest("hostile image: odd flags of files reach nothing new", async () => {
  await using held = await Held.save();
  const names = () =>
    [...Deno.readDirSync(held.folder)].map(({ name }) => name).sort();
  const content = () => Deno.readTextFileSync(`${held.folder}/held.txt`);
  for (let bit = 0; bit < 53; bit++) {
    for (const sign of [1, -1]) {
      await held.try((pieces) => {
        fileOf(pieces, "host").flags += sign * 2 ** bit;
      }, { files: "trust" });
      assertEquals(names(), ["held.txt"], `bit ${bit}`);
      assertMatch(content(), /^before\n/, `bit ${bit}`);
    }
  }
});

kvmTest("hostile image: pending I/O of any kind ends or waits", async () => {
  await using held = await Held.save();
  const call = (pieces: Pieces[]) =>
    valueOf(pieces, "pending-io").calls[0].call;
  const changes: ((pieces: Pieces[]) => void)[] = [
    (p) => call(p).waitsFor = [{ descriptor: 900, events: 1 }],
    (p) => call(p).waitsFor = [{ descriptor: 2 ** 52, events: 2 ** 52 }],
    (p) => call(p).waitsFor = Array(5000).fill({ descriptor: 0, events: 1 }),
    (p) => call(p).doneBytes = Number.MAX_SAFE_INTEGER,
    (p) => call(p).deadlineNs = -1,
    (p) => call(p).deadlineNs = Number.MAX_SAFE_INTEGER,
    (p) => call(p).number = 0x53564d01,
    (p) => call(p).number = 2 ** 50,
    (p) => call(p).number = 231,
    (p) => call(p).operation = "unlink",
    (p) => call(p).arguments = Array(6).fill(0xffff_ffff_ffff_ffffn),
  ];
  for (let number = 0; number < 340; number++) {
    changes.push((p) => call(p).number = number);
  }
  for (const [i, change] of changes.entries()) {
    const fate = await held.try((pieces) => void change(pieces), {}, 6);
    assert(fate.kind !== "failed", `${i}: ${(fate as { error: Error }).error}`);
  }
});

/** The page of guest memory at `gpa`, in an image's data. */
function pageAt(pieces: Pieces[], gpa: number): Uint8Array | undefined {
  for (const { value, data } of pieceOf(pieces, "memory").parts) {
    let at = 0;
    for (const [from, pages] of value.runs) {
      if (gpa >= from && gpa < from + pages * 4096) {
        return data.subarray(at + gpa - from, at + gpa - from + 4096);
      }
      at += pages * 4096;
    }
  }
}

kvmTest(
  "hostile image: rubbish in the kernel's pages harms the VM alone",
  async () => {
    const random = seeded("kernel pages");
    await using held = await Held.save();
    const { next } = valueOf(held.pieces, "address-space").tables;
    const pages: number[] = [
      KERNEL_BLOCK.syscallStub,
      KERNEL_BLOCK.pml4,
      KERNEL_BLOCK.gdt,
      KERNEL_BLOCK.idt,
      KERNEL_BLOCK.exceptionStubs,
      KERNEL_BLOCK.tss,
    ];
    for (let table: number = KERNEL_BLOCK.tables; table < next; table += 4096) {
      pages.push(table);
    }
    const fates: Record<string, number> = {};
    for (let i = 0; i < 240; i++) {
      const gpa = pages[Math.floor(random() * pages.length)];
      const fate = await held.try(
        (pieces) => {
          const page = pageAt(pieces, gpa);
          if (!page) return;
          const used = [...page.keys()].filter((at) => page[at] !== 0);
          const flips = 1 + Math.floor(random() * 4);
          for (let n = 0; n < flips; n++) {
            const at = used.length > 0 && random() < 0.8
              ? used[Math.floor(random() * used.length)]
              : Math.floor(random() * 4096);
            page[at] = Math.floor(random() * 256);
          }
        },
        {},
        12,
      );
      fates[fate.kind] = (fates[fate.kind] ?? 0) + 1;
    }
    console.log(fates);
  },
);

kvmTest(
  "hostile image: page tables that lead anywhere lead into the VM",
  async () => {
    const random = seeded("page tables");
    await using held = await Held.save();
    const size = 64 * 1024 ** 2;
    const targets = [
      0, // the kernel's block
      KERNEL_BLOCK.pml4,
      size - 4096,
      size - 2 * 1024 ** 2 + 4096,
      size, // the first byte that is no memory
      0x80_0000_0000, // MMIO
      0xf_ffff_ffff_f000, // all that an entry can hold
    ];
    const { next } = valueOf(held.pieces, "address-space").tables;
    for (let i = 0; i < 160; i++) {
      const fate = await held.try(
        (pieces) => {
          const tables = Math.floor((next - KERNEL_BLOCK.tables) / 4096);
          const pick = Math.floor(random() * (tables + 1));
          const gpa = pick === tables
            ? KERNEL_BLOCK.pml4
            : KERNEL_BLOCK.tables + pick * 4096;
          const page = pageAt(pieces, gpa);
          if (!page) return;
          const view = new DataView(page.buffer, page.byteOffset, 4096);
          for (let at = 0; at < 4096; at += 8) {
            const entry = view.getBigUint64(at, true);
            if (entry === 0n || random() < 0.5) continue;
            const target = targets[Math.floor(random() * targets.length)];
            const large = random() < 0.3 ? 0x80n : 0n;
            view.setBigUint64(at, BigInt(target) | 0x207n | large, true);
          }
        },
        {},
        12,
      );
      assert(["refused", "failed", "ended"].includes(fate.kind));
    }
  },
);

/** Every place in a value that holds no other values. */
function* leaves(
  value: Value,
): Generator<{ holder: Value; key: string | number }> {
  if (typeof value !== "object" || value === null) return;
  if (value instanceof Uint8Array) return;
  for (const key of Object.keys(value)) {
    const inner = value[key];
    if (
      typeof inner === "object" && inner !== null &&
      !(inner instanceof Uint8Array)
    ) yield* leaves(inner);
    yield { holder: value, key };
  }
}

const RUBBISH: Value[] = [
  -1,
  0,
  1,
  7,
  4095,
  4096,
  2 ** 21,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 47 - 4096,
  2 ** 47,
  Number.MAX_SAFE_INTEGER,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn,
  1.5,
  -0.5,
  "",
  "/",
  "/etc/passwd\0",
  "\u001b[2J".repeat(2000),
  true,
  false,
  null,
  [],
  {},
  [[0, 0], [0, 0]],
  new Uint8Array(),
  new Uint8Array(65536).fill(0xff),
];

kvmTest("hostile image: any field may hold anything", async () => {
  const random = seeded("hostile fields");
  await using held = await Held.save();
  const fates: Record<string, number> = {};
  const kinds = held.pieces.map(({ kind }) => kind);
  for (let i = 0; i < 700; i++) {
    const kind = kinds[i % kinds.length];
    let what = "";
    const fate = await held.try(
      (pieces) => {
        const part = pieceOf(pieces, kind).parts[0];
        const places = [...leaves(part.value)];
        const place = places[Math.floor(random() * places.length)];
        const rubbish = RUBBISH[Math.floor(random() * RUBBISH.length)];
        place.holder[place.key] = rubbish;
        what = `${kind} ${place.key} ${String(rubbish).slice(0, 40)}`;
      },
      {},
      12,
    ).catch((cause) => {
      throw new Error(what, { cause });
    });
    fates[fate.kind] = (fates[fate.kind] ?? 0) + 1;
  }
  console.log(fates);
});
