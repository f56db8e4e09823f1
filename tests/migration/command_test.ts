/**
 * Moves between processes, by the command line: killed, interrupted, uncertain.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, Scratch } from "../support.ts";
import {
  assertTidy,
  run,
  type Running,
  start,
  vmWords,
} from "../cli/command.ts";
import { FrameProxy } from "./frame_proxy.ts";

/** The folder, and the program that waits for lines. */
async function prepared(scratch: Scratch): Promise<string> {
  const [program] = await guest("blocked_read");
  for (const name of ["here", "there"]) Deno.mkdirSync(scratch.file(name));
  return program;
}

/** A `vm receive` that listens, and where. */
async function receiving(
  scratch: Scratch,
  ...options: string[]
): Promise<Running & { readonly url: string }> {
  const words = vmWords("receive", ...options, "tcp://127.0.0.1:0");
  const running = start(words, { cwd: scratch.file("there"), isFed: true });
  await running.until("\n");
  const [url] = /tcp:\S+/.exec(running.printed.stderr)!;
  return { ...running, url };
}

/** A program that waits for lines, and moves to `url` at SIGUSR2. */
async function running(
  scratch: Scratch,
  program: string,
  url: string,
): Promise<Running> {
  const words = vmWords("run", "--memory=64M", `--on-save=${url}`, program);
  const source = start(words, { cwd: scratch.file("here"), isFed: true });
  await source.until("ready");
  return source;
}

/** Gives a program its last line, and what came of it. */
async function finish({ child, outcome }: Running, line: string) {
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(line)).catch(() => {});
  await writer.close().catch(() => {});
  return await outcome;
}

/** Resolves once a proxy has passed a frame of this name. */
function passed(proxy: FrameProxy, name: string): Promise<void> {
  return new Promise((resolve) => {
    proxy.onFrame = (frame) => {
      if (frame.name === name) resolve();
    };
  });
}

/** Stands still once the destination has said that it can take the VM. */
const IN_TRANSFER = {
  from: "source",
  index: 2,
  passedBytes: 100,
  stalls: true,
} as const;

kvmTest(
  "vm receive: --count 2 takes two programs, and each goes on to its end",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch);
    const there = await receiving(scratch, "--count=2");
    for (let i = 0; i < 2; i++) {
      const here = await running(scratch, program, there.url);
      here.child.kill("SIGUSR2");
      // Before its input ends, which it would see here otherwise.
      await here.until("moved");
      const outcome = await finish(here, "");
      assertEquals([outcome.status, outcome.stdout], [0, "ready\n"]);
      assertMatch(outcome.stderr, /^vm: moved to tcp:\S+ \(\d+ bytes\)\n$/);
      // The second finds the end of what the first has read.
      if (i === 0) await there.child.stdin.close();
    }
    const { status, stdout, stderr } = await there.outcome;
    assertEquals([status, stdout], [0, "end after 0\nend after 0\n"]);
    assertTidy(stderr);
    for (const name of ["here", "there"]) {
      assertEquals([...Deno.readDirSync(scratch.file(name))], []);
    }
  },
);

kvmTest(
  "vm run: a destination that is killed before the commit leaves it running",
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
    there.child.kill("SIGKILL");
    await there.outcome;
    await there.child.stdin.close().catch(() => {});
    proxy.release();
    await here.until("was lost");
    const { status, stdout, stderr } = await finish(here, "one\n");
    assertEquals([status, stdout], [0, "ready\n1: one\nend after 1\n"]);
    assertTidy(stderr);
    assertEquals([...Deno.readDirSync(scratch.file("here"))], []);
  },
);

