/**
 * Tests that need /dev/kvm: where it cannot be used they are counted as
 * ignored, under a name that says so.
 *
 * @module
 */

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
 * Registers a test that runs guests. Without a usable /dev/kvm it is ignored,
 * and the reason is said once a file.
 *
 * @param name "subject: what holds"
 * @param fn the test
 */
export function kvmTest(
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  const ignore = REASON !== "";
  Deno.test({
    name: ignore ? `SKIPPED no /dev/kvm: ${name}` : name,
    ignore,
    fn,
  });
}

if (REASON) console.error(`Tests that run guests are skipped: ${REASON}`);
