/**
 * Open files of devices that are scripts: calls that are answered later, and
 * what of them travels.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import * as v from "valibot";
import {
  defineDevice,
  DeviceErrno,
  type DeviceHandle,
  type DeviceInstance,
  IoVector,
  LiveDevice,
  MAX_HELD_BYTES,
  O,
  PluginFile,
  type PluginFileState,
  POLL,
} from "../../src/devices/mod.ts";
import { pluginFile } from "../../src/devices/plugin_file_state.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import {
  decodePayload,
  encodePayload,
  ImageError,
  toSection,
} from "../../src/state/mod.ts";
import { BLOCK_BYTES, Memory, MMIO_GPA, VmError } from "../../src/vmm/mod.ts";
import { testDevice } from "../../src/testing/mod.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (b: Uint8Array) => new TextDecoder().decode(b);

/** A device with one file, what it warned of, and memory for its bytes. */
class Setup implements Disposable {
  readonly warnings: string[] = [];
  readonly memory = new Memory(2 * BLOCK_BYTES);
  readonly device: LiveDevice;

  constructor(
    open: (saved: unknown) => DeviceHandle | number,
    more: Partial<DeviceInstance> = {},
  ) {
    const definition = defineDevice({
      kind: "thing",
      version: 1,
      create: () => ({
        files: { "/dev/thing": (_file, saved) => open(saved) },
        dump: () => ({}),
        ...more,
      }),
    });
    this.device = new LiveDevice({
      definition,
      id: "thing0",
      values: {},
      specifier: null,
      warn: (message) => this.warnings.push(message),
    });
  }

  open(flags: number = O.readWrite, saved?: PluginFileState): PluginFile {
    const file = this.device.open("/dev/thing", flags, saved);
    assert(file instanceof PluginFile, `errno ${file}`);
    return file;
  }

  io(lengthBytes: number, into: boolean): IoVector {
    const io = new IoVector(this.memory);
    io.reset(into);
    io.add(0, lengthBytes);
    io.wantedBytes = lengthBytes;
    return io;
  }

  read(file: PluginFile, lengthBytes: number): string | number {
    const done = file.read(this.io(lengthBytes, true));
    return done < 0 ? done : text(this.memory.u8.slice(0, done));
  }

  write(file: PluginFile, content: string): number {
    this.memory.write(0, bytes(content));
    return file.write(this.io(content.length, false));
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
  }
}

/** As an image would carry it. */
function travel(file: PluginFile): PluginFileState {
  return v.parse(pluginFile, decodePayload(encodePayload(file.snapshot())));
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("plugin_file: a call is made once, however often it is tried", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const written: string[] = [];
  using setup = new Setup(() => ({
    write(data) {
      written.push(text(data));
      return promise;
    },
  }));
  const file = setup.open();
  for (let i = 0; i < 3; i++) {
    assertEquals(setup.write(file, "abc"), -ERRNO.EAGAIN);
  }
  const waited = file.wait(4, new AbortController().signal);
  resolve(2);
  await waited;
  assertEquals(setup.write(file, "abc"), 2);
  assertEquals(written, ["abc"]);
});

Deno.test("plugin_file: two tasks that read at once get an answer each", async () => {
  const answers: ((given: Uint8Array) => void)[] = [];
  using setup = new Setup(() => ({
    read: () => new Promise<Uint8Array>((resolve) => answers.push(resolve)),
  }));
  const file = setup.open();
  const read = (caller: number, lengthBytes: number) => {
    file.caller = caller;
    return setup.read(file, lengthBytes);
  };
  assertEquals(read(1, 4), -ERRNO.EAGAIN);
  assertEquals(read(2, 8), -ERRNO.EAGAIN);
  // The handler has one call at a time.
  assertEquals(answers.length, 1);
  answers[0](bytes("abcd"));
  await turn();
  // The second is tried again first, and takes nothing of the first.
  assertEquals(read(2, 8), -ERRNO.EAGAIN);
  const again = setup.open(O.readWrite, travel(file));
  again.caller = 1;
  assertEquals(setup.read(again, 4), "abcd");
  assertEquals(read(1, 4), "abcd");
  answers[1](bytes("efgh"));
  await turn();
  assertEquals(read(2, 8), "efgh");
});

/** A file whose reads are answered by hand. */
function readByHand(setup: Setup) {
  const file = setup.open();
  const read = (caller: number, lengthBytes: number) => {
    file.caller = caller;
    return setup.read(file, lengthBytes);
  };
  return { file, read };
}

