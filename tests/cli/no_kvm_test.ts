/**
 * Machines where /dev/kvm is missing, not permitted, or something else.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { kvmTestUnless } from "../kvm_gate.ts";
import { lacksPrefix } from "../machine.ts";
import { guest, Scratch } from "../support.ts";
import {
  AS_OWNER,
  assertRefused,
  assertTidy,
  quoted,
  vmText,
} from "./command.ts";
import { saveTiny } from "./hostile_image.ts";
import { BARE_DEV, inNamespace, NO_NAMESPACE } from "./namespace.ts";

/** Registers a test that has a /dev of its own. */
function namespaceTest(
  name: string,
  fn: () => Promise<void>,
  lacks?: string,
): void {
  kvmTestUnless(NO_NAMESPACE ?? lacks, name, fn);
}

namespaceTest(
  "no KVM: a missing /dev/kvm gives status 5 and a hint",
  async () => {
    const [hello] = await guest("hello");
    await using scratch = new Scratch();
    const image = await saveTiny(scratch.path);
    for (const command of [vmText("run", hello), vmText("restore", image)]) {
      const outcome = await inNamespace(BARE_DEV, command);
      assertRefused(outcome, 5, /^vm: Cannot open \/dev\/kvm: ENOENT$/m);
      assertMatch(
        outcome.stderr,
        /^hint: load the kvm_intel or kvm_amd module;/m,
      );
    }
  },
);

namespaceTest(
  "no KVM: a /dev/kvm that is not permitted gives status 5 and a hint",
  async () => {
    const [hello] = await guest("hello");
    const prepare = `${BARE_DEV} && : > /dev/kvm && chown 65534 /dev/kvm && ` +
      `chmod 600 /dev/kvm && ${AS_OWNER} true`;
    const outcome = await inNamespace(
      prepare,
      `${AS_OWNER} ${vmText("run", hello)}`,
    );
    assertRefused(
      outcome,
      5,
      /^vm: Cannot open \/dev\/kvm: permission denied \(EACCES\)$/m,
    );
    assertMatch(outcome.stderr, /^hint: .*usermod -aG kvm/m);
  },
  lacksPrefix(AS_OWNER),
);

namespaceTest(
  "no KVM: a /dev/kvm that is something else gives status 5",
  async () => {
    const [hello] = await guest("hello");
    const prepare = `${BARE_DEV} && ln -s null /dev/kvm`;
    const outcome = await inNamespace(prepare, vmText("run", hello));
    assertRefused(
      outcome,
      5,
      /^vm: Cannot use \/dev\/kvm: it is not KVM \(ENOTTY\)$/m,
    );
  },
);

namespaceTest(
  "no KVM: the demo ends with status 1, without a stack trace",
  async () => {
    await guest("app");
    const script = new URL("../../scripts/demo.ts", import.meta.url).pathname;
    const words = [Deno.execPath(), "run", "-A", script];
    const outcome = await inNamespace(BARE_DEV, words.map(quoted).join(" "));
    assertEquals(outcome.status, 1);
    assertTidy(outcome.stderr);
    assertMatch(outcome.stderr, /^vm: Cannot open \/dev\/kvm: ENOENT$/m);
    assertMatch(outcome.stderr, /^vm: The demo .* status 5$/m);
  },
);

namespaceTest("no KVM: an image can be inspected all the same", async () => {
  await using scratch = new Scratch();
  const image = await saveTiny(scratch.path);
  const outcome = await inNamespace(BARE_DEV, vmText("inspect", image));
  assertMatch(outcome.stdout, /^\S+tiny\.img: ScratchVM /);
  assertMatch(outcome.stdout, / memory .* memory /);
});
