/**
 * Devices of a VM: names, configuration, conflicts, and finding them again.
 *
 * @module
 */

import {
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  ConfigValues,
  defineDevice,
  type DeviceInstance,
  ImageError,
  loadDevice,
  MMIO_GPA,
  VmError,
} from "../../mod.ts";
import counter from "../../plugins/counter.ts";
import { parseNamedValues, RESERVED_KINDS } from "../../src/devices/mod.ts";
import { Devices, nameDevices } from "../../src/linux/devices.ts";
import {
  type DeviceRecord,
  devicesState,
} from "../../src/linux/devices_state.ts";
import { misfitDevices } from "../../src/linux/device_misfits.ts";
import { findDevices } from "../../src/linux/restore_devices.ts";
import { toSection, writeImage } from "../../src/state/mod.ts";
import { Scratch } from "../support.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** A device with these claims. */
function claiming(
  kind: string,
  claims: Omit<DeviceInstance, "dump">,
  log: string[] = [],
) {
  return defineDevice({
    kind,
    version: 1,
    create({ id }) {
      log.push(`made ${id}`);
      return {
        ...claims,
        dump: () => ({}),
        dispose: () => void log.push(`gone ${id}`),
      };
    },
  })();
}

Deno.test("devices: two that claim the same are refused, naming both", async () => {
  const conflicts: [Omit<DeviceInstance, "dump">, string][] = [
    [
      { ports: [{ first: 0x500, count: 2 }] },
      'Cannot attach "b0": 0x500+0x2 overlaps a range of "a0"',
    ],
    [
      { mmio: [{ gpa: MMIO_GPA, lengthBytes: 16 }] },
      'Cannot attach "b0": 0x4000000000+0x10 overlaps a range of "a0"',
    ],
    [
      { files: { "/dev/x": () => ({}) } },
      'Cannot attach "b0": /dev/x is a file of "a0"',
    ],
  ];
  for (const [claims, message] of conflicts) {
    const log: string[] = [];
    const specs = [claiming("a", claims, log), claiming("b", claims, log)];
    const error = assertThrows(
      () => Devices.make(nameDevices(specs)),
      VmError,
    );
    assertEquals([error.code, error.message], ["VM_DEVICE", message]);
    await Promise.resolve().then(() => {});
    await new Promise((resolve) => setTimeout(resolve));
    assertEquals(log, ["made a0", "made b0", "gone b0", "gone a0"]);
  }
});

Deno.test("devices: the VM's own files, and paths outside of /dev, are nobody's", () => {
  for (
    const [path, why] of [
      ["/dev/null", "/dev/null is a file of the VM itself"],
      ["/etc/passwd", "its file /etc/passwd must be /dev/ and a name"],
      ["/dev/", "its file /dev/ must be /dev/ and a name"],
    ]
  ) {
    const spec = claiming("a", { files: { [path]: () => ({}) } });
    const error = assertThrows(
      () => Devices.make(nameDevices([spec])),
      VmError,
    );
    assertEquals(error.message, `Cannot attach "a0": ${why}`);
  }
});

Deno.test("devices: claims that are none are refused by name", () => {
  for (const claims of [{ ports: 5 }, { mmio: [null] }]) {
    assertThrows(
      () => Devices.make(nameDevices([claiming("a", claims as never)])),
      VmError,
      'Cannot attach "a0": its ports or mmio are no claims',
    );
  }
});

Deno.test("devices: each has a name, its own or its kind and a number", () => {
  const specs = [
    counter(),
    counter({}, { id: "counter1" }),
    counter(),
    counter({}, { id: "c" }),
  ];
  const names = nameDevices(specs).map(({ id }) => id);
  assertEquals(names, ["counter0", "counter1", "counter2", "c"]);
  const twice = [counter({}, { id: "c" }), claiming("a", {})];
  const error = assertThrows(
    () => nameDevices([...twice, { ...twice[1], id: "c" }]),
    VmError,
  );
  assertEquals(
    error.message,
    'Cannot name a device of kind a "c": one of kind counter has this name',
  );
  for (const id of ["", "a b", "é", "x".repeat(49), "a/b"]) {
    assertThrows(
      () => nameDevices([counter({}, { id })]),
      VmError,
      "Cannot name",
    );
  }
});