for (const hasEnded of [false, true]) {
  const why = hasEnded ? "ended" : "was interrupted";
  Deno.test(`plugin_file: what was read for a task that ${why} is read by another`, async () => {
    const answers: ((given: Uint8Array) => void)[] = [];
    using setup = new Setup(() => ({
      read: () => new Promise<Uint8Array>((resolve) => answers.push(resolve)),
      poll: () => 0,
    }));
    const { file, read } = readByHand(setup);
    // Answered before it is given up.
    assertEquals(read(1, 4), -ERRNO.EAGAIN);
    answers[0](bytes("abcd"));
    await turn();
    const waited = file.wait(POLL.in, new AbortController().signal);
    file.giveUp(1, hasEnded);
    await waited;
    assertEquals(file.poll(POLL.in), POLL.in);
    const again = setup.open(O.readWrite, travel(file));
    for (const one of [file, again]) {
      one.caller = 2;
      assertEquals(setup.read(one, 3), "abc");
      one.caller = 3;
      assertEquals(setup.read(one, 3), "d");
      assertEquals(one.poll(POLL.in), 0);
    }
    // Answered afterwards.
    assertEquals(read(1, 4), -ERRNO.EAGAIN);
    file.giveUp(1, hasEnded);
    assertEquals(read(2, 4), -ERRNO.EAGAIN);
    assertEquals(answers.length, 2);
    answers[1](bytes("efgh"));
    await turn();
    assertEquals(read(2, 4), "efgh");
    assertEquals(file.poll(POLL.in), 0);
  });
}

Deno.test("plugin_file: who waits for an answer gets what another gave up, and his own is for whoever reads next", async () => {
  const answers: ((given: Uint8Array) => void)[] = [];
  using setup = new Setup(() => ({
    read: () => new Promise<Uint8Array>((resolve) => answers.push(resolve)),
  }));
  const { file, read } = readByHand(setup);
  assertEquals(read(1, 4), -ERRNO.EAGAIN);
  answers[0](bytes("abcd"));
  await turn();
  assertEquals(read(2, 4), -ERRNO.EAGAIN);
  file.giveUp(1, true);
  assertEquals(read(2, 4), "abcd");
  assertEquals(read(3, 4), -ERRNO.EAGAIN);
  answers[1](bytes("efgh"));
  await turn();
  assertEquals(read(3, 4), "efgh");
  assertEquals(answers.length, 2);
});

Deno.test("plugin_file: what a task wrote that has ended counts no longer, and is no other's", async () => {
  const written: string[] = [];
  const taken: ((count: number) => void)[] = [];
  using setup = new Setup(() => ({
    write(data) {
      written.push(text(data.slice(0, 4)));
      return new Promise<number>((resolve) => taken.push(resolve));
    },
  }));
  const file = setup.open();
  const content = "x".repeat(256 * 1024);
  const calls = 2 * MAX_HELD_BYTES / content.length;
  for (let caller = 1; caller <= calls; caller++) {
    file.caller = caller;
    assertEquals(setup.write(file, content), -ERRNO.EAGAIN);
    // Some end before the answer is there, some after it.
    if (caller % 2) file.giveUp(caller, true);
    taken[caller - 1](content.length);
    await turn();
    file.giveUp(caller, true);
    assertEquals(written.length, caller);
  }
  assertEquals(travel(file).answers, []);
  assertEquals(setup.warnings, []);
});

Deno.test("plugin_file: a change between a call and its wait is not missed", async () => {
  using setup = new Setup(() => ({ read: () => -ERRNO.EAGAIN }));
  const file = setup.open();
  assertEquals(setup.read(file, 1), -ERRNO.EAGAIN);
  setup.device.wake();
  await file.wait(1, new AbortController().signal);
  // Once seen, it is waited for the next.
  assertEquals(setup.read(file, 1), -ERRNO.EAGAIN);
  const controller = new AbortController();
  let ended = false;
  const wait = file.wait(1, controller.signal).then(() => ended = true);
  await turn();
  assertEquals(ended, false);
  controller.abort();
  await wait;
});

Deno.test("plugin_file: of an answer that is longer than the next read, nothing is lost, here or after a restore", async () => {
  using setup = new Setup(() => ({
    read: () => Promise.resolve(bytes("abcdef")),
  }));
  const file = setup.open(O.readWrite | O.nonBlock);
  assertEquals(setup.read(file, 9), -ERRNO.EAGAIN);
  await turn();
  assertEquals(setup.read(file, 2), "ab");
  const state = travel(file);
  for (const one of [file, setup.open(O.readWrite, state)]) {
    assertEquals(setup.read(one, 3), "cde");
    assertEquals(one.poll(1), 1);
    assertEquals(setup.read(one, 3), "f");
  }
});

