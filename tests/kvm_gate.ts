/**
 * Tests that need /dev/kvm: where it cannot be used they are counted as
 * ignored, under a name that says so.
 *
 * @module
 */

import { testUnless } from "./machine.ts";
import { Kvm } from "../src/kvm/mod.ts";

/** Why /dev/kvm cannot be used; empty when it can. */
const REASON = whyNot();

function whyNot(): string {
  try {
    using _kvm = Kvm.open();
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Whether `in` and `out` of a program leave the VM. On an AMD CPU that QEMU
 * emulates they do not: it takes the I/O bitmap of an available TSS alone, and
 * KVM's is busy. (target/i386/tcg, check_io)
 */
const HAS_PORTS = !/^model name.*QEMU TCG CPU/m.test(
  Deno.readTextFileSync("/proc/cpuinfo"),
);

const HAS_MUSL = hasMusl();

function hasMusl(): boolean {
  try {
    const args = ["--version"];
    return new Deno.Command("musl-gcc", { args }).outputSync().success;
  } catch {
    return false;
  }
}

/**
 * Registers a test that runs guests. Without a usable /dev/kvm it is ignored,
 * and the reason is said once a file; so is one of a program that is built with
 * musl-gcc, without that.
 *
 * @param name "subject: what holds"
 * @param fn the test
 * @param program the guest program it is of, where that matters: `hello_musl`
 */
export function kvmTest(
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
  program = "",
): void {
  const lacksMusl = program.endsWith("_musl") && !HAS_MUSL;
  kvmTestUnless(lacksMusl ? "musl-gcc" : undefined, name, fn);
}

/**
 * Registers a test that runs guests and needs something more: as
 * {@linkcode kvmTest}, and ignored where that is missing.
 *
 * @param lacks what is missing (machine.ts)
 */
export function kvmTestUnless(
  lacks: string | undefined,
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  testUnless(REASON === "" ? lacks : "/dev/kvm", name, fn);
}

/**
 * Registers a test of a program that uses I/O ports: as {@linkcode kvmTest},
 * and ignored where they do not leave the VM.
 */
export function portTest(
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  kvmTestUnless(HAS_PORTS ? undefined : "I/O ports", name, fn);
}

if (!HAS_MUSL) {
  console.error(
    "Tests of programs built with musl-gcc are skipped: it is missing",
  );
}
if (REASON) console.error(`Tests that run guests are skipped: ${REASON}`);
