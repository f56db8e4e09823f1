/**
 * What can happen to the processes of a move: full disks, ends in the middle,
 * signals, certificates. Nothing is ever lost, and nothing runs twice.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { assertTidy, run, vmWords } from "../cli/command.ts";
import { kvmTest, kvmTestUnless } from "../kvm_gate.ts";
import { lacksMount } from "../machine.ts";
import { onSmallDisk } from "../mounted.ts";
import { Scratch } from "../support.ts";
import { Authority, type Pair } from "../state/transports/certificates.ts";
import {
  finish,
  IN_TRANSFER,
  passed,
  prepared,
  receiving,
  running,
} from "./command_sides.ts";
import { FrameProxy } from "./frame_proxy.ts";

/** Breaks the connection instead of passing the destination's `prepared` on. */
const NO_PREPARED = {
  from: "destination",
  index: 2,
  passedBytes: Infinity,
} as const;

/** Stands still instead of passing the destination's `done` on. */
const NO_DONE = {
  from: "destination",
  index: 3,
  passedBytes: 0,
  stalls: true,
} as const;

/** The names in a folder. */
function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

kvmTestUnless(
  lacksMount(),
  "vm run: an uncertain program that no disk has room for stays, until there is room",
  () =>
    onSmallDisk("256k", async (folder) => {
      await using scratch = new Scratch();
      const program = await prepared(scratch);
      Deno.removeSync(scratch.file("here"));
      Deno.symlinkSync(folder, scratch.file("here"));
      Deno.writeFileSync(`${folder}/filler`, new Uint8Array(250_000));
      const there = await receiving(scratch);
      await using proxy = new FrameProxy(there.url);
      proxy.cut = NO_PREPARED;
      const here = await running(scratch, program, proxy.name);
      here.child.kill("SIGUSR2");
      await here.until("hint: make room and save it");
      // Nothing of the image takes what room there is.
      assertEquals(namesIn(folder), ["filler"]);
      assertMatch(
        here.printed.stderr,
        /it was paused here, and could not be saved: .*os error 28/,
      );
      // Told to save while there is no room, it says so, and stays.
      here.printed.stderr = "";
      here.child.kill("SIGUSR2");
      await here.until("os error 28");
      assertEquals(namesIn(folder), ["filler"]);
      await run(["mount", "-o", "remount,size=64m", folder]);
      here.child.kill("SIGUSR2");
      await here.until("saved to vm.img");
      const { status, stdout } = await finish(here, "");
      assertEquals([status, stdout], [1, "ready\n"]);
      there.child.kill("SIGINT");
      await there.outcome;
      await there.child.stdin.close().catch(() => {});
      const words = vmWords("restore", "vm.img");
      const again = await run(words, { cwd: folder });
      assertEquals([again.status, again.stdout], [0, "end after 0\n"]);
    }),
);

kvmTest(
  "vm run: a destination that is killed between commit and done leaves an image here",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch);
    const cwd = scratch.file("here");
    // Before it has read that the VM is its own, and after.
    for (const frame of ["commit", "done"]) {
      const there = await receiving(scratch);
      await using proxy = new FrameProxy(there.url);
      proxy.cut = NO_DONE;
      const here = await running(scratch, program, proxy.name);
      proxy.onFrame = ({ name }) => {
        if (name === frame) there.child.kill("SIGKILL");
      };
      here.child.kill("SIGUSR2");
      await there.outcome;
      await there.child.stdin.close().catch(() => {});
      proxy.release();
      const { status, stdout, stderr } = await finish(here, "");
      assertEquals([status, stdout], [1, "ready\n"], frame);
      assertMatch(stderr, /^vm: Cannot tell whether tcp:\S+ runs the VM: /);
      assertMatch(stderr, /^hint: .*go on with: vm restore vm\.img$/m);
      assertTidy(stderr);
      const again = await run(vmWords("restore", "vm.img"), { cwd });
      assertEquals([again.status, again.stdout], [0, "end after 0\n"], frame);
      Deno.removeSync(`${cwd}/vm.img`);
      assertEquals(namesIn(scratch.file("there")), []);
    }
  },
);

kvmTest(
  "vm receive: SIGINT in mid-transfer ends it with nothing left, and the program goes on",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch);
    const there = await receiving(scratch);
    await using proxy = new FrameProxy(there.url);
    proxy.cut = IN_TRANSFER;
    const here = await running(scratch, program, proxy.name);
    const isUnderWay = passed(proxy, "data");
    here.child.kill("SIGUSR2");
    await isUnderWay;
    there.child.kill("SIGINT");
    const ended = await there.outcome;
    assertEquals([ended.status, ended.stdout], [130, ""], ended.stderr);
    assertTidy(ended.stderr);
    await there.child.stdin.close().catch(() => {});
    proxy.release();
    await here.until("Cannot move the VM");
    const { status, stdout, stderr } = await finish(here, "one\n");
    assertEquals([status, stdout], [0, "ready\n1: one\nend after 1\n"]);
    assertTidy(stderr);
    for (const side of ["here", "there"]) {
      assertEquals(namesIn(scratch.file(side)), []);
    }
  },
);

