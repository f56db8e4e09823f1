/**
 * Sets of files, counters, timers and sockets, without a VM.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Clock,
  EPOLL,
  EpollFile,
  EventFile,
  FdTable,
  FilesError,
  type FilesPart,
  FilesSaver,
  filesState,
  HostPaths,
  IoVector,
  O,
  PipeBuffer,
  PipeEnd,
  POLL,
  restoreFiles,
  SOCKET_KIND,
  SocketEnd,
  TimerFile,
} from "../../src/devices/mod.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { decodeState, toSection } from "../../src/state/mod.ts";
import { concat } from "../cli/bytes.ts";
import { Memory } from "../../src/vmm/mod.ts";
import type { OpenFile } from "../../src/devices/mod.ts";

/** Descriptors, and memory for their bytes. */
class Files implements Disposable {
  readonly memory = new Memory(4 * 1024 * 1024);
  readonly io = new IoVector(this.memory);
  readonly paths = new HostPaths({ read: [], write: [] });
  readonly clock = new Clock();
  fds = new FdTable();

  add(file: OpenFile): number {
    return this.fds.install(file, false);
  }

  file<T extends OpenFile>(fd: number): T {
    return this.fds.file(fd) as T;
  }

  write(fd: number, bytes: Uint8Array): number {
    this.io.reset(false);
    this.memory.write(0, bytes);
    if (bytes.length > 0) this.io.add(0, bytes.length);
    this.io.wantedBytes = bytes.length;
    return this.file(fd).write(this.io);
  }

  read(fd: number, lengthBytes = 100): Uint8Array | number {
    this.io.reset(true);
    this.io.add(0, lengthBytes);
    this.io.wantedBytes = lengthBytes;
    const got = this.file(fd).read(this.io);
    return got < 0 ? got : this.memory.bytes(0, got).slice();
  }

  count(fd: number): bigint | number {
    const got = this.read(fd, 8);
    if (typeof got === "number") return got;
    return new DataView(got.buffer, got.byteOffset).getBigUint64(0, true);
  }

  put(fd: number, value: bigint): number {
    return this.write(fd, new Uint8Array(new BigUint64Array([value]).buffer));
  }

  async save(): Promise<FilesPart[]> {
    const saver = new FilesSaver(this.fds);
    const dump = await saver.dump();
    assert(dump.answer === "many");
    return [...dump.parts].map(({ value, data = [] }, i) => ({
      state: decodeState(filesState, toSection(saver, value, i)),
      data: () => concat(...data),
    }));
  }

  restore(parts: readonly FilesPart[]): void {
    const { paths, clock } = this;
    this.fds = restoreFiles(parts, { paths, clock, policy: "check" });
  }

  [Symbol.dispose](): void {
    this.fds.closeAll();
    this.paths[Symbol.dispose]();
    this.memory[Symbol.dispose]();
  }
}

/** What a set gives now: events and data. */
function take(set: EpollFile, most = 100): [number, bigint][] {
  const given: [number, bigint][] = [];
  set.take(most, (events, data) => given.push([events, data]) > 0);
  return given;
}

const IN = POLL.in;

Deno.test("epoll_file: what a set knows of its files travels", async () => {
  using files = new Files();
  const set = files.add(new EpollFile());
  const outer = files.add(new EpollFile());
  const fds = [1n, 0n, 2n, 0n].map((value) =>
    files.add(new EventFile(O.nonBlock, value, false))
  );
  const timer = files.add(new TimerFile(files.clock, 1, O.nonBlock));
  const epoll = files.file<EpollFile>(set);
  const flags = [EPOLL.edge, EPOLL.edge, EPOLL.oneShot, 0];
  fds.forEach((fd, i) => {
    epoll.add(fd, files.file(fd), IN | flags[i], BigInt(i));
  });
  epoll.add(timer, files.file(timer), IN | EPOLL.edge, 9n);
  files.file<EpollFile>(outer).add(set, epoll, IN, 7n);
  // The first edge and the only shot are given.
  assertEquals(take(epoll), [[IN, 0n], [IN, 2n]]);
  files.file<TimerFile>(timer).set({
    dueNs: 0,
    intervalNs: 0,
    isWallClock: false,
  });
  assertEquals(take(epoll), [[IN, 9n]]);
  // These are not yet, in this order.
  files.put(fds[3], 1n);
  files.put(fds[1], 1n);

  const parts = await files.save();
  files.fds.closeAll();
  files.restore(parts);
  const again = files.file<EpollFile>(set);
  assertEquals(files.file(outer).poll(IN), IN);
  assertEquals(take(again, 1), [[IN, 3n]]);
  assertEquals(take(again), [[IN, 1n], [IN, 3n]]);
  assertEquals(take(again), [[IN, 3n]]);
  // What was given waits for the next edge, or to be armed.
  files.put(fds[0], 1n);
  files.put(fds[2], 1n);
  assertEquals(take(again), [[IN, 3n], [IN, 0n]]);
  again.modify(fds[2], files.file(fds[2]), IN, 22n);
  assertEquals(take(again), [[IN, 3n], [IN, 22n]]);
  assertEquals(files.count(fds[2]), 3n);
  assertEquals(files.count(timer), 1n);
});

