/**
 * Options of a VM that do not fit are refused, each by an error with a code.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FilesError, Vm, VmError, type VmOptions } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, TestVm } from "../support.ts";

const NUL = "contains a NUL character";
const NONE = "there is no such file or folder";

/** Each wrong option, and how the message ends. */
const WRONG: [options: Omit<VmOptions, "program">, message: string][] = [
  [
    { cwd: "/none/such" },
    `Cannot use /none/such as the program's folder: ${NONE}`,
  ],
  [
    { cwd: "/dev/null" },
    "Cannot use /dev/null as the program's folder: it is not a folder",
  ],
  [{ args: ["a", "a\0b"] }, `argument 2 ${NUL}`],
  [{ environment: { A: "\0" } }, `the environment variable "A" ${NUL}`],
  [{ environment: { "A\0": "" } }, `the environment variable "A\0" ${NUL}`],
  [{ environment: { "": "a" } }, "an environment variable has no name"],
  [
    { environment: { "A=B": "" } },
    'the environment variable "A=B" has a "=" in its name',
  ],
];

for (const [options, message] of WRONG) {
  const name = JSON.stringify(options);
  kvmTest(`Vm.create: ${name} is refused, and says why`, async () => {
    const [program] = await guest("hello");
    const error = await assertRejects(
      () => Vm.create({ program, ...options }),
      VmError,
    );
    assertEquals(error.code, "VM_CONFIG");
    assert(error.message.endsWith(message), error.message);
  });
}

kvmTest("Vm.create: a program whose path has a NUL is refused", async () => {
  const error = await assertRejects(
    () => Vm.create({ program: "/bin/true\0" }),
    VmError,
  );
  assertEquals(error.code, "VM_CONFIG");
});

kvmTest("Vm: a path that cannot be allowed is refused by name", async () => {
  const [program] = await guest("hello");
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  {
    await using test = await TestVm.create({ program });
    await test.vm.save(image);
  }
  for (const path of ["/none/such", ""]) {
    for (const allow of [{ read: ["/", path] }, { write: [path] }]) {
      for (
        const attempt of [
          () => Vm.create({ program, allow }),
          () => Vm.restore(image, { allow }),
        ]
      ) {
        const error = await assertRejects(attempt, FilesError);
        assertEquals(error.code, "FILES_MISSING");
        assertEquals(error.message, `Cannot allow ${path}: ${NONE}`);
      }
    }
  }
});

kvmTest(
  "Vm.create: arguments and environment reach the program as they are",
  async () => {
    const [program] = await guest("environment");
    const environment = { A: "1=2", B: "", "a b": "\u202eé\n" };
    await using test = await TestVm.create({
      program,
      args: Object.keys(environment),
      environment,
    });
    await test.run();
    for (const [name, value] of Object.entries(environment)) {
      assert(
        test.output.stdout.includes(`${name}=${value}\n`),
        test.output.stdout,
      );
    }
  },
);
