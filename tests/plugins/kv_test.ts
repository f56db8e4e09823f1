import { assertEquals, assertThrows } from "@std/assert";
import { ERRNO, loadDevice } from "../../mod.ts";
import kv from "../../plugins/kv.ts";
import { testDevice } from "../../src/testing/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, TestVm } from "../support.ts";
import { BareDevice, type BareFile } from "./bare_device.ts";

const PATH = new URL("../../plugins/kv.ts", import.meta.url).pathname;

function set(file: BareFile, key: string, value: string): Promise<number> {
  return file.write(`SET ${key} ${value.length}\n${value}`);
}

/** What a request is answered with, or its errno. */
async function ask(file: BareFile, request: string): Promise<string | number> {
  return await file.write(request) || await file.readAll();
}

testDevice(() => kv(), async (device) => {
  const file = device.open("/dev/kv");
  const request = new TextEncoder().encode("SET key 5\nvalue");
  assertEquals(await file.write(request), request.length);
  file.close();
});

Deno.test("kv: values are stored, replaced, listed and forgotten", async () => {
  await using device = new BareDevice(kv());
  const file = device.open();
  assertEquals(await ask(file, "GET a\n"), -ERRNO.ENOENT);
  assertEquals(await set(file, "a", "one"), 0);
  assertEquals(await set(file, "B", ""), 0);
  assertEquals(
    await set(file, "a'; DROP TABLE kv".replaceAll(" ", "_"), "x"),
    0,
  );
  assertEquals(await ask(file, "GET a\n"), "3\none");
  assertEquals(await ask(file, "GET B\n"), "0\n");
  assertEquals(await set(file, "a", "two\n"), 0);
  assertEquals(await ask(file, "GET a\n"), "4\ntwo\n");
  assertEquals(await ask(file, "LIST\n"), "B 0\na 4\na';_DROP_TABLE_kv 1\n");
  assertEquals(await ask(file, "LIST a\n"), "a';_DROP_TABLE_kv 1\n");
  assertEquals(await ask(file, "DEL a\n"), "");
  assertEquals(await ask(file, "DEL a\n"), -ERRNO.ENOENT);
  assertEquals(await ask(file, "LIST a\n"), "a';_DROP_TABLE_kv 1\n");
});

Deno.test("kv: what is no request is refused, and changes nothing", async () => {
  await using device = new BareDevice(kv());
  const file = device.open();
  await set(file, "a", "1");
  for (
    const request of [
      "",
      "\n",
      "GET",
      "GET a",
      "GET \n",
      "GET a b\n",
      "GET a\nmore",
      "get a\n",
      "SET a\n",
      "SET a 2\nx",
      "SET a 1\nxy",
      "SET a -1\n",
      "SET a 1e1\n0123456789",
      "SET ä 1\nx",
      "LIST a 1\nx",
      "DEL a 1\nx",
      " GET a\n",
      "GET a\r\n",
    ]
  ) assertEquals(await ask(file, request), -ERRNO.EINVAL, request);
  assertEquals(await ask(file, "GET a\n"), "1\n1");
});

Deno.test("kv: keys, values and all of it are bounded", async () => {
  await using device = new BareDevice(kv({ size: 300_000 }));
  const file = device.open();
  const most = "v".repeat(128 * 1024);
  assertEquals(await set(file, "k".repeat(200), ""), 0);
  assertEquals(await set(file, "k".repeat(201), ""), -ERRNO.E2BIG);
  assertEquals(await ask(file, `GET ${"k".repeat(201)}\n`), -ERRNO.E2BIG);
  assertEquals(await set(file, "a", most + "v"), -ERRNO.E2BIG);
  // A write that was cut is too long, not wrong.
  assertEquals(await file.write("SET a 999999\nx"), -ERRNO.E2BIG);
  assertEquals(await set(file, "a", most), 0);
  assertEquals(await set(file, "b", most), 0);
  assertEquals(await set(file, "c", most), -ERRNO.ENOSPC);
  assertEquals(await set(file, "a", most), 0);
  assertEquals(await ask(file, "DEL b\n"), "");
  assertEquals(await set(file, "c", most), 0);
  let entries = 0;
  while (await set(file, `small${entries}`, "") === 0) entries++;
  assertEquals(entries > 100 && entries < 600, true, `${entries}`);
  for (let i = 1; i < 32; i++) device.open();
  assertThrows(() => device.open(), Error, `errno ${ERRNO.EMFILE}`);
  file.close();
  device.open();
});

