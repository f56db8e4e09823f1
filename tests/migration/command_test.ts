/**
 * Moves between processes, by the command line: killed, interrupted, uncertain.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, Scratch } from "../support.ts";
import { assertTidy, run, vmWords } from "../cli/command.ts";
import {
  finish,
  IN_TRANSFER,
  passed,
  prepared,
  receiving,
  running,
} from "./command_sides.ts";
import { FrameProxy } from "./frame_proxy.ts";

/** A device that cannot be read. */
function thrower(mod: string): string {
  return `
import { defineDevice, MMIO_GPA } from ${JSON.stringify(mod)};
export default defineDevice({
  kind: "thrower",
  version: 1,
  create: () => ({
    mmio: [{
      gpa: MMIO_GPA,
      lengthBytes: 4096,
      read() { throw new Error("broken on purpose"); },
      write() {},
    }],
    files: { "/dev/thrower": () => ({ mmap: () => MMIO_GPA }) },
    dump: () => ({}),
  }),
});
`;
}

kvmTest(
  "vm receive: --count 2 takes two programs, and each goes on to its end",
  async () => {
    await using scratch = new Scratch();
    const program = await prepared(scratch);
    const there = await receiving(scratch, ["--count=2"]);
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
  "vm receive: a program whose device fails does not keep the next from coming",
  async () => {
    await using scratch = new Scratch();
    await prepared(scratch);
    const [program] = await guest("device");
    const device = `--device=${scratch.file("thrower.ts")}`;
    const mod = new URL("../../mod.ts", import.meta.url).href;
    Deno.writeTextFileSync(scratch.file("thrower.ts"), thrower(mod));
    const there = await receiving(scratch, ["--count=2", device]);
    for (const last of ["peek", "poke"]) {
      const { status, stderr } = await run([
        ...vmWords("run", "--memory=64M", device, `--on-save=${there.url}`),
        ...[program, "open", "/dev/thrower", "map", "4096", "save", last],
        ...(last === "peek" ? ["0"] : ["0", "1"]),
      ], { cwd: scratch.file("here") });
      assertEquals(status, 0, stderr);
    }
    await there.child.stdin.close();
    const { status, stderr } = await there.outcome;
    // The last that failed was the first.
    assertEquals(status, 1);
    assertMatch(stderr, /broken on purpose/);
    assertTidy(stderr);
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
    const there = await receiving(scratch, ["--forever"]);
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
