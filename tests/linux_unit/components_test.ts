import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  Clock,
  clockState,
  FdTable,
  FilesError,
  FilesSaver,
  filesState,
  HostPaths,
  pendingState,
  restoreFiles,
} from "../../src/devices/mod.ts";
import { AddressSpace } from "../../src/linux/address_space.ts";
import { addressSpaceState } from "../../src/linux/address_space_state.ts";
import { Process, processState } from "../../src/linux/process.ts";
import {
  decodePayload,
  decodeState,
  encodePayload,
  ImageError,
  type StateSchema,
  type StateSection,
  toSection,
} from "../../src/state/mod.ts";
import {
  BLOCK_BYTES,
  BlockAllocator,
  Memory,
  MemorySaver,
  memoryState,
  vcpuState,
  VmError,
  writeBootPages,
} from "../../src/vmm/mod.ts";
import { holds } from "../vmm/property.ts";

/** A component: how its state is read, one that is good, and who takes it. */
interface Kind {
  readonly schema: StateSchema<unknown>;
  /** A state as it would be saved. */
  readonly good: unknown;
  /** Makes the component from a state that fits the schema. */
  build(state: unknown): void;
}

const MEMORY_BYTES = 8 * BLOCK_BYTES;

async function valueOf(component: { dump(): unknown }): Promise<unknown> {
  const dump = await component.dump() as
    | { answer: "payload"; value: unknown }
    | { answer: "many"; parts: Iterable<{ value: unknown }> };
  return dump.answer === "payload" ? dump.value : [...dump.parts][0].value;
}

async function kinds(memory: Memory): Promise<Kind[]> {
  const space = new AddressSpace(memory);
  space.map(0x4000_0000, 5 * BLOCK_BYTES / 2, 3, "anonymous");
  space.map(0x5000_0000, 4096, 1, "file", true);
  const blocks = new BlockAllocator(MEMORY_BYTES);
  blocks.take(0);
  const process = new Process(
    Process.initial("/bin/x", ["x", "y"], "/tmp", 0o22),
  );
  process.limits.set(7, [5n, 10n]);
  process.signalActions.set(2, {
    signal: 2,
    handler: 0x7fff_0000_0000n,
    flags: 4n,
    restorer: 0xffff_ffff_ffff_ffffn,
    mask: 0n,
  });
  const call = {
    operation: "poll",
    number: 7,
    arguments: [1n, 2n, 3n, 4n, 5n, 1n << 63n],
    doneBytes: 1,
    deadlineNs: -5,
    waitsFor: [{ descriptor: 3, events: 1 }],
  };
  const word = (n: number) => BigInt(n) << 40n;
  const segment = {
    base: 1n,
    limit: 2,
    selector: 3,
    type: 4,
    present: 1,
    dpl: 3,
    db: 0,
    s: 1,
    l: 1,
    g: 1,
    avl: 0,
    unusable: 0,
  };
  const sregs = Object.fromEntries([
    ...["cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt"].map((
      s,
    ) => [s, segment]),
    ...["gdt", "idt"].map((t) => [t, { base: 1n, limit: 7 }]),
    ...["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base"]
      .map((name, i) => [name, word(i)]),
    ["interrupt_bitmap", [0n, 1n, 2n, 3n]],
  ]);
  const vcpu = {
    regs: Object.fromEntries(
      ("rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags")
        .split(" ").map((name, i) => [name, word(i)]),
    ),
    sregs,
    msrs: [{ index: 0x10, value: 5n }],
    xsave: new Uint8Array(4096),
    xcrs: [{ xcr: 0, value: 7n }],
    debugRegs: { db: [0n, 0n, 0n, 0n], dr6: 0n, dr7: 0n, flags: 0n },
    events: Object.fromEntries(
      ("exception_injected exception_nr exception_has_error_code " +
        "exception_pending exception_error_code interrupt_injected " +
        "interrupt_nr interrupt_soft interrupt_shadow nmi_injected nmi_pending " +
        "nmi_masked sipi_vector flags smi_smm smi_pending smi_smm_inside_nmi " +
        "smi_latched_init triple_fault_pending exception_has_payload")
        .split(" ").map((name) => [name, 0]).concat([["exception_payload", 0]]),
    ),
    mpState: 0,
    tscKhz: 2_596_000,
    cpuid: new Uint8Array(8),
  };
  return [
    { schema: vcpuState, good: vcpu, build: () => {} },
    {
      schema: memoryState,
      good: await valueOf(new MemorySaver(memory, blocks)),
      build: () => {},
    },
    {
      schema: addressSpaceState,
      good: await valueOf(space),
      build: (state) => new AddressSpace(memory, state as never),
    },
    {
      schema: processState,
      good: await valueOf(process),
      build: (state) => new Process(state as never).dump(),
    },
    {
      schema: clockState,
      good: await valueOf(new Clock()),
      build: (state) => new Clock(state as never).dump(),
    },
    {
      schema: pendingState,
      good: { calls: [{ task: 0, call }] },
      build: () => {},
    },
    {
      schema: filesState,
      good: await valueOf(new FilesSaver(new FdTable())),
      build: (state) => {
        using paths = new HostPaths({ read: [], write: [] });
        const part = { state: state as never, data: () => new Uint8Array() };
        restoreFiles([part], { paths, policy: "check" }).closeAll();
      },
    },
  ];
}

function section(
  schema: StateSchema<unknown>,
  payload: Uint8Array,
): StateSection {
  const { kind, version } = schema;
  return { kind, id: kind, version, part: 0, payload };
}