Deno.test("devices: a configuration is checked, and names the keys there are", () => {
  const wrong: [Record<string, string | number>, string][] = [
    [{ stpe: 2 }, 'there is no "stpe"; known are id, port, step'],
    [{ step: "x" }, '"step" is x, must be a whole number from 0 to 4294967295'],
    [{ step: -1 }, '"step" is -1, must be a whole number from 0 to 4294967295'],
    [{ step: "" }, '"step" is , must be a whole number from 0 to 4294967295'],
  ];
  for (const [config, why] of wrong) {
    const error = assertThrows(
      () => Devices.make(nameDevices([counter(config)])),
      VmError,
    );
    assertEquals(
      [error.code, error.message],
      ["VM_CONFIG", `Cannot configure device "counter0": ${why}`],
    );
  }
  const values = new ConfigValues("x", { a: "", b: "0", c: "0x10" });
  assertEquals([values.flag("a"), values.flag("b"), values.flag("z")], [
    true,
    false,
    false,
  ]);
  assertEquals(values.number("c"), 16);
  assertThrows(() => values.flag("c"), VmError, "must be true or false");
  assertThrows(() => values.text("missing"), VmError, '"missing" is missing');
});

Deno.test("devices: whatever a configuration throws names the device", () => {
  const cause = new TypeError("no URL");
  const spec = defineDevice({
    kind: "bad",
    version: 1,
    config() {
      throw cause;
    },
    create: () => ({ dump: () => ({}) }),
  })();
  const error = assertThrows(() => Devices.make(nameDevices([spec])), VmError);
  assertEquals(
    [error.code, error.message],
    ["VM_CONFIG", 'Cannot configure device "bad0": no URL'],
  );
  assertStrictEquals(error.cause, cause);
});

Deno.test("devices: a path and values are taken apart", () => {
  for (
    const [text, name, values] of [
      ["./a.ts", "./a.ts", {}],
      ["./a.ts:b=1", "./a.ts", { b: "1" }],
      ["./a.ts:b=1,2,c=x=y,d=", "./a.ts", { b: "1,2", c: "x=y", d: "" }],
      ["file:///a:b.ts:c=http://x:1/", "file:///a:b.ts", { c: "http://x:1/" }],
    ] as const
  ) {
    assertEquals(parseNamedValues(text), { name, values });
  }
  assertThrows(() => parseNamedValues("a:b=1,b=2"), VmError, "b is twice");
});

Deno.test("devices: a definition that does not fit an image is refused", () => {
  const create = () => ({ dump: () => ({}) });
  for (const kind of ["", "A", "x".repeat(25), "a b", ...RESERVED_KINDS]) {
    assertThrows(() => defineDevice({ kind, version: 1, create }), VmError);
  }
  for (const version of [0, 1.5, NaN, 2 ** 32]) {
    assertThrows(() => defineDevice({ kind: "a", version, create }), VmError);
  }
});

Deno.test("devices: one that cannot be made says which and why", () => {
  const cause = new Error("no luck");
  const spec = defineDevice({
    kind: "bad",
    version: 1,
    create: (): DeviceInstance => {
      throw cause;
    },
  })();
  const error = assertThrows(() => Devices.make(nameDevices([spec])), VmError);
  assertEquals(error.message, 'Cannot make device "bad0" of kind bad: no luck');
  assertStrictEquals(error.cause, cause);
});

Deno.test("loadDevice: a device is loaded by its path, with its configuration", async () => {
  const spec = await loadDevice(`${ROOT}plugins/counter.ts:step=2,id=c1`);
  assertStrictEquals(spec.definition, counter as typeof spec.definition);
  assertEquals([spec.config, spec.id, spec.specifier], [
    { step: "2" },
    "c1",
    "builtin:counter.ts",
  ]);
});

Deno.test("loadDevice: what is no device is an error that says why", async () => {
  await using scratch = new Scratch();
  for (
    const [name, source, why] of [
      ["none", "export const x = 1;", /it has no default export$/],
      ["other", "export default {};", /its default export is no device$/],
      ["throws", "throw new Error('at once');", /at once$/],
      ["syntax", "export default (;", /./],
    ] as const
  ) {
    const path = scratch.file(`${name}.ts`);
    await Deno.writeTextFile(path, source);
    const error = await assertRejects(() => loadDevice(path), VmError);
    assertEquals(error.code, "VM_DEVICE");
    assertEquals(
      error.message.startsWith(`Cannot load device ${path}: `),
      true,
    );
    assertEquals(why.test(error.message), true, error.message);
  }
  const error = await assertRejects(
    () => loadDevice("./nowhere.ts:a=1"),
    VmError,
  );
  assertEquals(
    error.message,
    "Cannot load device ./nowhere.ts: there is no such file",
  );
});

/** The section that lists devices. */
function list(...devices: Partial<DeviceRecord>[]) {
  const whole = devices.map((device) => ({
    id: "counter0",
    kind: "counter",
    version: 1,
    specifier: "builtin:counter.ts",
    config: [["step", "2"]],
    ...device,
  }));
  return [toSection({ ...devicesState, id: "devices" }, { devices: whole })];
}

async function refused(
  ...args: Parameters<typeof findDevices>
): Promise<[code: string, message: string, hint: string | undefined]> {
  const error = await assertRejects(() => findDevices(...args), ImageError);
  return [error.code, error.message, error.hint];
}