Deno.test("epoll_file: a set that waits for many hears of the one that changes, and asks no other", async () => {
  using files = new Files();
  let asked = 0;
  class Counted extends EventFile {
    override poll(events: number): number {
      asked++;
      return super.poll(events);
    }
    override wait(events: number, signal: AbortSignal): Promise<void> {
      asked++;
      return super.wait(events, signal);
    }
  }
  const set = new EpollFile();
  files.add(set);
  const fds = Array.from({ length: 1000 }, () => {
    const fd = files.add(new Counted(O.nonBlock, 0n, false));
    assertEquals(set.add(fd, files.file(fd), IN, BigInt(fd)), 0);
    return fd;
  });
  asked = 0;
  assertEquals(take(set), []);
  const waiting = set.wait(IN, new AbortController().signal);
  assertEquals(asked, 0);
  files.put(fds[500], 1n);
  await waiting;
  assertEquals(take(set), [[IN, BigInt(fds[500])]]);
  assertEquals(asked, 1);
});

Deno.test("epoll_file: a file leaves its sets with its last descriptor", () => {
  using files = new Files();
  const set = new EpollFile();
  files.add(set);
  const file = new EventFile(0, 1n, false);
  const fd = files.add(file);
  const copy = files.add(file);
  set.add(fd, file, IN, 1n);
  files.fds.close(fd);
  assertEquals(take(set), [[IN, 1n]]);
  files.fds.close(copy);
  assertEquals(take(set), []);
  assertEquals(set.interests(), []);
  assertEquals(file.interestCount, 0);
});

Deno.test("epoll_file: who waits is told of a timer that is added or set meanwhile", async () => {
  using files = new Files();
  const set = new EpollFile();
  files.add(set);
  const timer = new TimerFile(files.clock, 1, 0);
  const fd = files.add(timer);
  const signal = new AbortController().signal;
  let waiting = set.wait(IN, signal);
  assertEquals(set.add(fd, timer, IN, 5n), 0);
  await waiting;
  waiting = set.wait(IN, signal);
  const dueNs = files.clock.monotonicNs() + 1e6;
  timer.set({ dueNs, intervalNs: 0, isWallClock: false });
  await waiting;
  // It may be told of the setting alone.
  while (take(set).length === 0) await set.wait(IN, signal);
  assertEquals(files.count(fd), 1n);
});

Deno.test("epoll_file: sets in each other, too deep or in too many are refused", async () => {
  using files = new Files();
  const sets = Array.from({ length: 12 }, () => new EpollFile());
  const fds = sets.map((set) => files.add(set));
  assertEquals(sets[0].add(fds[1], sets[1], IN, 0n), 0);
  assertEquals(sets[1].add(fds[0], sets[0], IN, 0n), -ERRNO.ELOOP);
  for (let i = 1; i < 4; i++) {
    assertEquals(sets[i].add(fds[i + 1], sets[i + 1], IN, 0n), 0);
  }
  assertEquals(sets[4].add(fds[5], sets[5], IN, 0n), -ERRNO.ELOOP);
  assertEquals(sets[5].add(fds[0], sets[0], IN, 0n), -ERRNO.ELOOP);
  const results = sets.slice(5).map((s) => s.add(fds[4], sets[4], IN, 0n));
  assertEquals(results, [...new Array(7).fill(0)]);
  assertEquals(
    sets[11].add(99, sets[4], IN, 0n),
    -ERRNO.ENOSPC,
  );
  // An image that says otherwise is refused.
  const parts = await files.save();
  const { state } = parts[0];
  assert(state.part === "table");
  const loop = structuredClone(state);
  const [first] = loop.files;
  assert(first.type === "epoll");
  first.interests[0].file = 0;
  assertThrows(
    () => files.restore([{ ...parts[0], state: loop }]),
    FilesError,
    "nested too deep",
  );
});

Deno.test("timer_file: the time that is left goes on after a thaw, that of the wall clock passes", async () => {
  using files = new Files();
  files.clock.stop();
  const monotonic = new TimerFile(files.clock, 1, O.nonBlock);
  const wall = new TimerFile(files.clock, 0, O.nonBlock);
  const now = files.clock.monotonicNs();
  files.add(monotonic);
  files.add(wall);
  monotonic.set({ dueNs: now + 5e9, intervalNs: 2e9, isWallClock: false });
  files.clock.readRealtime();
  const { seconds } = files.clock;
  wall.set({ dueNs: (seconds - 5) * 1e9, intervalNs: 0, isWallClock: true });
  const parts = await files.save();
  files.restore(parts);
  assertEquals(files.file<TimerFile>(0).left(), {
    leftNs: 5e9,
    intervalNs: 2e9,
  });
  assertEquals(files.count(0), -ERRNO.EAGAIN);
  assertEquals(files.count(1), 1n);
});

