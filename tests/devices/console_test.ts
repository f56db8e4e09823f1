import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  HostStream,
  IoVector,
  O,
  POLL,
  ScriptConsole,
  ScriptStream,
} from "../../src/devices/mod.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { Memory } from "../../src/vmm/mod.ts";
import { holds } from "../vmm/property.ts";

function read(
  console: ScriptConsole,
  io: IoVector,
  memory: Memory,
  lengthBytes: number,
): Uint8Array | number {
  io.reset(true);
  if (lengthBytes > 0) io.add(0, lengthBytes);
  const got = new ScriptStream(console, 0).read(io);
  return got < 0 ? got : memory.bytes(0, got).slice();
}

Deno.test("console: input is read in order, however it was pushed and asked for", () => {
  using memory = new Memory(4 * 1024 * 1024);
  const io = new IoVector(memory);
  const step = fc.oneof(
    fc.record({ push: fc.uint8Array({ maxLength: 300 }) }),
    fc.record({ read: fc.nat(400) }),
  );
  const steps = fc.array(step, { maxLength: 40 });
  holds("console", 200, fc.tuple(steps, fc.boolean()), ([all, ends]) => {
    const console = new ScriptConsole();
    let model: number[] = [];
    for (const s of all) {
      if ("push" in s) {
        const own = s.push.slice();
        console.push(own);
        model.push(...own);
        // The script may use its buffer again.
        own.fill(0);
        continue;
      }
      const got = read(console, io, memory, s.read);
      if (s.read > 0 && model.length === 0) {
        assertEquals(got, -ERRNO.EAGAIN);
      } else {
        assertEquals(got, Uint8Array.from(model.slice(0, s.read)));
        model = model.slice(s.read);
      }
      assertEquals(console.isReadable, model.length > 0);
    }
    assertEquals(console.unread(), Uint8Array.from(model));
    if (!ends) return;
    console.end();
    const rest = read(console, io, memory, 20_000);
    assertEquals(rest, Uint8Array.from(model));
    assertEquals(read(console, io, memory, 10), new Uint8Array());
    assert(console.isReadable);
  });
});

Deno.test("console: output arrives piece by piece, as bytes of the script's own", () => {
  using memory = new Memory(4 * 1024 * 1024);
  const io = new IoVector(memory);
  const got: [string, Uint8Array][] = [];
  const console = new ScriptConsole({
    stdout: (bytes) => got.push(["stdout", bytes]),
    stderr: (bytes) => got.push(["stderr", bytes]),
  });
  for (const stream of [1, 2]) {
    memory.write(0, new Uint8Array([stream, stream]));
    memory.write(100, new Uint8Array([7]));
    io.reset(false);
    io.add(0, 2);
    io.add(100, 1);
    assertEquals(new ScriptStream(console, stream).write(io), 3);
  }
  memory.write(0, new Uint8Array(200));
  assertEquals(got, [
    ["stdout", new Uint8Array([1, 1])],
    ["stdout", new Uint8Array([7])],
    ["stderr", new Uint8Array([2, 2])],
    ["stderr", new Uint8Array([7])],
  ]);
  io.reset(false);
  io.add(0, 5);
  // Nobody listens: it is dropped, and the program does not know.
  assertEquals(new ScriptStream(new ScriptConsole(), 1).write(io), 5);
});

Deno.test("console: who waits for input is woken by it, by its end, and by the signal", async () => {
  const console = new ScriptConsole();
  const stream = new ScriptStream(console, 0);
  assertEquals(stream.poll(POLL.in), 0);
  const stop = new AbortController();
  for (
    const change of [
      () => console.push("x"),
      () => console.end(),
      () => stop.abort(),
    ]
  ) {
    const wait = stream.wait(POLL.in, stop.signal);
    change();
    await wait;
  }
  assertEquals(stream.poll(POLL.in), POLL.in);
  assertEquals(new ScriptStream(console, 1).poll(POLL.out), POLL.out);
  await stream.wait(POLL.in, stop.signal);
});

Deno.test("console: the host's streams answer with the host's own state", () => {
  for (const stream of [0, 1, 2]) {
    const host = new HostStream(stream, O.readWrite);
    const stat = new Uint8Array(144);
    assertEquals(host.stat(stat), 0);
    const { mode } = Deno.statSync(`/proc/self/fd/${stream}`);
    assertEquals(new DataView(stat.buffer).getUint32(24, true), mode);
    // Its last descriptor gone, the stream is the VMM's still.
    host.close();
    assertEquals(host.stat(stat), 0);
  }
});