Deno.test("findDevices: one that comes with the VMM and reaches nothing is loaded again", async () => {
  assertEquals(await findDevices([]), []);
  const [found] = await findDevices(list({}));
  assertStrictEquals(found.definition, counter as typeof found.definition);
  assertEquals(found.values, { step: "2" });
  // What the user says comes first.
  const [chosen] = await findDevices(list({}), [counter({ step: 7 })]);
  assertEquals(chosen.values, { step: "7" });
});

Deno.test("findDevices: any other must be named by the user, and the error says how", async () => {
  for (
    const [specifier, named] of [
      ["file:///tmp/my.ts", "/tmp/my.ts:step=2,id=counter0"],
      [null, "PATH:step=2,id=counter0"],
      [
        "https://example.com/x.ts",
        "https://example.com/x.ts:step=2,id=counter0",
      ],
      ["file:///tmp/$(reboot).ts", "PATH:step=2,id=counter0"],
      ["builtin:../mod.ts", "./plugins/../mod.ts:step=2,id=counter0"],
    ] as const
  ) {
    const [code, message, hint] = await refused(list({ specifier }));
    assertEquals(code, "IMAGE_MISSING");
    assertEquals(
      message,
      `Cannot restore device "counter0" of kind counter from ${
        specifier ?? "a script"
      }: it must be named`,
    );
    assertEquals(
      hint,
      `name it, or another of its kind, if you trust it: --device=${named}, or in a script "devices"`,
    );
  }
  const [, message] = await refused(list({ specifier: "builtin:gone.ts" }));
  assertEquals(
    message,
    'Cannot restore device "counter0" of kind counter from builtin:gone.ts: it does not come with this version',
  );
});

Deno.test("findDevices: what can reach the host is configured by the user alone", async () => {
  const { create } = counter;
  const config = (values: ConfigValues) => ({
    port: values.number("port", { default: 1 }),
    step: values.number("step", { default: 1 }),
  });
  const open = defineDevice({ kind: "counter", version: 1, config, create });
  const [found] = await findDevices(list({}), [open({ port: 9 })]);
  assertEquals(found.values, { port: "9" });
});

Deno.test("findDevices: a name or a kind that does not fit is an error", async () => {
  const other = claiming("other", {});
  assertEquals(await refused(list({}), [other]), [
    "IMAGE_LEFTOVER",
    'Cannot restore with a device of kind other: the image has "counter0" of kind counter',
    "leave it out: no device can be added to a saved VM",
  ]);
  assertEquals(
    (await refused([], [counter()]))[1].endsWith("has no devices"),
    true,
  );
  assertEquals(
    (await refused(list({}), [{ ...other, id: "counter0" }]))[1],
    'Cannot restore device "counter0" of kind counter as one of kind other',
  );
  assertEquals(
    (await refused(list({}), [counter(), counter()]))[0],
    "IMAGE_LEFTOVER",
  );
  assertEquals(await refused(list({ version: 2 })), [
    "IMAGE_VERSION",
    'Cannot load "counter0": version of counter is 2, must be <= 1',
    "use the version that saved it, or a later one",
  ]);
  assertEquals((await refused(list({}, {})))[0], "IMAGE_STATE");
  assertEquals((await refused(list({ id: "a b" })))[0], "IMAGE_STATE");
});

Deno.test("findDevices: those without a name take what is left of their kind, in order", async () => {
  const image = list({ id: "a" }, { id: "b" }, { id: "c" });
  const found = await findDevices(image, [
    counter({ step: 1 }),
    counter({ step: 2 }, { id: "a" }),
    counter({ step: 3 }),
  ]);
  assertEquals(found.map(({ id, values }) => `${id} ${values.step}`), [
    "a 2",
    "b 1",
    "c 3",
  ]);
});

/** Takes the state of one device. */
async function frozen(more: Partial<DeviceInstance>, timeoutMs = 5000) {
  const spec = defineDevice<unknown>({
    kind: "thing",
    version: 1,
    create: () => ({ dump: () => ({}), ...more }),
  })();
  await using devices = Devices.make(nameDevices([spec]));
  const { signal } = new AbortController();
  const { components } = await devices.freeze({ timeoutMs, signal });
  return await components[1].dump();
}

Deno.test("freeze: a state is that of its moment, whatever the device does later", async () => {
  const state = { list: [1] };
  const dump = frozen({ dump: () => state });
  const value = await dump;
  state.list.push(2);
  assertEquals(value, { answer: "payload", value: { list: [1] } });
  assertEquals(await frozen({ dump: () => ({ answer: "nothing" }) }), {
    answer: "nothing",
  });
  assertEquals(
    await frozen({
      dump: () => Promise.resolve({ answer: "cannot", why: "x" }),
    }),
    { answer: "cannot", why: "x" },
  );
});

