/**
 * The command line and images of VMs with devices.
 *
 * @module
 */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { defineDevice, ImageError, ImageFile, MMIO_GPA } from "../../mod.ts";
import counter from "../../plugins/counter.ts";
import { kvmTest, portTest } from "../kvm_gate.ts";
import { guest, resources, Scratch, TestVm, vm } from "../support.ts";

const PLUGIN = new URL("../../plugins/counter.ts", import.meta.url).pathname;

portTest("--device: a counter is saved, and comes back by itself", async () => {
  await using scratch = new Scratch();
  const [program] = await guest("device");
  const device = `--device=${PLUGIN}:step=5,id=c1`;
  const saved = await vm(
    ["run", device, program, "in", "0x500", "save", "in", "0x500"],
    scratch.path,
  );
  assertEquals(saved.stdout, "in: 5\n");
  const restored = await vm(["restore", "vm.img"], scratch.path);
  assertEquals(restored, {
    stdout: "save: 1\nin: 10\n",
    stderr: "",
    status: 0,
  });
  // With another choice of the user's.
  const other = `--device=${PLUGIN}:step=1`;
  const again = await vm(["restore", other, "vm.img"], scratch.path);
  assertEquals(again.stdout, "save: 1\nin: 6\n");
});

kvmTest(
  "--device: two of one name are refused, naming both, and nothing is made",
  async () => {
    await using scratch = new Scratch();
    const [program] = await guest("device");
    const mod = new URL("../../mod.ts", import.meta.url).href;
    for (const kind of ["first", "second"]) {
      await Deno.writeTextFile(
        scratch.file(`${kind}.ts`),
        `import { defineDevice } from "${mod}";
      export default defineDevice({
        kind: "${kind}",
        version: 1,
        create() {
          Deno.writeTextFileSync("${scratch.file("made")}", "${kind}");
          return { dump: () => ({}) };
        },
      });`,
      );
    }
    const args = [
      "--device=./first.ts:id=same",
      "--device=./second.ts:id=same",
    ];
    assertEquals(await vm(["run", ...args, program], scratch.path), {
      stdout: "",
      stderr:
        'vm: Cannot name a device of kind second "same": one of kind first has this name\n',
      status: 2,
    });
    const names = [...Deno.readDirSync(scratch.path)].map(({ name }) => name);
    assertEquals(names.sort(), ["first.ts", "second.ts"]);
  },
);

kvmTest(
  "--device: one that an image may not bring back has to be named",
  async () => {
    await using scratch = new Scratch();
    const [program] = await guest("device");
    const mod = new URL("../../mod.ts", import.meta.url).href;
    const own = scratch.file("own.ts");
    const source = (kind: string, version: number) => `
    import { defineDevice } from "${mod}";
    export default defineDevice({
      kind: "${kind}",
      version: ${version},
      upgrades: { 1: (old) => ({ ...old, more: 1 }) },
      config: (values) => ({ say: values.text("say", "hi") }),
      create({ config }, saved) {
        let opens = saved?.opens ?? 0;
        return {
          files: {
            "/dev/own": () => {
              opens++;
              return {
                read: () => new TextEncoder().encode(
                  config.say + opens + (saved?.more ?? ""),
                ),
              };
            },
          },
          dump: () => ({ opens }),
        };
      },
    });`;
    await Deno.writeTextFile(own, source("own", 1));
    const args = ["open", "/dev/own", "read", "9", "close", "save"];
    const more = ["open", "/dev/own", "read", "9"];
    const saved = await vm(
      ["run", `--device=${own}:say=a b`, program, ...args, ...more],
      scratch.path,
    );
    assertEquals(saved.stdout, "open: 3\nread: 4 a b1\nclose: 0\n");

    const refused = await vm(["restore", "vm.img"], scratch.path);
    assertEquals(refused.status, 3);
    assertEquals(refused.stdout, "");
    assertEquals(
      refused.stderr,
      `vm: Cannot restore device "own0" of kind own from file://${own}: it must be named\n` +
        `hint: name it, or another of its kind, if you trust it: --device=${own}:id=own0, or in a script "devices"\n`,
    );
    const restored = await vm(
      ["restore", `--device=${own}:say=yes`, "vm.img"],
      scratch.path,
    );
    assertEquals(restored.stdout, "save: 1\nopen: 3\nread: 4 yes2\n");

    // Later versions, and what is no replacement.
    const later = scratch.file("later.ts");
    await Deno.writeTextFile(later, source("own", 2));
    const upgraded = await vm(
      ["restore", `--device=${later}`, "vm.img"],
      scratch.path,
    );
    assertEquals(upgraded.stdout, "save: 1\nopen: 3\nread: 4 hi21\n");
    const other = scratch.file("other.ts");
    await Deno.writeTextFile(other, source("other", 1));
    const wrong = await vm(
      ["restore", `--device=${other}`, "vm.img"],
      scratch.path,
    );
    assertEquals(wrong.status, 3);
    assertStringIncludes(
      wrong.stderr,
      'Cannot restore with a device of kind other: the image has "own0" of kind own',
    );
    const missing = await vm(
      ["run", "--device=./no.ts", program],
      scratch.path,
    );
    assertEquals(missing.status, 1);
    assertStringIncludes(
      missing.stderr,
      "vm: Cannot load device ./no.ts: there is no such file\n",
    );
    const unknown = await vm(["run", `--device=${own}:sya=1`, program], "/tmp");
    assertEquals(unknown.status, 2);
    assertStringIncludes(
      unknown.stderr,
      'there is no "sya"; known are id, say',
    );
  },
);

kvmTest("devices: a VM without any saves no section of them", async () => {
  await using scratch = new Scratch();
  const [program] = await guest("device");
  for (const devices of [[], [counter()]]) {
    const image = scratch.file("vm.img");
    await using test = await TestVm.create({ program, devices });
    await test.vm.save(image);
    using file = await ImageFile.open(image);
    const kinds = file.sections.map(({ kind }) => kind);
    assertEquals(
      kinds.filter((kind) => ["devices", "counter"].includes(kind)),
      devices.length > 0 ? ["devices", "counter"] : [],
    );
  }
});

kvmTest("devices: a restore that is refused leaves none of them", async () => {
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  const [program] = await guest("device");
  const log: string[] = [];
  let isBroken = false;
  const fragile = defineDevice({
    kind: "fragile",
    version: 1,
    create({ id }, saved?: object) {
      if (isBroken && saved && id === "second") throw new Error("no more");
      log.push(`made ${id}`);
      return {
        mmio: id === "second" ? [{ gpa: MMIO_GPA, lengthBytes: 8 }] : [],
        dump: () => ({}),
        dispose: () => void log.push(`gone ${id}`),
      };
    },
  });
  const devices = [fragile({}, { id: "first" }), fragile({}, { id: "second" })];
  {
    await using test = await TestVm.create({ program, devices });
    await test.vm.save(image);
  }
  isBroken = true;
  log.length = 0;
  const before = resources();
  const error = await assertRejects(
    () => TestVm.restore(image, { devices }),
    ImageError,
  );
  assertEquals(error.code, "IMAGE_STATE");
  assertEquals(
    error.message,
    'Cannot load "second" of kind fragile, version 1: no more',
  );
  assertEquals(log, ["made first", "gone first"]);
  assertEquals(resources().fds, before.fds);
});
