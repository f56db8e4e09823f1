/**
 * Saving where there is no room: the old image stays, the program learns of it.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { kvmTest, kvmTestUnless } from "../kvm_gate.ts";
import { lacksMount } from "../machine.ts";
import { onSmallDisk } from "../mounted.ts";
import { guest, type Outcome, Scratch, TestVm } from "../support.ts";
import { ImageError } from "../../mod.ts";
import { assertTidy, run, shell, vmText, vmWords } from "./command.ts";

/** What tests on a small disk lack. */
const NO_MOUNT = lacksMount();

const OLD = new TextEncoder().encode("the old image, as far as anyone knows\n");

/** A test in a folder with `old.img`, and room for little more. */
function tinyTest(name: string, work: (folder: string) => Promise<void>): void {
  kvmTestUnless(
    NO_MOUNT,
    `no space: ${name}`,
    () =>
      onSmallDisk("256k", async (folder) => {
        Deno.writeFileSync(`${folder}/old.img`, OLD);
        await work(folder);
      }),
  );
}

function assertOldStays(folder: string): void {
  assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), [
    "old.img",
  ]);
  assertEquals(Deno.readFileSync(`${folder}/old.img`), OLD);
}

/** The program got -1 and `errno` from SAVE(), and ended well. */
function assertLearned(outcome: Outcome, errno: number): void {
  assertEquals(outcome.stdout, `-1 ${errno}\n`);
  assertEquals(outcome.status, 0);
  assertMatch(outcome.stderr, /^vm: Cannot write "old\.img": .*os error/);
  assertTidy(outcome.stderr);
}

tinyTest("SAVE() gives ENOSPC, and the old image stays", async (folder) => {
  const [saves] = await guest("saves");
  for (const more of [[], ["--continue"], ["--compress"]]) {
    const words = vmWords("run", "--on-save=old.img", ...more, saves);
    const outcome = await run(words, { cwd: folder });
    assertOldStays(folder);
    assertLearned(outcome, 28);
    assertMatch(
      outcome.stderr,
      /^hint: make room, or save to another disk$/m,
    );
  }
});

tinyTest(
  "a save from outside fails and the program goes on",
  async (folder) => {
    const [blocked] = await guest("blocked_read");
    await using test = await TestVm.create({ program: blocked, cwd: folder });
    const running = test.run();
    await test.until("ready");
    for (let i = 0; i < 3; i++) {
      let failure: unknown;
      await test.vm.save(`${folder}/old.img`).catch((error) => failure = error);
      if (!(failure instanceof ImageError)) throw failure;
      assertEquals(failure.code, "IMAGE_IO");
      assertOldStays(folder);
    }
    assertEquals(test.vm.state, "running");
    test.console.push("still here\n");
    test.console.end();
    assertEquals(await running, { kind: "exited", code: 0 });
    assertMatch(test.output.stdout, /1: still here/);
  },
);

kvmTest(
  "no space: a limit on the size of files is an error, no signal",
  async () => {
    const [bigmem] = await guest("bigmem");
    await using scratch = new Scratch();
    Deno.writeFileSync(scratch.file("old.img"), OLD);
    const command = vmText("run", "--on-save=old.img", bigmem, "64");
    // Blocks of 512 bytes; Deno's own cache has to fit as well.
    const outcome = await shell(`ulimit -f 65536; ${command}`, scratch.path);
    assertOldStays(scratch.path);
    assertEquals(outcome.stdout, "0 wrong\n");
    assertEquals(outcome.status, 0);
    assertMatch(outcome.stderr, /^vm: Cannot write "old\.img": File too large/);
  },
);

kvmTest(
  "no space: a folder that is missing or may not be written is named",
  async () => {
    const [saves] = await guest("saves");
    await using scratch = new Scratch();
    Deno.mkdirSync(scratch.file("folder"));
    for (
      const [target, errno] of [["none/vm.img", 2], ["folder", 5]] as const
    ) {
      const words = vmWords("run", `--on-save=${target}`, saves);
      const { stdout, stderr, status } = await run(words, {
        cwd: scratch.path,
      });
      assertEquals({ stdout, status }, { stdout: `-1 ${errno}\n`, status: 0 });
      assertMatch(stderr, new RegExp(`^vm: Cannot write "${target}": `));
      assertTidy(stderr);
    }
    assertEquals([...Deno.readDirSync(scratch.path)].length, 1);
    assertEquals([...Deno.readDirSync(scratch.file("folder"))].length, 0);
  },
);

kvmTest("no space: /dev/full is no place for an image", async () => {
  const [saves] = await guest("saves");
  const outcome = await shell(
    `${vmText("run", "--on-save=/dev/full", saves)} 2>&1`,
  );
  assertMatch(
    outcome.stdout,
    /Cannot write "\/dev\/full": it is not a regular file\n-1 5\n$/,
  );
});