Deno.test("kv: a long list comes in replies of bounded size", async () => {
  await using device = new BareDevice(kv());
  const file = device.open();
  const names = Array.from(
    { length: 2000 },
    (_, i) => `${i}`.padStart(150, "0"),
  );
  for (const name of names) await set(file, name, "");
  const found: string[] = [];
  for (let replies = 0;; replies++) {
    const reply = await ask(file, `LIST ${found.at(-1) ?? ""}`.trim() + "\n");
    if (reply === "") {
      assertEquals(replies > 1, true);
      break;
    }
    assertEquals((reply as string).length <= 132_000, true);
    const lines = (reply as string).trim().split("\n");
    found.push(...lines.map((line) => line.split(" ")[0]));
  }
  assertEquals(found, names);
});

Deno.test("kv: all content and unread replies travel, in parts of bounded size", async () => {
  await using first = new BareDevice(kv());
  const file = first.open();
  for (let i = 0; i < 80; i++) {
    assertEquals(await set(file, `big${i}`, `${i}`.repeat(50_000)), 0);
  }
  for (let i = 0; i < 5000; i++) await set(file, `small${i}`, `${i}`);
  await file.write("GET big7\n");
  assertEquals(await file.read(10), "50000\n7777");
  const saved = await first.save();
  const dumped = structuredClone(file.handle.dump!());
  assertEquals(saved.length >= 3, true);
  assertEquals(saved.every(({ data }) => data.length < 4.5e6), true);
  // The one that goes on changes nothing of what was saved.
  await set(file, "big7", "changed");

  await using second = new BareDevice(kv(), saved);
  const again = second.open(dumped);
  assertEquals(await again.readAll(), "7".repeat(50_000 - 4));
  assertEquals(
    await ask(again, "GET big79\n"),
    `100000\n${"79".repeat(50_000)}`,
  );
  assertEquals(await ask(again, "GET small4999\n"), "4\n4999");
  for (const [i, { value, data }] of (await second.save()).entries()) {
    assertEquals(value, saved[i].value);
    assertEquals(data.every((byte, at) => byte === saved[i].data[at]), true);
  }
});

Deno.test("kv: saved content that does not fit is refused", async () => {
  const one = { key: "a", lengthBytes: 2 };
  for (
    const [entries, bytes] of [
      [[one], 1],
      [[one], 3],
      [[one, one], 4],
      [[{ key: "a b", lengthBytes: 0 }], 0],
      [[{ key: "a".repeat(201), lengthBytes: 0 }], 0],
      [[{ key: "a", lengthBytes: -1 }], 0],
      [[{ key: "a", lengthBytes: 0.5 }], 0],
      [[{ key: "a", lengthBytes: 2 ** 40 }], 0],
      [[{ key: 1, lengthBytes: 0 }], 0],
      [[null], 0],
      ["a", 0],
      [undefined, 0],
    ] as const
  ) {
    const saved = [{ value: { entries }, data: new Uint8Array(bytes) }];
    assertThrows(() => new BareDevice(kv(), saved));
  }
  const saved = [{ value: { entries: [one] }, data: new Uint8Array(2) }];
  assertThrows(() => new BareDevice(kv({ size: 10 }), saved), RangeError);
  await using device = new BareDevice(kv(), saved);
  assertThrows(() => device.open({ reply: "x" }));
  assertThrows(() => device.open({ reply: new Uint8Array(1e6) }));
});

kvmTest("kv: content and a half read reply go on after a restore", async () => {
  await using scratch = new Scratch();
  const image = scratch.file("vm.img");
  const [program] = await guest("kv");
  const args = ("set a one fill big 131072 fill more 100000 set b two " +
    "ask big part 70001 save rest get a get big list list-after b " +
    "del b get b list fill huge 131073 send GET rest set c three get c")
    .split(" ");
  const run = async (answer?: "stop") => {
    const test = await TestVm.create({
      program,
      args,
      devices: [await loadDevice(`${PATH}:size=400000`)],
      onSave: async (vm) => {
        if (answer) await vm.save(image);
        return answer;
      },
    });
    return Object.assign(test, { ended: await test.run() });
  };
  await using unbroken = await run();
  assertEquals(unbroken.ended, { kind: "exited", code: 0 });
  await using first = await run("stop");
  assertEquals(first.ended, { kind: "saved" });
  for (let i = 0; i < 2; i++) {
    // The image alone brings the store back.
    await using second = await TestVm.restore(image, {}, first);
    assertEquals(await second.run(), { kind: "exited", code: 0 });
    assertEquals(
      second.output.stdout,
      unbroken.output.stdout.replace("save: 0", "save: 1"),
    );
    assertEquals(second.warnings, []);
  }
  const lines = unbroken.output.stdout.split("\n");
  assertEquals(lines.slice(0, 4), [
    "set: ok",
    "fill: ok",
    "fill: ok",
    "set: ok",
  ]);
  assertEquals(
    lines.slice(-6),
    [
      "fill: E2BIG",
      "send: EINVAL",
      "rest: ",
      "set: ok",
      "get: 5",
      "three",
      "",
    ].slice(-6),
  );
});
