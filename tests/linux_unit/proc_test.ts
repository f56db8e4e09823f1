/**
 * What the VM answers for itself of /proc, /sys and /dev, without a vCPU.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  Clock,
  FdTable,
  O,
  openTerminal,
  RootFolder,
  ScriptConsole,
  VirtualFile,
} from "../../src/devices/mod.ts";
import type { Linux } from "../../src/linux/linux.ts";
import { Process } from "../../src/linux/process.ts";
import {
  looked,
  modeOf,
  openNode,
  resolveVirtual,
  type VirtualNode,
} from "../../src/linux/proc/mod.ts";
import { loadProgram } from "../../src/linux/loader.ts";
import { PAGE_BYTES, PROT } from "../../src/vmm/mod.ts";
import { guest } from "../support.ts";
import { Space } from "./probe_guest.ts";

/** What of the personality /proc looks at, with a program that was loaded. */
async function withLinux(test: (linux: Linux) => void): Promise<void> {
  const [program] = await guest("hello");
  using space = new Space(64 * 1024 * 1024);
  using root = new RootFolder();
  const argv = ["hello", "a word"];
  loadProgram(space.space, space.user, {
    root,
    path: program,
    cwd: "/",
    argv,
    environment: ["A=1", "B=two"],
    uid: 1000,
    gid: 1000,
    hwcap: 1,
  });
  const process = new Process(Process.initial(program, argv, "/tmp", 0o22));
  const console = new ScriptConsole({ terminal: { rows: 1, columns: 1 } });
  test(
    {
      memory: space.memory,
      space: space.space,
      user: space.user,
      process,
      task: process.current,
      fds: new FdTable(),
      clock: new Clock(),
      ids: { uid: 1000, gid: 1000 },
      cpuid: () => new Uint8Array(8),
      cpuNs: () => 1e9,
      hasTerminal: true,
      openTerminal: (flags: number) => openTerminal(console, flags),
    } as unknown as Linux,
  );
}

/** The text of a file. */
function textOf(linux: Linux, path: string): string {
  const found = resolveVirtual(linux, { cwd: "/", path }, true);
  assert(typeof found === "object" && found.kind === "node", path);
  const file = openNode(linux, found.path, found.node, 0, 0);
  assert(file instanceof VirtualFile, path);
  return String.fromCharCode(...file.content);
}

Deno.test("proc: every file and folder can be looked at and opened", async () => {
  await withLinux((linux) => {
    let count = 0;
    const visit = (path: string, node: VirtualNode) => {
      count++;
      assertEquals(looked(path, node).stat(new Uint8Array(144)), 0, path);
      assert(modeOf(node) > 0);
      if (node.kind === "link") return;
      const file = openNode(linux, path, node, O.readOnly, O.readOnly);
      assert(typeof file !== "number", path);
      if (node.kind !== "folder") return;
      for (const name of node.names(linux)) {
        const found = node.find(linux, name);
        assert(found, `${path}/${name}`);
        if (path.split("/").length < 8) visit(`${path}/${name}`, found);
      }
    };
    for (const path of ["/proc", "/sys", "/dev"]) {
      const found = resolveVirtual(linux, { cwd: "/", path }, true);
      assert(typeof found === "object" && found.kind === "node");
      visit(path, found.node);
    }
    assert(count > 100);
  });
});

Deno.test("proc: what a program was started with is read from its stack", async () => {
  await withLinux((linux) => {
    assertEquals(textOf(linux, "/proc/self/environ"), "A=1\0B=two\0");
    assertEquals(textOf(linux, "/proc/self/cmdline"), "hello\0a word\0");
    const auxv = Uint8Array.from(
      textOf(linux, "/proc/self/auxv"),
      (c) => c.charCodeAt(0),
    );
    const words = new BigUint64Array(auxv.buffer);
    assertEquals(words.at(-2), 0n);
    assert(words.length % 2 === 0);
  });
});

Deno.test("proc: links lead where they do on Linux", async () => {
  await withLinux((linux) => {
    const to = (path: string, follow = true, cwd = "/") => {
      const found = resolveVirtual(linux, { cwd, path }, follow);
      return typeof found === "object" && found.kind !== "file"
        ? found.path
        : found;
    };
    assertEquals(to("/proc/self"), "/proc/100");
    assertEquals(to("/proc/self", false), "/proc/self");
    assertEquals(to("/proc/thread-self/stat"), "/proc/100/task/100/stat");
    assertEquals(to("/proc/self/cwd/x"), "/tmp/x");
    assertEquals(to("/proc/self/root/etc"), "/etc");
    assertEquals(to("/proc/self/root/proc/stat"), "/proc/stat");
    assertEquals(to("../proc/stat", true, "/tmp"), "/proc/stat");
    assertEquals(to("self/stat", true, "/proc"), "/proc/100/stat");
    assertEquals(to("proc/stat", true, "/"), "/proc/stat");
    assertEquals(to("/proc/mounts"), "/proc/100/mounts");
    assertEquals(to("/etc/passwd"), undefined);
    assertEquals(to("/dev/shm/x"), undefined);
    assertEquals(to("/proc/1"), -2);
    assertEquals(to("/proc/stat/"), -20);
    assertEquals(to("/proc/stat/x"), -20);
  });
});

Deno.test("proc: however many areas there are, and files of them, they take little", async () => {
  await withLinux((linux) => {
    const { space, fds } = linux;
    const path = `/${"long/".repeat(800)}name`;
    const file = { path, device: 1n, inode: 2n };
    for (let i = 0; i < 10000; i++) {
      const va = 0x1000_0000 + 2 * i * PAGE_BYTES;
      const source = { file, offset: 0 };
      space.map(va, PAGE_BYTES, PROT.read, "file", true, source);
    }
    const found = resolveVirtual(
      linux,
      { cwd: "/", path: "/proc/self/maps" },
      true,
    );
    assert(typeof found === "object" && found.kind === "node");
    const open = () => openNode(linux, found.path, found.node, 0, 0);
    let held = 0;
    for (let i = 0; i < 4; i++) {
      const one = open();
      assert(one instanceof VirtualFile);
      fds.install(one, false);
      held += one.content.buffer.byteLength;
    }
    assert(held > 60 * 1024 ** 2 && held <= 64 * 1024 ** 2, `${held}`);
    assertEquals(open(), -12);
    fds.closeAll();
    assert(open() instanceof VirtualFile);
  });
});