Deno.test("plugin_file: a call under way is told of as such when it is made again", async () => {
  const again: boolean[] = [];
  using setup = new Setup(() => ({
    read: (_length, call) => {
      again.push(call.isAgain);
      return new Promise(() => {});
    },
  }));
  const file = setup.open();
  setup.read(file, 9);
  const state = travel(file);
  assertEquals([state.underWay, state.answers], [["read"], []]);
  const restored = setup.open(O.readWrite, state);
  // Saved again before it was made again: nothing of it is forgotten.
  assertEquals(travel(restored).underWay, ["read"]);
  setup.read(restored, 9);
  assertEquals(travel(restored).underWay, ["read"]);
  await turn();
  assertEquals(again, [false, true]);
});

Deno.test("plugin_file: an answer to another call is no answer", async () => {
  const written: string[] = [];
  using setup = new Setup(() => ({
    write: async (data) => {
      written.push(text(data));
      await turn();
      return data.length;
    },
  }));
  const file = setup.open(O.readWrite | O.nonBlock);
  assertEquals(setup.write(file, "one"), -ERRNO.EAGAIN);
  assertEquals(setup.write(file, "two"), -ERRNO.EAGAIN);
  await turn();
  await turn();
  const restored = setup.open(O.readWrite | O.nonBlock, travel(file));
  assertEquals(setup.write(restored, "one"), 3);
  assertEquals(setup.write(file, "two"), -ERRNO.EAGAIN);
  await turn();
  await turn();
  assertEquals(setup.write(file, "two"), 3);
  assertEquals(written, ["one", "two"]);
});

Deno.test("plugin_file: what a handler gives or throws wrongly is EIO, and the user is told", async () => {
  const wrong: [() => unknown, string][] = [
    [() => "text", "it gave string, must be bytes or an errno"],
    [() => undefined, "it gave undefined, must be bytes or an errno"],
    [() => 5, "it gave 5, must be a negative errno, or 0 to 0"],
    [() => -4096, "it gave -4096, must be a negative errno, or 0 to 0"],
    [() => NaN, "it gave NaN, must be a negative errno, or 0 to 0"],
    [() => new Uint8Array(3), "it gave 3 bytes, must be <= 2"],
    [() => Promise.resolve(new Uint8Array(3)), "it gave 3 bytes, must be <= 2"],
    [() => {
      throw new Error("broken");
    }, "broken"],
    [() => Promise.reject(null), "null"],
    [() => {
      throw new DeviceErrno(99999);
    }, "errno 99999"],
  ];
  for (const [read, why] of wrong) {
    using setup = new Setup(() => ({ read: read as DeviceHandle["read"] }));
    const file = setup.open();
    let result = setup.read(file, 2);
    if (result === -ERRNO.EAGAIN) {
      await turn();
      result = setup.read(file, 2);
    }
    assertEquals(result, -ERRNO.EIO);
    assertEquals(setup.warnings, [
      `device "thing0": read of /dev/thing failed: ${why}`,
    ]);
  }
});

Deno.test("plugin_file: what a device has no handler for is answered as Linux does", () => {
  using setup = new Setup(() => ({}));
  const file = setup.open();
  assertEquals(setup.read(file, 1), -ERRNO.EINVAL);
  assertEquals(setup.write(file, "x"), -ERRNO.EINVAL);
  assertEquals(file.ioctl(1, new Uint8Array(4)), -ERRNO.ENOTTY);
  assertEquals(file.seek(0, 0), -ERRNO.ESPIPE);
  assertEquals(file.pread(setup.io(1, true), 0), -ERRNO.ESPIPE);
  assertEquals(file.mmap(0, 4096), -ERRNO.ENODEV);
  assertEquals(file.poll(5), 5);
  assertEquals(setup.warnings, []);
});

Deno.test("plugin_file: only addresses that the device claims are mapped", () => {
  const gpas = [MMIO_GPA, MMIO_GPA + 1, 0, NaN, MMIO_GPA + 8192, -ERRNO.EPERM];
  let next = 0;
  using setup = new Setup(() => ({ mmap: () => gpas[next++] }), {
    mmio: [{ gpa: MMIO_GPA, lengthBytes: 8192 }],
  });
  const file = setup.open();
  assertEquals(gpas.map(() => file.mmap(0, 8192)), [
    MMIO_GPA,
    -ERRNO.EIO,
    -ERRNO.EIO,
    -ERRNO.EIO,
    -ERRNO.EIO,
    -ERRNO.EPERM,
  ]);
});

