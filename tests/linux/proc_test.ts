/**
 * /proc, /sys and /dev, compared with Linux.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, TestVm } from "../support.ts";
import { compareTest } from "./compare.ts";

compareTest("proc", "what a program asks of /proc is answered as on Linux", {
  args: ["", "two words"],
  prepare: (folder) => Deno.writeTextFileSync(`${folder}/f`, ""),
  vm: { environment: { NO_COLOR: "1" } },
});

kvmTest("proc: files of /proc that are open go on after a thaw", async () => {
  const [program] = await guest("proc");
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  await using first = await TestVm.create({
    program,
    args: ["held"],
    onSave: async (vm) => {
      await vm.save(image);
      return "stop";
    },
  });
  assertEquals(await first.run(), { kind: "saved" });
  await using second = await TestVm.restore(image, {}, first);
  assertEquals(await second.run(), { kind: "exited", code: 0 });
  const lines = second.output.stdout.trimEnd().split("\n");
  assertEquals(lines.at(-3)?.trim(), "Soft Limit");
});

kvmTest("proc: no process of the host is seen, nor the VMM's own", async () => {
  await using test = await TestVm.create({
    program: "/bin/ls",
    args: ["/proc", "/proc/1", `/proc/${Deno.pid}`],
    allow: { read: ["/"], write: [] },
  });
  await test.run();
  const pids = test.output.stdout.split("\n").filter((l) => /^\d+$/.test(l));
  assertEquals(pids, ["100"]);
  assertEquals(test.output.stderr.split("\n").length, 3);
});