Deno.test("timer_file: expirations are counted, from when it was set", () => {
  using files = new Files();
  files.clock.stop();
  const timer = new TimerFile(files.clock, 1, O.nonBlock);
  files.add(timer);
  const now = files.clock.monotonicNs();
  timer.set({ dueNs: now - 5e9, intervalNs: 2e9, isWallClock: false });
  assertEquals(timer.poll(IN), IN);
  assertEquals(files.count(0), 3n);
  assertEquals(files.count(0), -ERRNO.EAGAIN);
  assertEquals(timer.left().leftNs, 1e9);
  timer.set({ dueNs: null, intervalNs: 0, isWallClock: false });
  assertEquals(timer.left().leftNs, 0);
});

for (const [name, kind] of Object.entries(SOCKET_KIND)) {
  Deno.test(`socket_end: ${name}: what was sent, and who is gone, travels`, async () => {
    using files = new Files();
    const [one, two] = SocketEnd.pair(kind, O.nonBlock, 1);
    const [lone, gone] = SocketEnd.pair(kind, O.nonBlock, 3);
    const fds = [one, two, lone, gone].map((end) => files.add(end));
    const bytes = (text: string) => new TextEncoder().encode(text);
    assertEquals(files.write(fds[0], bytes("abc")), 3);
    assertEquals(files.write(fds[0], bytes("defg")), 4);
    assertEquals(files.write(fds[1], bytes("x")), 1);
    assertEquals(files.write(fds[2], bytes("lost")), 4);
    assertEquals(files.write(fds[3], bytes("left")), 4);
    files.fds.close(fds[3]);
    files.restore(await files.save());
    if (kind === SOCKET_KIND.stream) {
      assertEquals(files.read(fds[1], 5), bytes("abcde"));
      assertEquals(files.read(fds[1], 5), bytes("fg"));
    } else {
      assertEquals(files.read(fds[1], 2), bytes("ab"));
      assertEquals(files.read(fds[1], 5), bytes("defg"));
    }
    assertEquals(files.read(fds[1]), -ERRNO.EAGAIN);
    assertEquals(files.read(fds[0]), bytes("x"));
    // It is told once that what it sent was lost.
    const first = kind === SOCKET_KIND.packets
      ? -ERRNO.ECONNRESET
      : bytes("left");
    assertEquals(files.read(fds[2]), first);
    const sent = files.write(fds[2], bytes("y"));
    const refused = {
      stream: -ERRNO.ECONNRESET,
      packets: -ERRNO.EPIPE,
      datagram: -ERRNO.ECONNREFUSED,
    };
    assertEquals(sent, refused[name as keyof typeof refused]);
  });
}

Deno.test("socket_end: who sends too much waits until enough was received", () => {
  using files = new Files();
  const [one, two] = SocketEnd.pair(SOCKET_KIND.stream, O.nonBlock, 1);
  const fds = [files.add(one), files.add(two)];
  let sent = 0;
  for (;;) {
    const n = files.write(fds[0], new Uint8Array(10_000).fill(1));
    if (n === -ERRNO.EAGAIN) break;
    sent += n;
  }
  assertEquals(one.poll(POLL.out), 0);
  let got = 0;
  while (got < sent) got += (files.read(fds[1], 50_000) as Uint8Array).length;
  assertEquals(got, sent);
  assertEquals(one.poll(POLL.out), POLL.out);
  assertEquals(two.poll(POLL.in), 0);
});

Deno.test("pipe: it holds more when it is made to, and that travels", async () => {
  using files = new Files();
  const buffer = new PipeBuffer(1);
  files.add(new PipeEnd(buffer, O.readOnly | O.nonBlock));
  files.add(new PipeEnd(buffer, O.writeOnly | O.nonBlock));
  assertEquals(buffer.resize(131_072), true);
  assertEquals(files.write(1, new Uint8Array(131_072).fill(7)), 131_072);
  assertEquals(buffer.resize(4096), false);
  files.restore(await files.save());
  assertEquals(files.file<PipeEnd>(0).pipe.capacityBytes, 131_072);
  assertEquals(files.write(1, new Uint8Array(1)), -ERRNO.EAGAIN);
});

Deno.test("epoll_file: a set is looked at once, by however many ways it is in others", () => {
  const clock = new Clock();
  let looks = 0;
  class Counted extends TimerFile {
    override poll(events: number): number {
      looks++;
      return super.poll(events);
    }
  }
  const file = new Counted(clock, 1, 0);
  const levels = [1, 8, 8, 8, 8].map((count) =>
    Array.from({ length: count }, () => new EpollFile())
  );
  let fd = 0;
  for (const [i, sets] of levels.entries()) {
    for (const below of levels[i + 1] ?? [file]) {
      for (const set of sets) {
        assertEquals(set.add(fd++, below, POLL.in, 0n), 0);
      }
    }
  }
  const [[root]] = levels;
  looks = 0;
  assertEquals(root.poll(POLL.in), 0);
  // Once for each set that it is in.
  assert(looks <= 8, `${looks} looks`);
  for (const set of levels.flat()) set.close();
  file.close();
});