Deno.test("plugin_file: an open file that cannot be opened again is an error that names the device", () => {
  for (
    const open of [() => -ERRNO.ENXIO, () => {
      throw new Error("no");
    }]
  ) {
    using setup = new Setup((saved) => saved === undefined ? {} : open());
    const state = { ...travel(setup.open()), state: 1 };
    const error = assertThrows(
      () => setup.open(O.readWrite, state),
      ImageError,
      'Cannot restore /dev/thing of device "thing0": ',
    );
    assertEquals(error.code, "IMAGE_STATE");
  }
});

Deno.test("plugin_file: closing ends what is under way, without a word", async () => {
  const log: string[] = [];
  using setup = new Setup(() => ({
    read: (_length, { signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(new Error("gone")))
      ),
    close: () => void log.push("closed"),
  }));
  const file = setup.open();
  setup.read(file, 1);
  file.close();
  await turn();
  assertEquals([log, setup.warnings], [["closed"], []]);
});

Deno.test("plugin_file: what must not be async is refused when it is, and what it fails with ends nothing", async () => {
  const late = () => Promise.reject(new Error("late"));
  {
    using setup = new Setup(late as never);
    const opened = setup.device.open("/dev/thing", O.readWrite);
    await turn();
    assertEquals(opened, -ERRNO.EIO);
    assertEquals(setup.warnings, [
      'device "thing0": open of /dev/thing failed: it gave a promise, must not be async',
    ]);
  }
  {
    using setup = new Setup(() => ({ close: late as never }));
    setup.open().close();
    await turn();
    assertEquals(setup.warnings, [
      'device "thing0": close of /dev/thing failed: late',
    ]);
  }
  const definition = defineDevice({
    kind: "thing",
    version: 1,
    create: late as never,
  });
  const parts = { definition, id: "thing0", values: {}, specifier: null };
  assertThrows(
    () => new LiveDevice(parts),
    VmError,
    'Cannot make device "thing0" of kind thing: create gave a promise, must not be async',
  );
  await turn();
});

Deno.test("plugin_file: a handler that must answer at once gives no promise, and is named when it does", async () => {
  const late = () => Promise.reject(new Error("late"));
  const asks: [string, (file: PluginFile) => number, number][] = [
    ["size", (file) => file.seek(0, 2), -ERRNO.EIO],
    ["poll", (file) => file.poll(1), 8],
    ["mmap", (file) => file.mmap(0, 4096), -ERRNO.EIO],
  ];
  for (const [handler, ask, expected] of asks) {
    using setup = new Setup(() => ({ [handler]: late }));
    assertEquals(ask(setup.open()), expected);
    await turn();
    assertEquals(setup.warnings, [
      `device "thing0": ${handler} of /dev/thing failed: it gave a promise, must not be async`,
    ]);
  }
  using setup = new Setup(() => ({ dump: late }));
  const file = setup.open();
  assertThrows(
    () => file.snapshot(),
    Error,
    '/dev/thing of device "thing0": dump gave a promise, must not be async',
  );
  await turn();
});

Deno.test("plugin_file: what the calls of many files hold has a bound, and is free again once taken or closed", async () => {
  const size = 256 * 1024;
  const answers: ((taken: number) => void)[] = [];
  using setup = new Setup(() => ({
    write: () => new Promise<number>((resolve) => answers.push(resolve)),
    read: () => new Promise<Uint8Array>(() => {}),
  }));
  const most = MAX_HELD_BYTES / size;
  const files = Array.from({ length: most + 1 }, () => setup.open());
  const [last] = files.slice(-1);
  const content = "x".repeat(size);
  for (const file of files.slice(0, -1)) {
    assertEquals(setup.write(file, content), -ERRNO.EAGAIN);
  }
  for (let i = 0; i < 2; i++) {
    assertEquals(setup.write(last, content), -ERRNO.ENOBUFS);
    assertEquals(setup.read(last, 1), -ERRNO.ENOBUFS);
  }
  assertEquals(answers.length, most);
  assertEquals(setup.warnings, [
    `device "thing0": its calls under way and answers not taken hold ${MAX_HELD_BYTES} bytes, must be <= ${MAX_HELD_BYTES}: further calls fail with ENOBUFS`,
  ]);
  // One that is under way already is tried again all the same.
  answers[0](7);
  await turn();
  assertEquals(setup.write(last, content), -ERRNO.ENOBUFS);
  assertEquals(setup.write(files[0], content), 7);
  assertEquals(setup.write(last, content), -ERRNO.EAGAIN);
  assertEquals(setup.write(files[0], content), -ERRNO.ENOBUFS);
  files[1].close();
  // Room for a read is kept as long as it may need it.
  assertEquals(setup.read(files[2], size), -ERRNO.EAGAIN);
  assertEquals(setup.write(files[0], "y"), -ERRNO.ENOBUFS);
  files[2].close();
  assertEquals(setup.write(files[0], "y"), -ERRNO.EAGAIN);
  // Answers that come for what is closed change nothing.
  for (const answer of answers) answer(1);
  await turn();
  for (const file of files) file.close();
  const again = Array.from({ length: most }, () => setup.open());
  for (const file of again) {
    assertEquals(setup.write(file, content), -ERRNO.EAGAIN);
  }
  for (const file of again) file.close();
});