/** Refused with a type, or whatever was built is whole. */
function tryLoad({ schema, build }: Kind, payload: Uint8Array): boolean {
  try {
    build(decodeState(schema, section(schema, payload)));
    return true;
  } catch (error) {
    assert(
      error instanceof ImageError || error instanceof VmError ||
        error instanceof FilesError,
      `${schema.kind}: ${error instanceof Error ? error.stack : error}`,
    );
    return false;
  }
}

/** A value that a payload may hold. */
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.integer(),
    fc.maxSafeInteger(),
    fc.bigInt(-(1n << 63n), (1n << 64n) - 1n),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.string({ maxLength: 10 }),
    fc.uint8Array({ maxLength: 10 }),
    fc.array(tie("any"), { maxLength: 5 }),
    fc.dictionary(fc.string({ maxLength: 8 }), tie("any"), { maxKeys: 5 }),
  ),
})).any;

/** Puts another value in place of one that `path` leads to, somehow. */
function mutate(state: unknown, path: readonly number[], to: unknown): unknown {
  const isNode = typeof state === "object" && state !== null &&
    !(state instanceof Uint8Array);
  if (path.length === 0 || !isNode) return to;
  const keys = Object.keys(state);
  if (keys.length === 0) return to;
  const key = keys[path[0] % keys.length];
  const inner = (state as Record<string, unknown>)[key];
  const changed = mutate(inner, path.slice(1), to);
  if (Array.isArray(state)) {
    return state.map((item, i) => String(i) === key ? changed : item);
  }
  return { ...state, [key]: changed };
}

Deno.test("components: every state that is saved is loaded as it was", async () => {
  using memory = new Memory(MEMORY_BYTES);
  writeBootPages(memory);
  for (const kind of await kinds(memory)) {
    const payload = encodePayload(kind.good);
    const state = decodeState(kind.schema, section(kind.schema, payload));
    assertEquals(encodePayload(state), payload, kind.schema.kind);
    assert(tryLoad(kind, payload), kind.schema.kind);
  }
});

Deno.test("components: a newer version and a wrong kind are refused by name", async () => {
  using memory = new Memory(MEMORY_BYTES);
  writeBootPages(memory);
  for (const { schema, good } of await kinds(memory)) {
    const { kind, version } = schema;
    const newer = toSection({ kind, id: "it", version: version + 1 }, good);
    let error = assertThrows(() => decodeState(schema, newer), ImageError);
    assertEquals(error.code, "IMAGE_VERSION");
    assertEquals(
      error.message,
      `Cannot load "it": version of ${kind} is ${
        version + 1
      }, must be <= ${version}`,
    );
    const older = toSection({ kind, id: "it", version: 0 }, good);
    error = assertThrows(() => decodeState(schema, older), ImageError);
    assertEquals(error.code, "IMAGE_VERSION");
    const other = toSection({ kind: "other", id: "it", version }, good);
    error = assertThrows(() => decodeState(schema, other), ImageError);
    assertEquals(error.code, "IMAGE_STATE");
    assertEquals(
      error.message,
      `Cannot load "it": its kind is other, must be ${kind}`,
    );
  }
});

Deno.test("components: random values and random bytes are refused with a type", async () => {
  using memory = new Memory(MEMORY_BYTES);
  writeBootPages(memory);
  for (const kind of await kinds(memory)) {
    const { schema } = kind;
    holds(`components: ${schema.kind}`, 200, value, (rubbish) => {
      assert(!tryLoad(kind, encodePayload(rubbish)));
    });
    holds(
      `components: bytes, ${schema.kind}`,
      200,
      fc.uint8Array(),
      (bytes) => {
        assert(!tryLoad(kind, bytes));
      },
    );
  }
});

Deno.test("components: a state with one other value in it is refused with a type, or taken whole", async () => {
  using memory = new Memory(MEMORY_BYTES);
  writeBootPages(memory);
  const number = fc.constantFrom<unknown>(
    0,
    -1,
    0.5,
    4096,
    2 ** 31,
    2 ** 32,
    2 ** 47,
    Number.MAX_SAFE_INTEGER,
    1n << 63n,
    (1n << 64n) - 1n,
    NaN,
    Infinity,
  );
  const change = fc.tuple(
    fc.array(fc.nat(50), { minLength: 1, maxLength: 6 }),
    fc.oneof(number, value),
  );
  for (const kind of await kinds(memory)) {
    let refused = 0;
    const { schema, good } = kind;
    holds(`components: change, ${schema.kind}`, 300, change, ([path, to]) => {
      let payload: Uint8Array;
      try {
        payload = encodePayload(mutate(good, path, to));
      } catch {
        return; // no payload can hold it
      }
      if (!tryLoad(kind, payload)) refused++;
    });
    assert(refused > 0, schema.kind);
  }
});

Deno.test("components: a field left out is refused, unless there is a value for it", async () => {
  using memory = new Memory(MEMORY_BYTES);
  writeBootPages(memory);
  for (const kind of await kinds(memory)) {
    const { schema, good } = kind;
    const fields = decodePayload(encodePayload(good)) as Record<
      string,
      unknown
    >;
    let refused = 0;
    for (const name of Object.keys(fields)) {
      const { [name]: _, ...rest } = fields;
      const payload = encodePayload(rest);
      if (!tryLoad(kind, payload)) {
        refused++;
        continue;
      }
      const state = decodeState(schema, section(schema, payload));
      assert(name in (state as object), `${schema.kind}.${name}`);
    }
    assert(refused > 0, schema.kind);
  }
});
