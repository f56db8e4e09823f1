import { assertEquals, assertThrows } from "@std/assert";
import { pathOf, RootFolder } from "../../src/devices/mod.ts";
import { ProgramError } from "../../src/linux/errors.ts";
import { findProgram, openExecutable } from "../../src/linux/find_program.ts";
import { resources, Scratch } from "../support.ts";

/** Makes a file that may be executed, or not. */
function put(path: string, content: string, mode = 0o755): void {
  Deno.writeTextFileSync(path, content);
  Deno.chmodSync(path, mode);
}

Deno.test("find_program: a name is the first on the path that may be executed", async () => {
  await using scratch = new Scratch();
  for (const folder of ["one", "two", "three"]) {
    Deno.mkdirSync(scratch.file(folder));
  }
  put(scratch.file("one/tool"), "", 0o644);
  Deno.mkdirSync(scratch.file("two/tool"));
  put(scratch.file("three/tool"), "");
  put(scratch.file("here"), "");
  using root = new RootFolder();
  const path = ["one", "two", "three"].map((f) => scratch.file(f)).join(":");
  const search = { root, cwd: pathOf(scratch.path), path };
  assertEquals(findProgram("tool", search), scratch.file("three/tool"));
  assertEquals(findProgram("here", search), "here");
  assertEquals(findProgram("./tool", search), "./tool");
  assertEquals(findProgram("here", { ...search, path: ":x" }), "./here");
});

Deno.test("find_program: in a root of its own, nothing is found outside of it", async () => {
  await using scratch = new Scratch();
  Deno.mkdirSync(scratch.file("root/bin"), { recursive: true });
  put(scratch.file("root/bin/in"), "");
  put(scratch.file("out"), "");
  Deno.symlinkSync("../../out", scratch.file("root/bin/relative"));
  Deno.symlinkSync(scratch.file("out"), scratch.file("root/bin/absolute"));
  Deno.symlinkSync("/bin/in", scratch.file("root/bin/inside"));
  using root = new RootFolder(scratch.file("root"));
  const search = { root, cwd: "/", path: "/bin:/../.." };
  assertEquals(findProgram("in", search), "/bin/in");
  assertEquals(findProgram("inside", search), "/bin/inside");
  assertEquals(root.realPath("/bin/inside"), "/bin/in");
  for (const name of ["out", "relative", "absolute"]) {
    assertEquals(findProgram(name, search), name);
  }
});

Deno.test("find_program: a script's arguments are those that execve makes", async () => {
  await using scratch = new Scratch();
  const first = scratch.file("first");
  const second = scratch.file("second");
  put(first, `#!${second} -a b\n`);
  put(second, "#!/bin/cat -n \n");
  using root = new RootFolder();
  const before = resources().fds;
  const found = openExecutable(first, ["first", "x"], { root, cwd: "/" });
  found.file[Symbol.dispose]();
  assertEquals(found.argv, ["/bin/cat", "-n", second, "-a b", first, "x"]);
  assertEquals(found.scripts, [first, second]);
  assertEquals(found.file.path, "/bin/cat");
  assertEquals(resources().fds, before);
});

Deno.test("find_program: five scripts may lead to each other, and not six", async () => {
  await using scratch = new Scratch();
  let interpreter = "/bin/cat";
  for (let n = 1; n <= 6; n++) {
    put(scratch.file(`${n}`), `#!${interpreter}\n`);
    interpreter = scratch.file(`${n}`);
  }
  using root = new RootFolder();
  const open = (n: number) => {
    const path = scratch.file(`${n}`);
    const found = openExecutable(path, [path], { root, cwd: "/" });
    found.file[Symbol.dispose]();
    return found;
  };
  assertEquals(open(5).file.path, "/bin/cat");
  const before = resources().fds;
  const error = assertThrows(() => open(6), ProgramError);
  assertEquals(error.code, "PROGRAM_INTERPRETER");
  assertEquals(resources().fds, before);
});
