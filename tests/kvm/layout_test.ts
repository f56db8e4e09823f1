import { assert, assertEquals } from "@std/assert";
import {
  API_VERSION,
  KVM,
  KVM_CAP,
  KVM_EXIT,
  KVM_MEM,
  KVM_SYNC,
} from "../../src/kvm/constants.ts";
import { ERRNO } from "../../src/kvm/errno.ts";
import {
  CPUID,
  DEBUGREGS,
  DIRTY_LOG,
  ENABLE_CAP,
  EVENTS,
  MP_STATE,
  MSR_LIST,
  MSRS,
  REG,
  REGION,
  REGS,
  RUN,
  SEGMENT,
  SIZE,
  SREGS,
  XCRS,
} from "../../src/kvm/layout.ts";

/** Every table of src/kvm, by the name that layout.c prints it under. */
const TABLES: Record<string, Readonly<Record<string, unknown>>> = {
  API: { KVM_API_VERSION: API_VERSION },
  KVM,
  KVM_CAP,
  KVM_EXIT,
  KVM_MEM,
  KVM_SYNC,
  ERRNO,
  SIZE,
  RUN,
  REG64: Object.fromEntries(REGS.map((name) => [name, REG[name] * 4])),
  SREGS,
  SEGMENT,
  EVENTS,
  DEBUGREGS,
  XCRS,
  REGION,
  DIRTY_LOG,
  MSRS,
  MSR_LIST,
  CPUID,
  ENABLE_CAP,
  MP_STATE,
};

function hasCompiler(): boolean {
  try {
    const { success } = new Deno.Command("gcc", {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).outputSync();
    return success;
  } catch {
    return false;
  }
}

const compiler = hasCompiler();

async function kernelTables(): Promise<Map<string, Map<string, string>>> {
  const folder = await Deno.makeTempDir();
  try {
    const program = `${folder}/layout`;
    const source = new URL("layout.c", import.meta.url).pathname;
    const built = await new Deno.Command("gcc", {
      args: ["-o", program, source],
    }).output();
    assert(built.success, new TextDecoder().decode(built.stderr));
    const ran = await new Deno.Command(program).output();
    assert(ran.success, `layout ended with ${ran.code}`);
    const tables = new Map<string, Map<string, string>>();
    for (const line of new TextDecoder().decode(ran.stdout).split("\n")) {
      const [table, key, ...values] = line.split(" ");
      if (!key) continue;
      if (!tables.has(table)) tables.set(table, new Map());
      tables.get(table)!.set(key, values.join(" "));
    }
    return tables;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: compiler
    ? "layout: every constant, offset and size is the kernel header's"
    : "SKIPPED no gcc: layout: every constant, offset and size is the kernel header's",
  ignore: !compiler,
  async fn(t) {
    const kernel = await kernelTables();
    for (const [name, table] of Object.entries(TABLES)) {
      await t.step(name, () => {
        const ours = Object.fromEntries(
          Object.entries(table).map(([key, value]) => [
            key,
            Array.isArray(value) ? value.join(" ") : String(value),
          ]),
        );
        // Both ways: a key that layout.c does not print is not tested.
        assertEquals(ours, Object.fromEntries(kernel.get(name) ?? []));
      });
    }
    assertEquals([...kernel.keys()].sort(), Object.keys(TABLES).sort());
  },
});