kvmTest(
  "vm receive: SIGINT just after the commit ends the program, as vm run does; its image is at the source",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch);
    const there = await receiving(scratch);
    await using proxy = new FrameProxy(there.url);
    proxy.cut = NO_DONE;
    const here = await running(scratch, program, proxy.name);
    proxy.onFrame = ({ name }) => {
      if (name === "done") there.child.kill("SIGINT");
    };
    here.child.kill("SIGUSR2");
    const ended = await there.outcome;
    assertEquals([ended.status, ended.stdout], [130, ""], ended.stderr);
    assertTidy(ended.stderr);
    await there.child.stdin.close().catch(() => {});
    proxy.release();
    const { status, stderr } = await finish(here, "");
    assertEquals(status, 1);
    assertMatch(stderr, /^hint: .*go on with: vm restore vm\.img$/m);
    assertEquals(namesIn(scratch.file("here")), ["vm.img"]);
  },
);

kvmTest(
  "vm receive: SIGUSR2 before a program has come saves the one that comes",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch);
    const there = await receiving(scratch);
    // Asked for twice is asked for once.
    there.child.kill("SIGUSR2");
    there.child.kill("SIGUSR2");
    const here = await running(scratch, program, there.url);
    here.child.kill("SIGUSR2");
    await here.until("moved");
    assertEquals((await finish(here, "")).status, 0);
    const { status, stdout, stderr } = await finish(there, "");
    assertEquals([status, stdout], [0, ""]);
    assertMatch(stderr, /^vm: saved to vm\.img \(\d+ bytes\)$/m);
    assertTidy(stderr);
    const cwd = scratch.file("there");
    assertEquals(namesIn(cwd), ["vm.img"]);
    const again = await run(vmWords("restore", "vm.img"), { cwd });
    assertEquals([again.status, again.stdout], [0, "end after 0\n"]);
  },
);

/** Writes a certificate, its key and who vouches; the options that name them. */
function tlsOptions(
  scratch: Scratch,
  name: string,
  { cert, key }: Pair,
  ca: Authority,
): string[] {
  const write = (what: string, text: string) => {
    const path = scratch.file(`${name}.${what}`);
    Deno.writeTextFileSync(path, text);
    return path;
  };
  return [
    `--tls-cert=${write("pem", cert)}`,
    `--tls-key=${write("key", key)}`,
    `--tls-ca=${write("ca", ca.cert)}`,
    // The arithmetic takes long on some machines.
    "--timeout=120",
  ];
}

kvmTest(
  "vm run: a program moves over TLS to who trusts its certificate, and to nobody else",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch);
    await using ca = await Authority.create();
    await using forger = await Authority.create();
    const there = await receiving(
      scratch,
      tlsOptions(scratch, "server", await ca.issue(), ca),
      "tls://127.0.0.1:0",
    );
    const forged = tlsOptions(
      scratch,
      "forged",
      await forger.issue("DNS:client"),
      ca,
    );
    const stranger = await running(scratch, program, there.url, forged);
    stranger.child.kill("SIGUSR2");
    await stranger.until("refuses our certificate");
    await there.until("the client's certificate is refused: nobody");
    const stayed = await finish(stranger, "one\n");
    assertEquals(
      [stayed.status, stayed.stdout],
      [0, "ready\n1: one\nend after 1\n"],
    );
    assertTidy(stayed.stderr);
    const right = tlsOptions(
      scratch,
      "client",
      await ca.issue("DNS:client"),
      ca,
    );
    const here = await running(scratch, program, there.url, right);
    here.child.kill("SIGUSR2");
    await here.until("moved to tls:");
    assertEquals((await finish(here, "")).status, 0);
    const { status, stdout, stderr } = await finish(there, "two\n");
    assertEquals([status, stdout], [0, "1: two\nend after 1\n"]);
    assertTidy(stderr);
  },
);

kvmTest(
  "vm: every reason why a program cannot go on is told at once, of a move and of a dry run",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch, "held");
    // What it may read is the current folder, which is another there.
    const there = await receiving(scratch, ["--memory=32M"]);
    const here = await running(scratch, program, there.url);
    const reasons = [
      /with 67108864 bytes of memory: must be <= 33554432 here/,
      /\/here\/held\.txt\): it may not be opened/,
      /\/here\): it may not be opened/,
    ];
    here.child.kill("SIGUSR2");
    await here.until("cannot take it");
    const stayed = await finish(here, "one\n");
    assertEquals(stayed.status, 7, stayed.stderr);
    for (const reason of reasons) assertMatch(stayed.stderr, reason);
    assertTidy(stayed.stderr);
    there.child.kill("SIGINT");
    await there.outcome;
    await there.child.stdin.close().catch(() => {});
    // The same of an image.
    const image = scratch.file("vm.img");
    const saving = await running(scratch, program, `file:${image}`);
    saving.child.kill("SIGUSR2");
    assertEquals((await saving.outcome).status, 0);
    await saving.child.stdin.close().catch(() => {});
    const words = vmWords("restore", "--dry-run", image);
    const dry = await run(words, { cwd: scratch.file("there") });
    assertEquals([dry.status, dry.stderr], [3, ""]);
    const lines = dry.stdout.trim().split("\n");
    assertEquals(lines.length, 2, dry.stdout);
    for (const reason of reasons.slice(1)) assertMatch(dry.stdout, reason);
  },
);
