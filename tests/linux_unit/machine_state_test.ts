import { assertEquals, assertThrows } from "@std/assert";
import { checkMachine } from "../../src/linux/machine_state.ts";
import { VmError } from "../../src/vmm/mod.ts";

Deno.test("machine: memory is bounded by who restores, and by this machine", () => {
  const mebibyte = 1024 * 1024;
  const check = (memoryBytes: number, maxMemoryBytes?: number) => {
    const config = { memoryBytes, syscall: "stays-at-cpl3" } as const;
    checkMachine(config, memoryBytes, maxMemoryBytes);
  };
  check(64 * mebibyte);
  check(64 * mebibyte, 64 * mebibyte);
  for (const max of [64 * mebibyte - 1, 0, -1, NaN]) {
    const error = assertThrows(() => check(64 * mebibyte, max), VmError);
    assertEquals([error.code, error.message], [
      "VM_INCOMPATIBLE",
      `Cannot restore a VM with 67108864 bytes of memory: must be <= ${max} here`,
    ]);
  }
  // Where nothing is said, and where more is allowed than there is.
  for (const max of [undefined, Infinity]) {
    const error = assertThrows(() => check(2 ** 50, max), VmError);
    assertEquals(error.code, "VM_INCOMPATIBLE");
  }
});