Deno.test("live_device: each part of saved state is upgraded, and knows its number", () => {
  const seen: [number, unknown, number][] = [];
  const upgrade = (version: number) => (old: unknown, part: number) => {
    seen.push([version, old, part]);
    return part === 0 ? { count: (old as { count: number }).count + 1 } : old;
  };
  let given: unknown;
  const definition = defineDevice({
    kind: "thing",
    version: 3,
    state: v.object({ count: v.number() }),
    upgrades: { 1: upgrade(1), 2: upgrade(2) },
    create({ savedParts }, saved) {
      given = { saved, savedParts };
      return { dump: () => ({ count: 0 }) };
    },
  });
  const old = { id: "thing0", kind: "thing", version: 1 };
  const pixels = bytes("pixels");
  new LiveDevice({
    definition,
    id: "thing0",
    values: {},
    specifier: null,
    saved: [
      toSection(old, { count: 1 }),
      { ...toSection(old, null, 1), data: () => pixels },
    ],
  });
  assertEquals(seen, [
    [1, { count: 1 }, 0],
    [2, { count: 2 }, 0],
    [1, null, 1],
    [2, null, 1],
  ]);
  assertEquals(given, {
    saved: { count: 3 },
    savedParts: [
      { value: { count: 3 }, data: new Uint8Array() },
      { value: null, data: pixels },
    ],
  });
});

Deno.test("live_device: state and answers are of one moment", async () => {
  // What was answered is in the answers, what was not is in the state: in
  // whatever order things happen, each request is in one of them.
  const pending = new Map<number, (value: Uint8Array) => void>();
  let next = 0;
  using setup = new Setup(() => ({
    async read() {
      const id = next++;
      const value = await new Promise<Uint8Array>((resolve) =>
        pending.set(id, resolve)
      );
      pending.delete(id);
      return value;
    },
  }), {
    dump: async () => {
      const ids = [...pending.keys()];
      await turn();
      return { ids };
    },
  });
  const files = [setup.open(), setup.open()];
  for (const file of files) setup.read(file, 9);
  pending.get(0)!(bytes("x"));
  await turn();
  const taken = new Map<PluginFile, PluginFileState>();
  const { component, ready } = setup.device.freeze(taken);
  pending.get(1)!(bytes("too late"));
  await ready;
  assertEquals(await component.dump(), {
    answer: "payload",
    value: { ids: [1] },
  });
  assertEquals(files.map((file) => taken.get(file)!.answers.length), [1, 0]);
  assertEquals(files.map((file) => taken.get(file)!.underWay), [[], ["read"]]);
});

/** A device of which everything travels: parts, data, bigints. */
const parts = defineDevice({
  kind: "parts",
  version: 3,
  state: v.object({ name: v.string(), large: v.bigint() }),
  upgrades: { 1: (old) => old, 2: (old) => old },
  create({ savedParts }, saved) {
    let name = saved?.name ?? "a";
    const data = savedParts[1]?.data.slice() ?? new Uint8Array(10);
    return {
      files: {
        "/dev/parts": () => ({
          write(given: Uint8Array) {
            name += text(given);
            data.fill(given[0]);
          },
        }),
      },
      dump: () => ({
        answer: "many",
        parts: [
          { value: { name, large: 1n << 60n } },
          { value: { note: "pixels" }, data: [data.slice()] },
        ],
      }),
    };
  },
});

testDevice(() => parts(), async (device) => {
  const file = device.open("/dev/parts");
  assertEquals(await file.write(bytes("b")), 1);
  file.close();
});
