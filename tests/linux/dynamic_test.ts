/**
 * Programs that are linked dynamically, and scripts: what they print is what
 * they print natively.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { native, Scratch, TestVm } from "../support.ts";
import { throughSaves } from "../vm/moving.ts";
import { statusOf } from "./compare.ts";

const HEADERS = new URL("../../guest/", import.meta.url).pathname;

/** A library with data, a constructor and thread-local storage of its own. */
const LIBRARY = `
#include <stdio.h>
static _Thread_local int calls = 5;
int greetings;
__attribute__((constructor)) static void begin(void) { greetings = 100; }
double greet(const char *whom, double half)
{
	printf("%d: hello %s, %g\\n", calls++, whom, half);
	greetings++;
	return half * 2;
}
`;

/** A program that needs it, and another that opens it by path. */
const LINKED = `
#include <stdio.h>
#include <math.h>
#include "scratchvm.h"
extern int greetings;
double greet(const char *, double);
int main(int argc, char **argv)
{
	printf("%d %s %d\\n", argc, argv[1], greetings);
	printf("%g\\n", greet("one", pow(2, 0.5)));
	fflush(stdout);
	SAVE();
	/* Looked up only now, in what was loaded before. */
	printf("%g %g\\n", greet("two", 1.25), cbrt(27));
	printf("%d\\n", greetings);
	return 7;
}
`;
const OPENING = `
#include <dlfcn.h>
#include <stdio.h>
#include "scratchvm.h"
int main(int argc, char **argv)
{
	if (argc < 2) return 1;
	void *library = dlopen(argv[1], RTLD_LAZY);
	if (!library) return puts(dlerror()), 1;
	SAVE();
	double (*greet)(const char *, double) = dlsym(library, "greet");
	printf("%g\\n", greet("opened", 0.5));
	printf("%d\\n", *(int *)dlsym(library, "greetings"));
	printf("%d\\n", dlclose(library));
	puts(dlopen("not-there.so", RTLD_NOW) ? "?" : dlerror());
	return 0;
}
`;

async function compile(text: string, output: string, ...flags: string[]) {
  Deno.writeTextFileSync(`${output}.c`, text);
  const args = ["-O1", `-I${HEADERS}`, "-o", output, `${output}.c`, ...flags];
  const { success, stderr } = await new Deno.Command("gcc", { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** A folder with the library and the two programs. */
async function build(): Promise<Scratch> {
  const scratch = new Scratch();
  const library = scratch.file("libgreet.so");
  await compile(LIBRARY, library, "-shared", "-fPIC");
  const link = [`-L${scratch.path}`, "-lgreet", "-lm"];
  const rpath = `-Wl,-rpath,$ORIGIN`;
  await compile(LINKED, scratch.file("pie"), "-pie", "-fPIE", ...link, rpath);
  await compile(LINKED, scratch.file("fixed"), "-no-pie", ...link, rpath);
  await compile(LINKED, scratch.file("bare"), ...link);
  await compile(OPENING, scratch.file("opening"), "-ldl");
  return scratch;
}

/** Runs a program in a VM that may read libraries, moving it at each SAVE(). */
function run(
  program: string,
  args: string[],
  cwd: string,
  environment: Record<string, string> = {},
) {
  const allow = { read: ["@system", cwd], write: [cwd] };
  return throughSaves({ program, args, cwd, environment, allow });
}

for (const name of ["pie", "fixed"]) {
  kvmTest(
    `dynamic: a program with a library of its own (${name}) does what it does natively, saved in the middle`,
    async () => {
      await using scratch = await build();
      const expected = await native(scratch.file(name), ["x"], scratch.path);
      const { moves, ...got } = await run(
        scratch.file(name),
        ["x"],
        scratch.path,
      );
      assertEquals(got, expected);
      assertEquals(moves, 1);
    },
  );
}

kvmTest("dynamic: LD_LIBRARY_PATH names where the libraries are", async () => {
  await using scratch = await build();
  const expected = await native(scratch.file("pie"), ["x"], scratch.path);
  const environment = { LD_LIBRARY_PATH: scratch.path };
  const program = scratch.file("bare");
  const got = await run(program, ["x"], scratch.path, environment);
  assertEquals(got.stdout, expected.stdout);
  const without = await run(program, ["x"], scratch.path);
  assertEquals(without.status, 127);
});

kvmTest(
  "dynamic: dlopen loads a library, and what is missing is said as natively",
  async () => {
    await using scratch = await build();
    const args = [scratch.file("libgreet.so")];
    const program = scratch.file("opening");
    const expected = await native(program, args, scratch.path);
    const { moves, ...got } = await run(program, args, scratch.path);
    assertEquals(got, expected);
    assertEquals(moves, 1);
  },
);

kvmTest(
  "dynamic: a program that may not read its libraries is told why",
  async () => {
    await using scratch = await build();
    const cwd = scratch.path;
    const allow = { read: [cwd], write: [] };
    const program = scratch.file("pie");
    await using test = await TestVm.create({ program, cwd, allow });
    const end = await test.run();
    assertEquals(statusOf(end), 127);
    assert(
      test.warnings.some((w) => w.includes("@system")),
      `${test.warnings}`,
    );
  },
);

kvmTest(
  "dynamic: a script is run by what its first line names, and may be read",
  async () => {
    await using scratch = await build();
    await using cwd = new Scratch();
    const script = scratch.file("script");
    Deno.writeTextFileSync(script, "#!/bin/cat -n\none\ntwo\n", {
      mode: 0o755,
    });
    const expected = await native(script, [], cwd.path);
    await using test = await TestVm.create({
      program: script,
      cwd: cwd.path,
      allow: { read: ["@system", cwd.path], write: [] },
    });
    const end = await test.run();
    assertEquals({ ...test.output, status: statusOf(end) }, expected);
  },
);

kvmTest(
  "dynamic: in a root of its own a program finds its libraries there, also after a thaw",
  async () => {
    await using scratch = await build();
    const root = scratch.file("root");
    const { stdout } = await new Deno.Command("ldd", {
      args: [scratch.file("pie")],
    }).output();
    const libraries = new TextDecoder().decode(stdout).matchAll(
      /(\/\S+) \(0x/g,
    );
    for (const [, path] of libraries) {
      const place = path.startsWith(scratch.path) ? "/lib/libgreet.so" : path;
      const to = `${root}${place}`;
      Deno.mkdirSync(to.slice(0, to.lastIndexOf("/")), { recursive: true });
      Deno.copyFileSync(path, to);
    }
    Deno.mkdirSync(`${root}/bin`, { recursive: true });
    Deno.copyFileSync(scratch.file("bare"), `${root}/bin/greeter`);
    const expected = await native(scratch.file("pie"), ["x"], scratch.path);
    const options = {
      root,
      onSave: async (vm: { save: TestVm["vm"]["save"] }) => {
        await vm.save(scratch.file("vm.img"));
        return "stop" as const;
      },
    };
    await using first = await TestVm.create({
      program: "greeter",
      args: ["x"],
      environment: { PATH: "/bin", LD_LIBRARY_PATH: "/lib" },
      ...options,
    });
    assertEquals(await first.run(), { kind: "saved" });
    await using second = await TestVm.restore(
      scratch.file("vm.img"),
      options,
      first,
    );
    const end = await second.run();
    assertEquals(second.output.stdout, expected.stdout);
    assertEquals(statusOf(end), 7);
  },
);