Deno.test("freeze: what an image cannot hold is told with the device's name", async () => {
  const many = (parts: unknown) => ({ answer: "many", parts });
  for (
    const [given, why] of [
      [{ call: () => 1 }, /could not be cloned/],
      [many(null), /its parts must be an array/],
      [many([{ value: 1, data: "x" }]), /must be an array of Uint8Array/],
      [
        { bytes: new Uint8Array(16 * 1024 ** 2) },
        /its state is 16777228 bytes long, must be <= 16777216$/,
      ],
      [
        many([{ value: 1 }, { value: "x".repeat(17e6) }]),
        /its state is 17000005 bytes long, must be <= 16777216$/,
      ],
      [many([]), /it gave none of its parts/],
      [{ answer: "what" }, /it did not say what there is to save/],
      [undefined, /a value that is no value/],
    ] as const
  ) {
    for (const dump of [() => given, () => Promise.resolve(given)]) {
      const spec = defineDevice<unknown>({
        kind: "thing",
        version: 1,
        create: () => ({ dump }),
      })();
      await using devices = Devices.make(nameDevices([spec]));
      const { signal } = new AbortController();
      const { components } = await devices.freeze({ timeoutMs: 5000, signal });
      const sink = { write: () => Promise.resolve() };
      const error = await assertRejects(
        () => writeImage(components, sink, { creator: "test" }),
        ImageError,
      );
      assertEquals(error.code, "IMAGE_COMPONENT");
      assertEquals(error.message.startsWith('Cannot save "thing0": '), true);
      assertEquals(why.test(error.message), true, error.message);
    }
  }
});

Deno.test("freeze: a device that fails or hangs is named", async () => {
  const failing = () => {
    throw new Error("busy");
  };
  const error = await assertRejects(
    () => frozen({ quiesce: failing }),
    ImageError,
  );
  assertEquals([error.code, error.message], [
    "IMAGE_COMPONENT",
    'Cannot save "thing0": busy',
  ]);
  // The writer of the image names the component.
  await assertRejects(() => frozen({ dump: failing }), Error, "busy");
  await assertRejects(() => frozen({ dump: () => Promise.reject(failing) }));
  const never = () => new Promise<never>(() => {});
  for (const more of [{ quiesce: never }, { dump: never }]) {
    await assertRejects(
      () => frozen(more, 5),
      VmError,
      'device "thing0" was not done within 5 ms',
    );
  }
});

Deno.test("devices: every reason why they could not go on here is told, and nothing is made that reaches the host", async () => {
  const made: string[] = [];
  const disposed: string[] = [];
  const device = (kind: string, contained: boolean) =>
    defineDevice({
      kind,
      version: 1,
      contained,
      config: (values) => ({ port: values.number("port", { max: 0xffff }) }),
      create({ id, config }) {
        made.push(id);
        return {
          ports: [{ first: config.port, count: 1 }],
          dump: () => ({}),
          dispose: () => void disposed.push(id),
        };
      },
    });
  const [tame, wild] = [device("tame", true), device("wild", false)];
  const record = (id: string, kind: string): DeviceRecord => ({
    id,
    kind,
    version: 1,
    specifier: null,
    config: [],
  });
  const section = toSection(
    { id: "devices", kind: devicesState.kind, version: devicesState.version },
    {
      devices: [
        record("a", "tame"),
        record("b", "tame"),
        record("c", "tame"),
        record("d", "wild"),
        record("e", "gone"),
      ],
    },
  );
  const wrong = await misfitDevices([section], [
    tame({ port: 5 }, { id: "a" }),
    tame({ port: 5 }, { id: "b" }),
    tame({ port: 70000 }, { id: "c" }),
    wild({ port: 1, colour: "red" }, { id: "d" }),
    wild({ port: 1 }, { id: "x" }),
  ]);
  assertEquals(wrong.map(({ message }) => message), [
    'Cannot restore with a device "x" of kind wild: the image has "a" of kind tame, "b" of kind tame, "c" of kind tame, "d" of kind wild, "e" of kind gone',
    'Cannot configure device "c": "port" is 70000, must be a whole number from 0 to 65535',
    'Cannot configure device "d": there is no "colour"; known are id, port',
    'Cannot restore device "e" of kind gone from a script: it must be named',
    'Cannot attach "b": 0x5+0x1 overlaps a range of "a"',
  ]);
  assertEquals(made, ["a", "b"]);
  assertEquals(disposed.toSorted(), ["a", "b"]);
  const all = ["a", "b", "c"].map((id, i) => tame({ port: i + 9 }, { id }));
  const named = [record("a", "tame"), record("b", "tame"), record("c", "tame")];
  const fits = toSection(
    { id: "devices", kind: devicesState.kind, version: devicesState.version },
    { devices: named },
  );
  assertEquals(await misfitDevices([fits], all), []);
});
