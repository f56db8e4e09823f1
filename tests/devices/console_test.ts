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
import {
  close,
  getFlags,
  ioctl,
  open,
  readv,
  writev,
} from "../../src/devices/host_calls.ts";
import { pollUntil } from "../../src/devices/host_poller.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { Memory } from "../../src/vmm/mod.ts";
import { delay } from "../support.ts";
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

/** Requests to the master of a pseudo-terminal (asm-generic/ioctls.h). */
const PTMX = { setLock: 0x4004_5431, getNumber: 0x8004_5430 } as const;

/** A pseudo-terminal: who holds the master reads what is written to it. */
function openPty(): { master: number; slave: number } & Disposable {
  const flags = O.readWrite | O.noControllingTerminal | O.closeOnExec;
  const master = open("/dev/ptmx", flags);
  const argument = new Uint8Array(4);
  assertEquals(ioctl(master, PTMX.setLock, argument), 0);
  assertEquals(ioctl(master, PTMX.getNumber, argument), 0);
  const number = new DataView(argument.buffer).getUint32(0, true);
  const slave = open(`/dev/pts/${number}`, flags);
  assert(slave >= 0);
  return {
    master,
    slave,
    [Symbol.dispose]() {
      close(slave);
      close(master);
    },
  };
}

/** Descriptors of this process. */
function openFiles(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** Moves `lengthBytes` at the beginning of memory. */
function vector(io: IoVector, into: boolean, lengthBytes: number): IoVector {
  io.reset(into);
  io.add(0, lengthBytes);
  return io;
}

Deno.test("console: a terminal that nobody reads takes what it has room for", async () => {
  const { signal } = new AbortController();
  using memory = new Memory(4 * 1024 * 1024);
  const io = new IoVector(memory);
  using pty = openPty();
  const before = openFiles();
  memory.write(0, new Uint8Array(1 << 20).fill(0x61));
  // One of two that share it goes: the other goes on.
  const other = new HostStream(pty.slave, O.readWrite);
  const stream = new HostStream(pty.slave, O.readWrite);
  assertEquals(other.write(vector(io, false, 1)), 1);
  // The kernel makes room for some more a little later.
  let room = 1;
  for (let refused = 0; refused < 3;) {
    const wrote = stream.write(vector(io, false, 1 << 20));
    if (wrote === -ERRNO.EAGAIN) refused++;
    else room += wrote;
    await delay(5);
  }
  assert(room > 1 && room < 1 << 20, `${room} bytes`);
  assertEquals(openFiles(), before + 1);
  other.close();
  // Who else has the description waits as before.
  assertEquals(getFlags(pty.slave) & O.nonBlock, 0);
  for (let left = room; left > 0;) {
    await pollUntil(pty.master, POLL.in, signal);
    const read = readv(pty.master, vector(io, true, 4096));
    assert(read > 0 && read <= left, `${read} of ${left}`);
    left -= read;
  }
  await stream.wait(POLL.out, signal);
  assertEquals(stream.write(vector(io, false, 10)), 10);
  stream.close();
  assertEquals(openFiles(), before);
});

Deno.test("console: a terminal is read line by line, and to its end", async () => {
  const { signal } = new AbortController();
  using memory = new Memory(4 * 1024 * 1024);
  const io = new IoVector(memory);
  using pty = openPty();
  const stream = new HostStream(pty.slave, O.readWrite);
  memory.write(0, new TextEncoder().encode("one\ntwo\n\x04"));
  assertEquals(stream.read(vector(io, true, 100)), -ERRNO.EAGAIN);
  assertEquals(writev(pty.master, vector(io, false, 9)), 9);
  memory.write(0, new Uint8Array(100));
  await stream.wait(POLL.in, signal);
  assertEquals(stream.read(vector(io, true, 100)), 4);
  assertEquals(new TextDecoder().decode(memory.bytes(0, 4)), "one\n");
  await stream.wait(POLL.in, signal);
  assertEquals(stream.read(vector(io, true, 100)), 4);
  assertEquals(new TextDecoder().decode(memory.bytes(0, 4)), "two\n");
  await stream.wait(POLL.in, signal);
  assertEquals(stream.read(vector(io, true, 100)), 0);
  assertEquals(stream.read(vector(io, true, 100)), -ERRNO.EAGAIN);
  stream.close();
});

Deno.test("console: the master of a terminal is not opened again, which makes another", () => {
  using memory = new Memory(4 * 1024 * 1024);
  const io = new IoVector(memory);
  using pty = openPty();
  const before = openFiles();
  const stream = new HostStream(pty.master, O.readWrite);
  memory.write(0, new TextEncoder().encode("typed\n"));
  assertEquals(stream.write(vector(io, false, 6)), 6);
  assertEquals(openFiles(), before);
  assertEquals(readv(pty.slave, vector(io, true, 100)), 6);
  stream.close();
});
