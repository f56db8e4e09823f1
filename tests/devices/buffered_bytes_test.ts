/**
 * What pipes, sockets and files of /proc hold, which goes into images whatever
 * it is and however much.
 *
 * @module
 */

import * as v from "valibot";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import {
  FdTable,
  FilesError,
  type FilesPart,
  FilesSaver,
  filesState,
  HostPaths,
  IoVector,
  MAX_ALL_PIPES_BYTES,
  MAX_ALL_SOCKETS_BYTES,
  MAX_ALL_VIRTUAL_BYTES,
  MAX_PIPE_BYTES,
  MAX_SOCKET_BYTES,
  MAX_VIRTUAL_BYTES,
  O,
  type OpenFile,
  PipeBuffer,
  PipeEnd,
  POLL,
  restoreFiles,
  SOCKET_KIND,
  SocketEnd,
  VirtualFile,
} from "../../src/devices/mod.ts";
import {
  decodeState,
  ImageFile,
  saveImageFile,
  toSection,
} from "../../src/state/mod.ts";
import { Memory } from "../../src/vmm/mod.ts";
import { Scratch } from "../support.ts";

/** Most bytes that one read or write in these tests moves. */
const IO_BYTES = 1024 ** 2;

const EAGAIN = 11;

/** What is written: of no period. */
const PATTERN = new Uint8Array(IO_BYTES + 4096);
for (let i = 0; i < PATTERN.length; i++) PATTERN[i] = i * i >>> 7;

/** Open files, and memory to read and write them by. */
class Files implements Disposable {
  readonly #memory = new Memory(4 * 1024 ** 2);
  readonly #io = new IoVector(this.#memory);
  readonly #paths = new HostPaths({ read: [], write: [] });
  fds = new FdTable();

  add(file: OpenFile): number {
    return this.fds.install(file, false);
  }

  pair(kind: typeof SOCKET_KIND[keyof typeof SOCKET_KIND]): [number, number] {
    const ends = SocketEnd.pair(kind, O.nonBlock, 1, this.fds.sockets);
    for (const end of ends) end.sendBytes = MAX_SOCKET_BYTES;
    return [this.add(ends[0]), this.add(ends[1])];
  }

