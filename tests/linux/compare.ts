/**
 * Runs a guest program natively and in a VM, in two fresh folders, and compares
 * all that can be seen from outside.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { assertEquals } from "@std/assert";
import type { VmEnd, VmOptions } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, native, type Outcome, Scratch, TestVm } from "../support.ts";

/** How the guest programs are built: glibc, glibc as PIE, musl. */
export const VARIANTS = ["", "_pie", "_musl"];

/** How long a VM may take before it is ended: a call that hangs is found. */
const PATIENCE_MS = Number(Deno.env.get("SCRATCHVM_PATIENCE_MS") ?? 120_000);

/** What a run left behind. */
export interface Run extends Outcome {
  /** Each entry of the folder: its path, type, permissions, size, content. */
  readonly folder: string[];
  /** What the VMM told its user; nothing natively. */
  readonly warnings: string[];
  /** How the VM ended; absent natively. */
  readonly end?: VmEnd;
}

/** How a program is run. */
export interface Setting {
  /** Its arguments. */
  readonly args?: readonly string[];
  /** Its standard input. */
  readonly stdin?: string;
  /** Fills the folder it runs in. */
  readonly prepare?: (folder: string) => void | Promise<void>;
  /** What it may read besides its folder, if it is there. */
  readonly reads?: readonly string[];
  /** More about the VM. */
  readonly vm?: Partial<VmOptions>;
}

/** The exit status of a shell for a VM's end. */
export function statusOf(end: VmEnd): number {
  if (end.kind === "exited") return end.code;
  return end.kind === "signaled" ? 128 + end.signal : 0;
}

/** A short file's content, a long one's digest. */
function contentOf(path: string): string {
  const bytes = Deno.readFileSync(path);
  return bytes.length <= 200
    ? JSON.stringify(new TextDecoder().decode(bytes))
    : createHash("sha256").update(bytes).digest("hex");
}

/**
 * Everything below a folder, a line each, in order.
 *
 * @param below its path as shown
 * @param skipped a name in it that is passed over, with what is below
 */
export function listFolder(
  folder: string,
  below = "",
  skipped?: string,
): string[] {
  const lines: string[] = [];
  for (const { name } of Deno.readDirSync(folder)) {
    if (name === skipped) continue;
    const path = `${folder}/${name}`;
    const shown = `${below}${name}`;
    const info = Deno.lstatSync(path);
    const mode = (info.mode! & 0o7777).toString(8);
    if (info.isDirectory) {
      lines.push(`${shown}/ ${mode}`, ...listFolder(path, `${shown}/`));
    } else if (info.isSymlink) {
      lines.push(`${shown} -> ${Deno.readLinkSync(path)}`);
    } else {
      lines.push(`${shown} ${mode} ${info.size} ${contentOf(path)}`);
    }
  }
  return lines.sort();
}

/** Runs a program natively in `folder`. */
export async function runNatively(
  program: string,
  setting: Setting,
  folder: string,
): Promise<Run> {
  await setting.prepare?.(folder);
  const outcome = await native(program, setting.args, folder, setting.stdin);
  return { ...outcome, folder: listFolder(folder), warnings: [] };
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Runs a program in a VM in `folder`, which is all that it may reach. */
export async function runInVm(
  program: string,
  setting: Setting,
  folder: string,
): Promise<Run> {
  await setting.prepare?.(folder);
  const reads = (setting.reads ?? []).filter(isThere);
  const allow = { read: [folder, ...reads], write: [folder] };
  await using test = await TestVm.create({
    program,
    args: setting.args,
    cwd: folder,
    allow,
    ...setting.vm,
  });
  if (setting.stdin) test.console.push(setting.stdin);
  test.console.end();
  const guard = setTimeout(() => test.vm.kill(), PATIENCE_MS);
  try {
    const end = await test.run();
    return {
      ...test.output,
      status: statusOf(end),
      folder: listFolder(folder),
      warnings: test.warnings,
      end,
    };
  } finally {
    clearTimeout(guard);
  }
}

/**
 * Runs a program both ways and compares: output, exit status, and what is in
 * its folder afterwards.
 *
 * @returns what the VM did, for more checks
 */
export async function compare(
  program: string,
  setting: Setting = {},
): Promise<Run> {
  await using natively = new Scratch();
  await using inVm = new Scratch();
  const expected = await runNatively(program, setting, natively.path);
  const got = await runInVm(program, setting, inVm.path);
  assertEquals(
    got.stdout.replaceAll(inVm.path, "(folder)").split("\n"),
    expected.stdout.replaceAll(natively.path, "(folder)").split("\n"),
  );
  assertEquals(got.status, expected.status);
  assertEquals(got.folder, expected.folder);
  return got;
}

/**
 * Registers a test of one guest program for each way it is built.
 *
 * @param name the program @param what "what holds", for the test's name
 * @param warnings what the VMM may say; anything else is a failure
 */
export function compareTest(
  name: string,
  what: string,
  setting: Setting = {},
  warnings: readonly string[] = [],
): void {
  for (const variant of VARIANTS) {
    kvmTest(`${name}${variant}: ${what}`, async () => {
      const [program] = await guest(name + variant);
      const run = await compare(program, setting);
      assertEquals(run.warnings.filter((w) => !warnings.includes(w)), []);
    }, name + variant);
  }
}
