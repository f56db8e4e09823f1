/**
 * Images whose parts say what no save does: they are refused with a typed error,
 * before what they say is kept.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { processState } from "../../src/linux/process.ts";
import { readSaved } from "../../src/linux/thaw.ts";
import {
  decodeState,
  ImageError,
  ImageFile,
  type Section,
  toSection,
} from "../../src/state/mod.ts";
import {
  memoryState,
  PAGE_BYTES,
  vcpuState,
  VmError,
} from "../../src/vmm/mod.ts";

const GOLDEN = new URL("golden/state.image", import.meta.url).pathname;

/** A section that says something else. */
function saying(section: Section, value: unknown): Section {
  const { payload } = toSection({ ...section }, value, section.part);
  return { ...section, payload };
}

/** Reads the sections of an image, `change` made to those of a kind. */
function readChanged(
  image: ImageFile,
  kind: string,
  change: (section: Section) => readonly Section[],
): void {
  const sections = image.sections.flatMap((section) =>
    section.kind === kind ? change(section) : [section]
  );
  readSaved(sections, (section) => image.readData(section), []);
}

Deno.test("hostile_state: a program as no save has it is refused", async () => {
  using image = await ImageFile.open(GOLDEN);
  const section = image.sections.find(({ kind }) => kind === "process")!;
  const state = decodeState(processState, section);
  const timer = {
    id: 0,
    clock: 1,
    cpuTid: 0,
    notify: 0,
    signal: 0,
    tid: 0,
    value: 0n,
    nextNs: 1,
    intervalNs: 1,
    missed: 0,
    overrun: 0,
  };
  // All with registers: there is none on the vCPU.
  const { regs } = decodeState(
    vcpuState,
    image.sections.find(({ kind }) => kind === "vcpu")!,
  );
  const xsave = new Uint8Array(576);
  const registers = { regs, fsBase: 0n, gsBase: 0n, xsave };
  const task = { ...state.tasks[0], registers };
  const wrong: [what: string, value: unknown][] = [
    ["no task on the vCPU", { ...state, tasks: [task], current: 1 }],
    ["a timer of no signal", { ...state, timers: [timer] }],
    ["a folder of a zero", { ...state, cwd: "/tmp/..\0" }],
    ["a folder of no bytes", { ...state, cwd: "/tmp/\u012e\u012e" }],
    ["a folder from nowhere", { ...state, cwd: "tmp" }],
  ];
  const changed = (value: unknown): Section => ({
    ...saying(section, value),
    version: processState.version,
  });
  for (const [what, value] of wrong) {
    assertThrows(
      () => readChanged(image, "process", () => [changed(value)]),
      ImageError,
      undefined,
      what,
    );
  }
  // One that sends nothing needs no signal.
  const silent = { ...state, timers: [{ ...timer, notify: 1 }] };
  assertEquals(decodeState(processState, changed(silent)).timers.length, 1);
});

Deno.test("hostile_state: parts of memory say no more together than there is", async () => {
  using image = await ImageFile.open(GOLDEN);
  const first = image.sections.find(({ kind }) => kind === "memory")!;
  const { sizeBytes } = decodeState(memoryState, first);
  const packed = (part: number, pages: number): Section => {
    const runs = Array.from({ length: pages }, () => [0, 1]);
    const value = { sizeBytes, encoding: "zstd", runs };
    return { ...saying({ ...first, part }, value), dataBytes: 0 };
  };
  const read = (parts: readonly Section[]) =>
    readChanged(image, "memory", (one) => one === first ? parts : []);
  // Each is no more than a part may be; the first has all pages that there are.
  const pages = sizeBytes / PAGE_BYTES;
  const error = assertThrows(
    () => read([packed(0, pages), packed(1, 1)]),
    VmError,
    "more pages than there are",
  );
  assertEquals(error.code, "VM_MEMORY");
  assertThrows(
    () => read([packed(0, 64 * 1024 * 1024 / PAGE_BYTES + 1)]),
    ImageError,
  );
});

Deno.test("hostile_state: a vCPU has its bases at addresses, and no breakpoints", async () => {
  using image = await ImageFile.open(GOLDEN);
  const section = image.sections.find(({ kind }) => kind === "vcpu")!;
  const state = decodeState(vcpuState, section);
  const { sregs, debugRegs } = state;
  const based = (base: bigint) => ({
    ...state,
    sregs: { ...sregs, gs: { ...sregs.gs, base } },
  });
  for (
    const wrong of [
      based(1n << 47n),
      based(0xffff_7fff_ffff_ffffn),
      { ...state, debugRegs: { ...debugRegs, dr7: 0x401n } },
    ]
  ) {
    assertThrows(
      () => readChanged(image, "vcpu", (one) => [saying(one, wrong)]),
      ImageError,
    );
  }
  // A program may have set any, with wrgsbase.
  for (const base of [(1n << 47n) - 1n, 0xffff_8000_0000_0000n]) {
    readChanged(image, "vcpu", (one) => [saying(one, based(base))]);
  }
});
