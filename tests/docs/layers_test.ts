import { assert, assertEquals } from "@std/assert";
import { importsOf, violations } from "./layers.ts";
import { readText, repositoryFiles } from "./repository.ts";

const SOURCES = repositoryFiles().filter((path) => path.endsWith(".ts"));

Deno.test("layers: no file imports upward, and each layer through its mod.ts", () => {
  const wrong = SOURCES.flatMap((path) => violations(path, readText(path)));
  assertEquals(wrong, []);
});

Deno.test("layers: every layer was looked at", () => {
  for (const layer of ["kvm", "state", "vmm", "devices", "linux", "cli"]) {
    const of = SOURCES.filter((path) => path.startsWith(`src/${layer}/`));
    assert(of.some((path) => importsOf(readText(path)).length > 0), layer);
  }
});

Deno.test("layers: an import that is not allowed is found", () => {
  for (
    const [path, specifier] of [
      ["src/kvm/vm.ts", "../state/mod.ts"],
      ["src/state/header.ts", "../kvm/mod.ts"],
      ["src/vmm/bus.ts", "../devices/mod.ts"],
      ["src/devices/clock.ts", "../linux/mod.ts"],
      ["src/linux/syscalls/io.ts", "../../cli/main.ts"],
      ["src/linux/vm.ts", "../../mod.ts"],
      ["src/linux/vm.ts", "../vmm/memory.ts"],
      ["src/cli/run.ts", "../linux/mod.ts"],
      ["scripts/demo.ts", "../src/linux/mod.ts"],
      ["plugins/counter.ts", "../src/vmm/mod.ts"],
      ["mod.ts", "./src/cli/main.ts"],
    ]
  ) {
    for (
      const source of [
        `import { x } from "${specifier}";`,
        `import {\n  x,\n} from "${specifier}";`,
        `export * from "${specifier}";`,
        `import "${specifier}";`,
        `const x = await import("${specifier}");`,
      ]
    ) {
      assertEquals(violations(path, source).length, 1, `${path}: ${source}`);
    }
  }
});

Deno.test("layers: what is allowed is not found, nor what a comment shows", () => {
  for (
    const [path, source] of [
      ["src/vmm/bus.ts", `import { x } from "../kvm/mod.ts";`],
      ["src/linux/syscalls/io.ts", `import { x } from "../../vmm/mod.ts";`],
      ["src/cli/run.ts", `import { x } from "../../mod.ts";`],
      ["src/kvm/vm.ts", ` * import { x } from "../state/mod.ts";`],
      ["tests/vm/lab_test.ts", `import { x } from "../../src/vmm/bus.ts";`],
    ]
  ) {
    assertEquals(violations(path, source), []);
  }
});
