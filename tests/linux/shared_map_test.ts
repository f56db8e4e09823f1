import { assertEquals } from "@std/assert";
import type { Vm } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, native, resources, Scratch, TestVm } from "../support.ts";
import { statusOf } from "./compare.ts";

/** Runs the program; at its SAVE() it goes on in another VM, or not. */
async function run(program: string, args: string[], moves: boolean) {
  await using folder = new Scratch();
  const image = folder.file("vm.img");
  const allow = { read: [folder.path], write: [folder.path] };
  const options = {
    allow,
    onSave: async (vm: Vm) => {
      if (!moves) return 0;
      await vm.save(image);
      return "stop" as const;
    },
  };
  const cwd = folder.path;
  await using first = await TestVm.create({ program, args, cwd, ...options });
  let end = await first.run();
  let output = first.output;
  if (end.kind === "saved") {
    await using second = await TestVm.restore(image, options, first);
    end = await second.run();
    output = second.output;
  }
  const file = Deno.readFileSync(folder.file("shared"));
  return { stdout: output.stdout, status: statusOf(end), file };
}

for (const args of [[], ["touch"], ["cut"]]) {
  for (const moves of [false, true]) {
    const how = `${args.join("")}${moves ? ", saved in the middle" : ""}`;
    kvmTest(
      `shared_map: the file's pages are the program's, as natively (${how})`,
      async () => {
        const [program] = await guest("shared_map");
        await using folder = new Scratch();
        const expected = await native(program, args, folder.path);
        const before = resources().fds;
        const got = await run(program, args, moves);
        assertEquals(got.stdout.split("\n"), expected.stdout.split("\n"));
        assertEquals(got.status, expected.status);
        assertEquals(got.file, Deno.readFileSync(folder.file("shared")));
        assertEquals(resources().fds, before);
      },
    );
  }
}