kvmTest(
  "vm receive: a source that is killed or interrupted leaves nothing there",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch);
    const there = await receiving(scratch, "--forever");
    await using proxy = new FrameProxy(there.url);
    proxy.cut = IN_TRANSFER;
    for (const [signal, code] of [["SIGKILL", 137], ["SIGINT", 130]] as const) {
      there.printed.stderr = "";
      const here = await running(scratch, program, proxy.name);
      const isUnderWay = passed(proxy, "data");
      here.child.kill("SIGUSR2");
      await isUnderWay;
      here.child.kill(signal);
      assertEquals((await here.outcome).status, code);
      await here.child.stdin.close().catch(() => {});
      proxy.release();
      await there.until("was lost");
    }
    // It still takes the next, and ends when it is told to.
    proxy.cut = undefined;
    const here = await running(scratch, program, proxy.name);
    here.child.kill("SIGUSR2");
    await here.until("moved");
    assertEquals((await finish(here, "")).status, 0);
    const writer = there.child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("one\n"));
    await there.until("1: one");
    there.child.kill("SIGTERM");
    const { status } = await there.outcome;
    assertEquals(status, 143);
    await writer.close().catch(() => {});
    assertEquals([...Deno.readDirSync(scratch.file("there"))], []);
  },
);

kvmTest(
  "vm run: a move that is uncertain keeps vm.img, at the latest when told to",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch);
    const there = await receiving(scratch);
    await using proxy = new FrameProxy(there.url);
    // The destination is ready; the source's word does not arrive.
    proxy.cut = { from: "destination", index: 2, passedBytes: Infinity };
    const here = await running(scratch, program, proxy.name);
    const cwd = scratch.file("here");
    // No image can be written there, at first.
    Deno.mkdirSync(`${cwd}/vm.img`);
    here.child.kill("SIGUSR2");
    await here.until("hint: make room and save it");
    Deno.removeSync(`${cwd}/vm.img`);
    here.child.kill("SIGUSR2");
    const { status, stdout, stderr } = await finish(here, "");
    assertEquals([status, stdout], [1, "ready\n"]);
    assertMatch(stderr, /^vm: Cannot tell whether tcp:\S+ runs the VM: /);
    assertMatch(stderr, /it was paused here, and could not be saved: /);
    assertMatch(stderr, /^vm: saved to vm\.img \(\d+ bytes\)$/m);
    assertTidy(stderr);
    await there.until("was lost");
    there.child.kill("SIGINT");
    assertEquals((await there.outcome).status, 130);
    await there.child.stdin.close().catch(() => {});
    const dry = await run(vmWords("restore", "--dry-run", "vm.img"), { cwd });
    assertEquals([dry.status, dry.stdout], [0, ""]);
    const again = await run(vmWords("restore", "vm.img"), { cwd });
    assertEquals([again.status, again.stdout], [0, "end after 0\n"]);
    assert([...Deno.readDirSync(cwd)].length === 1);
  },
);

kvmTest(
  "vm run: asked twice for a move that is uncertain, it keeps one image beside others",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch);
    const there = await receiving(scratch);
    await using proxy = new FrameProxy(there.url);
    // The destination is ready; the source's word does not arrive.
    proxy.cut = {
      from: "destination",
      index: 2,
      passedBytes: Infinity,
      stalls: true,
    };
    const here = await running(scratch, program, proxy.name);
    const cwd = scratch.file("here");
    // The image of another program is there, which must stay.
    Deno.writeTextFileSync(`${cwd}/vm.img`, "another");
    const isReady = passed(proxy, "prepared");
    here.child.kill("SIGUSR2");
    await isReady;
    here.child.kill("SIGUSR2");
    // It shows nothing of having got that.
    await delay(500);
    proxy.release();
    const { status, stdout, stderr } = await finish(here, "");
    assertEquals([status, stdout], [1, "ready\n"]);
    assertMatch(stderr, /^vm: Cannot tell whether tcp:\S+ runs the VM: /);
    assertTidy(stderr);
    await there.until("was lost");
    there.child.kill("SIGINT");
    await there.outcome;
    await there.child.stdin.close().catch(() => {});
    assertMatch(stderr, /hint: .*go on with: vm restore vm-2\.img$/m);
    assertEquals(Deno.readTextFileSync(`${cwd}/vm.img`), "another");
    const again = await run(vmWords("restore", "vm-2.img"), { cwd });
    assertEquals([again.status, again.stdout], [0, "end after 0\n"]);
    assertEquals([...Deno.readDirSync(cwd)].length, 2);
  },
);