  #vector(isInput: boolean, lengthBytes: number): IoVector {
    this.#io.reset(isInput);
    this.#io.add(0, lengthBytes);
    this.#io.wantedBytes = lengthBytes;
    return this.#io;
  }

  /** Writes so many bytes, which ones depends on `seed`; what it gave. */
  write(fd: number, lengthBytes: number, seed: number): number {
    const from = seed * 97 % 4096;
    this.#memory.write(0, PATTERN.subarray(from, from + lengthBytes));
    return this.fds.file(fd)!.write(this.#vector(false, lengthBytes));
  }

  /** What one read gives; nothing at the end, and where there is nothing. */
  read(fd: number): Uint8Array {
    const got = this.fds.file(fd)!.read(this.#vector(true, IO_BYTES));
    return this.#memory.bytes(0, Math.max(got, 0)).slice();
  }

  /** All that is left to read, read by read. */
  drain(fd: number): Uint8Array[] {
    const all: Uint8Array[] = [];
    for (let got; (got = this.read(fd)).length > 0;) all.push(got);
    return all;
  }

  /** The parts of a save, as an image has them. */
  async save(): Promise<FilesPart[]> {
    await using scratch = new Scratch();
    const path = scratch.file("image");
    await saveImageFile(path, [new FilesSaver(this.fds)], { creator: "test" });
    using image = await ImageFile.open(path);
    await image.verifyData();
    return image.sections.map((section) => {
      const bytes = image.readData(section).slice();
      return { state: decodeState(filesState, section), data: () => bytes };
    });
  }

  restore(parts: readonly FilesPart[]): void {
    this.fds = restoreFiles(parts, { paths: this.#paths, policy: "check" });
  }

  [Symbol.dispose](): void {
    this.fds.closeAll();
    this.#paths[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }
}

/** What is to be read, compared without showing megabytes. */
function areSame(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length &&
    a.every((one, i) => Buffer.compare(one, b[i]) === 0);
}

function tableOf(parts: readonly FilesPart[]) {
  const [{ state }] = parts;
  assert(state.part === "table");
  return state;
}

Deno.test("buffered: everything as full as it may be travels, byte by byte", async () => {
  using files = new Files();
  const readers: number[] = [];
  const pipe = (capacityBytes: number) => {
    const buffer = new PipeBuffer(1, new Uint8Array(), capacityBytes);
    const reader = files.add(new PipeEnd(buffer, O.readOnly | O.nonBlock));
    const writer = files.add(new PipeEnd(buffer, O.writeOnly | O.nonBlock));
    // Not from the ring's beginning.
    assertEquals(files.write(writer, 1000, 0), 1000);
    assertEquals(files.read(reader).length, 1000);
    assertEquals(files.write(writer, capacityBytes, writer), capacityBytes);
    assertEquals(files.write(writer, 1, 0), -EAGAIN);
    readers.push(reader);
  };
  const large = MAX_ALL_PIPES_BYTES / MAX_PIPE_BYTES - 1;
  for (let i = 0; i < large; i++) pipe(MAX_PIPE_BYTES);
  for (let i = 0; i < 100; i++) pipe(65536);
  let sent = 0;
  for (let seed = 0, isFull = false; !isFull; seed++) {
    const { stream, packets, datagram } = SOCKET_KIND;
    const [one, two] = files.pair([stream, packets, datagram][seed % 3]);
    readers.push(two);
    for (let got; (got = files.write(one, 123_456, seed)) !== -EAGAIN;) {
      assert(got > 0);
      sent += got;
    }
    isFull = files.write(two, 1, 0) === -EAGAIN;
  }
  assert(sent > MAX_ALL_SOCKETS_BYTES * 0.95, `${sent}`);
  for (let i = 0; i < MAX_ALL_VIRTUAL_BYTES / MAX_VIRTUAL_BYTES; i++) {
    const content = new Uint8Array(MAX_VIRTUAL_BYTES).fill(i + 1);
    const parts = { path: "/proc/self/maps", mode: 0o100444, content };
    readers.push(files.add(new VirtualFile(parts, O.readOnly)));
  }
  const parts = await files.save();
  const expected = readers.map((fd) => files.drain(fd));
  files.fds.closeAll();
  files.restore(parts);
  for (const [i, fd] of readers.entries()) {
    assertEquals([i, areSame(files.drain(fd), expected[i])], [i, true]);
  }
});

Deno.test("buffered: sockets send no more than all may hold, until one is read or closed", async () => {
  using files = new Files();
  const pairs: [number, number][] = [];
  const fill = () => {
    for (;;) {
      const [one, two] = files.pair(SOCKET_KIND.stream);
      pairs.push([one, two]);
      while (files.write(one, 200_000, 1) > 0);
      if (files.write(two, 1, 1) === -EAGAIN) return;
    }
  };
  fill();
  // One that has room of its own.
  const [mine, other] = files.pair(SOCKET_KIND.packets);
  const socket = files.fds.file(mine)!;
  for (const makeRoom of ["read", "close"]) {
    assertEquals(files.write(mine, 1, 1), -EAGAIN);
    assertEquals(socket.poll(POLL.out), 0);
    let told = 0;
    const unwatch = socket.watch((events) => told |= events);
    const stop = new AbortController();
    let isWoken = false;
    const woken = socket.wait(POLL.out, stop.signal).then(() => isWoken = true);
    const [one, two] = pairs.pop()!;
    if (makeRoom === "read") assert(files.read(two).length > 0);
    else files.fds.close(two);
    // Where nobody was told this is never so.
    await Promise.resolve().then(() => {});
    assertEquals([isWoken, told & POLL.out], [true, POLL.out]);
    await woken;
    unwatch();
    assertEquals(socket.poll(POLL.out), POLL.out);
    assertEquals(files.write(mine, 1, 1), 1);
    assertEquals(files.read(other).length, 1);
    files.fds.close(one);
    if (makeRoom === "read") files.fds.close(two);
    fill();
  }
  // What they hold is held after a thaw too.
  const parts = await files.save();
  files.fds.closeAll();
  files.restore(parts);
  assertEquals(files.write(mine, 1, 1), -EAGAIN);
  assert(files.read(pairs[0][1]).length > 0);
  assertEquals(files.write(mine, 1, 1), 1);
  files.fds.closeAll();
  const [again] = files.pair(SOCKET_KIND.stream);
  assertEquals(files.write(again, 1, 1), 1);
});

Deno.test("buffered: what was opened as one file of /proc is saved once, and is one again", async () => {
  using files = new Files();
  const content = new Uint8Array(MAX_VIRTUAL_BYTES).fill(7);
  const first = new VirtualFile(
    { path: "/proc/x", mode: 0o100444, content },
    0,
  );
  const fds = [
    first,
    ...Array.from({ length: 9 }, () => new VirtualFile(first, 0)),
  ]
    .map((file) => files.add(file));
  const parts = await files.save();
  assertEquals(tableOf(parts).texts, [MAX_VIRTUAL_BYTES]);
  const total = parts.reduce((n, part) => n + part.data().length, 0);
  assertEquals(total, MAX_VIRTUAL_BYTES);
  files.fds.closeAll();
  files.restore(parts);
  const contents = fds.map((fd) => (files.fds.file(fd) as VirtualFile).content);
  assertEquals(new Set(contents).size, 1);
  assertEquals(Buffer.compare(contents[0], content), 0);
});

Deno.test("buffered: bytes that are missing or left over are refused", async () => {
  using files = new Files();
  const pipe = new PipeBuffer(1, new Uint8Array(100));
  files.add(new PipeEnd(pipe, O.readOnly));
  const [one] = files.pair(SOCKET_KIND.packets);
  files.write(one, 50, 1);
  const content = new Uint8Array(25);
  files.add(new VirtualFile({ path: "/proc/x", mode: 0o100444, content }, 0));
  const parts = await files.save();
  const [table, bytes] = parts;
  assertEquals(bytes.data().length, 175);
  files.fds.closeAll();
  type Table = ReturnType<typeof tableOf>;
  const changed = (change: (table: Table) => void) => {
    const copy = structuredClone(tableOf(parts));
    change(copy);
    return [{ ...table, state: copy }, bytes];
  };
  const wrong: [string, FilesPart[]][] = [
    ["are missing", [table]],
    ["there are more", [...parts, bytes]],
    ["are missing", [table, { ...bytes, data: () => new Uint8Array() }]],
    ["there are more", changed((table) => table.pipes[0].lengthBytes--)],
    ["are missing", changed((table) => table.texts[0]++)],
    ["there are more", changed((table) => table.buffered = content)],
    [
      "text 1 is missing",
      changed(({ files }) => {
        const file = files.find(({ type }) => type === "virtual");
        assert(file?.type === "virtual");
        file.text = 1;
      }),
    ],
  ];
  for (const [why, parts] of wrong) {
    const error = assertThrows(() => files.restore(parts), FilesError, why);
    assertEquals(error.code, "FILES_STATE");
  }
  files.restore(parts);
});

Deno.test("buffered: sockets, pipes and texts of an image hold no more together than they may", async () => {
  using files = new Files();
  const pipe = new PipeBuffer(1);
  files.add(new PipeEnd(pipe, O.readOnly));
  files.pair(SOCKET_KIND.stream);
  const table = tableOf(await files.save());
  const issue = (change: Partial<typeof table>) =>
    v.safeParse(filesState.schema, { ...table, ...change }).issues?.at(-1)
      ?.message;
  const [, socket] = table.files;
  assert(socket.type === "socket");
  const sockets = (count: number) => ({
    files: new Array(count).fill({
      ...socket,
      messageBytes: new Array(128).fill(4096),
    }),
  });
  assertEquals(issue(sockets(128)), undefined);
  assertEquals(issue(sockets(129)), "sockets hold more than all may together");
  const pipes = (count: number) => ({
    pipes: new Array(count).fill({
      ...table.pipes[0],
      capacityBytes: 4096,
      lengthBytes: MAX_PIPE_BYTES,
    }),
  });
  assertEquals(issue(pipes(64)), undefined);
  assertEquals(issue(pipes(65)), "pipes hold more than all may together");
  const texts = (count: number) => ({
    texts: new Array(count).fill(MAX_VIRTUAL_BYTES),
  });
  assertEquals(issue(texts(4)), undefined);
  assertEquals(
    issue(texts(5)),
    "files of /proc hold more than all may together",
  );
});

Deno.test("buffered: the table of version 5 has its bytes where they belonged", async () => {
  using files = new Files();
  const text = (word: string) => new TextEncoder().encode(word);
  const pipes = ["one", "two"].map((word) => new PipeBuffer(1, text(word)));
  const fds = pipes.map((pipe) => files.add(new PipeEnd(pipe, O.readOnly)));
  const [, receiver] = files.pair(SOCKET_KIND.packets);
  const virtual = { path: "/proc/x", mode: 0o100444, content: text("x") };
  const shown = files.add(new VirtualFile(virtual, 0));
  const parts = await files.save();
  const { buffered: _, texts: __, ...table } = tableOf(parts);
  const old = {
    ...table,
    pipes: table.pipes.map(({ lengthBytes: _, ...pipe }, i) => ({
      ...pipe,
      content: text(["one", "two"][i]),
    })),
    files: table.files.map((file, i) => {
      if (file.type === "socket") {
        const { messageBytes: _, ...socket } = file;
        return { ...socket, messages: i === 3 ? [text("a"), text("bc")] : [] };
      }
      if (file.type !== "virtual") return file;
      const { text: _, ...rest } = file;
      return { ...rest, content: text("shown") };
    }),
  };
  const { kind } = filesState;
  const section = toSection({ kind, id: kind, version: 5 }, old);
  const state = decodeState(filesState, section);
  assert(state.part === "table");
  assertEquals(new TextDecoder().decode(state.buffered), "onetwoabcshown");
  files.fds.closeAll();
  files.restore([{ state, data: () => new Uint8Array() }]);
  const read = (fd: number) =>
    files.drain(fd).map((bytes) => new TextDecoder().decode(bytes));
  assertEquals([...fds, receiver, shown].map(read), [
    ["one"],
    ["two"],
    ["a", "bc"],
    ["shown"],
  ]);
  const wrong = { ...old, pipes: [{ ...old.pipes[0], content: "one" }] };
  assertThrows(() =>
    decodeState(filesState, toSection({ kind, id: kind, version: 5 }, wrong))
  );
});
