import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  IoVector,
  O,
  PIPE_BYTES,
  PipeBuffer,
  PipeEnd,
  POLL,
} from "../../src/devices/mod.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { Memory } from "../../src/vmm/mod.ts";
import { holds } from "../vmm/property.ts";

const MEMORY_BYTES = 4 * 1024 * 1024;

/** A pipe with both ends, and memory to move bytes from and to. */
class Fixture implements Disposable {
  readonly memory = new Memory(MEMORY_BYTES);
  readonly io = new IoVector(this.memory);
  readonly reader: PipeEnd;
  readonly writer: PipeEnd;

  constructor(readonly pipe = new PipeBuffer(1)) {
    this.reader = new PipeEnd(this.pipe, O.readOnly);
    this.writer = new PipeEnd(this.pipe, O.writeOnly);
  }

  /** Writes `bytes` in pieces of at most `pieceBytes`. */
  write(bytes: Uint8Array, pieceBytes = bytes.length): number {
    this.io.reset(false);
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      this.memory.write(at * 2, piece);
      this.io.add(at * 2, piece.length);
    }
    return this.writer.write(this.io);
  }

  /** Reads at most `lengthBytes`: the bytes, or a negative errno. */
  read(lengthBytes: number, pieceBytes = lengthBytes): Uint8Array | number {
    this.io.reset(true);
    for (let at = 0; at < lengthBytes; at += pieceBytes) {
      this.io.add(2 * at, Math.min(pieceBytes, lengthBytes - at));
    }
    const got = this.reader.read(this.io);
    if (got < 0) return got;
    const bytes = new Uint8Array(got);
    let done = 0;
    this.io.forEach((view) => {
      const part = view.subarray(0, got - done);
      bytes.set(part, done);
      done += part.length;
    });
    return bytes;
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
  }
}

Deno.test("pipe: random reads and writes are those of a FIFO of 65536 bytes", () => {
  const size = fc.oneof(
    fc.nat(100),
    fc.nat(70_000),
    fc.constantFrom(0, 1, 4095, 4096, 4097, PIPE_BYTES - 1, PIPE_BYTES),
  );
  const step = fc.record({
    op: fc.constantFrom("read", "write"),
    size,
    pieceBytes: fc.constantFrom(7, 4096, 100_000),
  });
  using fixture = new Fixture();
  const { pipe, reader, writer } = fixture;
  let count = 0;
  let model = pipe.content();
  holds("pipe", 100, fc.array(step, { maxLength: 40 }), (steps) => {
    for (const { op, size, pieceBytes } of steps) {
      const piece = Math.max(pieceBytes, Math.ceil(size / 1000));
      if (op === "write") {
        const bytes = Uint8Array.from({ length: size }, () => count++ % 251);
        const got = fixture.write(bytes, piece);
        const room = PIPE_BYTES - model.length;
        // Up to 4096 bytes go in whole or not at all.
        const expected = size === 0
          ? 0
          : room === 0 || (size <= 4096 && room < size)
          ? -ERRNO.EAGAIN
          : Math.min(size, room);
        assertEquals(got, expected);
        if (got > 0) {
          const longer = new Uint8Array(model.length + got);
          longer.set(model);
          longer.set(bytes.subarray(0, got), model.length);
          model = longer;
        }
      } else {
        const got = fixture.read(size, piece);
        if (size > 0 && model.length === 0) {
          assertEquals(got, -ERRNO.EAGAIN);
        } else {
          const expected = model.subarray(0, size);
          assertEquals(got, new Uint8Array(expected));
          model = model.slice(expected.length);
        }
      }
      assertEquals(pipe.lengthBytes, model.length);
      const room = PIPE_BYTES - model.length >= 4096;
      assertEquals(reader.poll(POLL.in), model.length > 0 ? POLL.in : 0);
      assertEquals(writer.poll(POLL.out), room ? POLL.out : 0);
    }
    assertEquals(pipe.content(), model);
  });
});

Deno.test("pipe: one made from another's content goes on where that was", () => {
  using first = new Fixture();
  // Around the ring's end.
  first.write(new Uint8Array(60_000));
  first.read(60_000);
  const bytes = crypto.getRandomValues(new Uint8Array(PIPE_BYTES));
  assertEquals(first.write(bytes), PIPE_BYTES);
  const content = first.pipe.content();
  assertEquals(content, bytes);
  using second = new Fixture(new PipeBuffer(first.pipe.inode, content));
  // A copy: what happens to the first is not the second's.
  first.read(100);
  assertEquals(second.write(new Uint8Array(1)), -ERRNO.EAGAIN);
  assertEquals(second.read(100_000), bytes);
  assertEquals(second.pipe.inode, first.pipe.inode);
});

Deno.test("pipe: without writers what is left is read, then its end", () => {
  using fixture = new Fixture();
  fixture.write(new Uint8Array([1, 2]));
  fixture.writer.close();
  assertEquals(fixture.reader.poll(POLL.in), POLL.in | POLL.hup);
  assertEquals(fixture.read(5), new Uint8Array([1, 2]));
  assertEquals(fixture.reader.poll(POLL.in), POLL.hup);
  assertEquals(fixture.read(5), new Uint8Array());
});

Deno.test("pipe: without readers a write fails, unless it is of nothing", () => {
  using fixture = new Fixture();
  fixture.reader.close();
  assertEquals(fixture.write(new Uint8Array([1])), -ERRNO.EPIPE);
  assertEquals(fixture.write(new Uint8Array()), 0);
  assertEquals(fixture.writer.poll(POLL.out), POLL.out | POLL.err);
});

Deno.test("pipe: who waits is woken by each change, and by nothing else", async () => {
  using fixture = new Fixture();
  const { pipe, reader, writer } = fixture;
  const stop = new AbortController();
  const changes = [
    () => fixture.write(new Uint8Array([1])),
    () => fixture.read(1),
    () => writer.close(),
    () => reader.close(),
    () => stop.abort(),
  ];
  for (const change of changes) {
    let woken = false;
    const waiting = reader.wait(POLL.in, stop.signal).then(() => woken = true);
    // Neither of these moves a byte.
    fixture.read(0);
    fixture.write(new Uint8Array());
    await Promise.resolve();
    assert(!woken);
    change();
    await waiting;
  }
  // Aborted already: at once.
  await pipe.changed(stop.signal);
});
