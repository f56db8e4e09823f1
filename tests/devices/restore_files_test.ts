import * as v from "valibot";
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { setImmediate } from "node:timers";
import fc from "fast-check";
import {
  addSeals,
  checkFiles,
  FdTable,
  FilesError,
  type FilesPart,
  type FilesPolicy,
  FilesSaver,
  filesState,
  HostFile,
  HostPaths,
  InotifyFile,
  IoVector,
  memfdWithFlags,
  O,
  pathOf,
  PipeBuffer,
  PipeEnd,
  POLL,
  restoreFiles,
  RootFolder,
  ScriptConsole,
  ScriptStream,
} from "../../src/devices/mod.ts";
import { F_LCK } from "../../src/devices/file_locks.ts";
import { mkdirat, unlinkat } from "../../src/devices/host_calls.ts";
import {
  F_OFD,
  FLOCK_BYTES,
  recordLock,
} from "../../src/devices/lock_calls.ts";
import { AT_FDCWD } from "../../src/devices/host_constants.ts";
import { getxattr, setxattr } from "../../src/devices/space_calls.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { decodeState, ImageError, toSection } from "../../src/state/mod.ts";
import { MappedFiles } from "../../src/linux/mapped_files.ts";
import {
  FILES_GPA,
  FileWindow,
  Memory,
  PAGE_BYTES,
  VmError,
} from "../../src/vmm/mod.ts";
import { lacksMount, testUnless } from "../machine.ts";
import { mounted, onSmallDisk } from "../mounted.ts";
import { resources, Scratch } from "../support.ts";
import { concat } from "../cli/bytes.ts";
import { holds } from "../vmm/property.ts";

/** A table of open files below a folder, and how it is saved and restored. */
class Files implements Disposable {
  readonly memory = new Memory(4 * 1024 * 1024);
  readonly io = new IoVector(this.memory);
  readonly paths: HostPaths;
  fds = new FdTable();
  console = new ScriptConsole();

  constructor(readonly folder: string) {
    this.paths = new HostPaths({ read: [folder], write: [folder] });
  }

  open(name: string, flags: number): number {
    const path = pathOf(`${this.folder}/${name}`);
    const access = { read: true, write: (flags & O.accessMode) !== 0 };
    const fd = this.paths.open("/", path, flags, 0o644, access);
    assert(fd >= 0, `${name}: ${fd}`);
    return this.fds.install(new HostFile(fd, flags), false);
  }

  write(fd: number, text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.io.reset(false);
    this.io.add(0, bytes.length);
    this.memory.write(0, bytes);
    assertEquals(this.fds.file(fd)!.write(this.io), bytes.length);
  }

  read(fd: number, lengthBytes = 100): string {
    this.io.reset(true);
    this.io.add(0, lengthBytes);
    const got = this.fds.file(fd)!.read(this.io);
    assert(got >= 0, `errno ${-got}`);
    return new TextDecoder().decode(this.memory.bytes(0, got).slice());
  }

  /** The parts of a save, through CBOR and the schema. */
  async save(
    carry = false,
    meanwhile = () => {},
    root?: RootFolder,
  ): Promise<FilesPart[]> {
    const saver = new FilesSaver(this.fds, this.console, { carry, root });
    const dump = await saver.dump();
    meanwhile();
    if (dump.answer === "cannot") throw new Error(dump.why);
    assert(dump.answer === "many");
    return [...dump.parts].map(({ value, data = [] }, i) => {
      const bytes = concat(...data);
      return {
        state: decodeState(filesState, toSection(saver, value, i)),
        data: () => bytes,
      };
    });
  }

  /** Closes everything, as the end of the process would. */
  close(): void {
    this.fds.closeAll();
    this.fds = new FdTable();
    this.console = new ScriptConsole();
  }

  restore(parts: readonly FilesPart[], policy: FilesPolicy = "check"): void {
    const { paths, console } = this;
    this.fds = restoreFiles(parts, { paths, console, policy });
  }

  refuse(
    parts: readonly FilesPart[],
    policy: FilesPolicy = "check",
  ): FilesError {
    const before = resources().fds;
    const { paths, console } = this;
    const error = assertThrows(
      () => restoreFiles(parts, { paths, console, policy }),
      FilesError,
    );
    assertEquals(resources().fds, before);
    return error;
  }

  [Symbol.dispose](): void {
    this.fds.closeAll();
    this.paths[Symbol.dispose]();
    this.memory[Symbol.dispose]();
  }
}

Deno.test("restore_files: a descriptor goes on at its offset, with its flags, dup'd ones together", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("a", O.create | O.truncate | O.exclusive | O.readWrite);
  files.write(fd, "0123456789");
  files.fds.file(fd)!.seek(4, 0);
  const copy = files.fds.install(files.fds.file(fd)!, true, { minimum: 7 });
  const append = files.open("a", O.writeOnly | O.append);
  const parts = await files.save();
  files.close();
  files.restore(parts);
  assertEquals([...files.fds.entries()].map(([n, d]) => [n, d.closeOnExec]), [
    [fd, false],
    [append, false],
    [copy, true],
  ]);
  assertEquals(files.read(copy, 2), "45");
  assertEquals(files.read(fd, 2), "67");
  files.write(append, "ab");
  assertEquals(Deno.readTextFileSync(scratch.file("a")), "0123456789ab");
  assertEquals(files.fds.file(fd)!.references, 2);
});

Deno.test("restore_files: a folder goes on where its listing was", async () => {
  await using scratch = new Scratch();
  const names = Array.from({ length: 400 }, (_, i) => `file${i}`);
  for (const name of names) Deno.writeTextFileSync(scratch.file(name), "");
  using files = new Files(scratch.path);
  const fd = files.open(".", O.readOnly | O.directory);
  const seen: string[] = [];
  // Until the end, where some file systems have 2^63 - 1 as offset.
  for (let round = 0;; round++) {
    const buffer = new Uint8Array(2000);
    const got = files.fds.file(fd)!.getdents(buffer);
    assert(got >= 0);
    const view = new DataView(buffer.buffer);
    for (let at = 0; at < got; at += view.getUint16(at + 16, true)) {
      const name = buffer.subarray(at + 19, buffer.indexOf(0, at + 19));
      seen.push(new TextDecoder().decode(name));
    }
    const parts = await files.save();
    files.close();
    files.restore(parts);
    if (got === 0) break;
    assert(round < 100);
  }
  assertEquals(seen.sort(), [...names, ".", ".."].sort());
});

Deno.test("restore_files: a file that became shorter, longer, other or missing is found out", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("a");
  using files = new Files(scratch.path);
  const fd = files.open("a", O.create | O.readWrite);
  files.write(fd, "hello world");
  const parts = await files.save();
  files.close();

  Deno.writeTextFileSync(path, "hello");
  let error = files.refuse(parts);
  assertEquals(error.code, "FILES_CHANGED");
  assertEquals(
    error.message,
    `Cannot restore descriptor 0 (${path}): expected at least 11 bytes, found 5 bytes: it became shorter`,
  );
  Deno.writeTextFileSync(path, "hellO world");
  error = files.refuse(parts);
  assertEquals(error.code, "FILES_CHANGED");
  assert(error.message.includes("expected content with SHA-256"));
  assertEquals(files.refuse(parts, "rollback").code, "FILES_CHANGED");
  Deno.removeSync(path);
  error = files.refuse(parts);
  assertEquals(error.code, "FILES_MISSING");
  assert(error.message.includes(`descriptor 0 (${path})`));
  assert(error.message.includes("expected a file of 11 bytes, found none"));
  assertEquals(files.refuse(parts, "trust").code, "FILES_MISSING");
  Deno.mkdirSync(path);
  assertEquals(files.refuse(parts).code, "FILES_DENIED");
  Deno.removeSync(path);
  // What was there at the save is there still: it may have grown.
  Deno.writeTextFileSync(path, "hello world, and more");
  files.restore(parts);
  files.write(fd, "!");
  assertEquals(Deno.readTextFileSync(path), "hello world! and more");
});

Deno.test("restore_files: trust takes a file as it is", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("a", O.create | O.readWrite);
  files.write(fd, "hello world");
  const parts = await files.save();
  files.close();
  Deno.writeTextFileSync(scratch.file("a"), "HELLO");
  files.restore(parts, "trust");
  assertEquals(files.read(fd), "");
  files.fds.file(fd)!.seek(0, 0);
  assertEquals(files.read(fd), "HELLO");
});

Deno.test("restore_files: rollback cuts back what was written since, also through a reader", async () => {
  await using scratch = new Scratch();
  for (
    const [first, second] of [[O.readOnly, O.writeOnly], [
      O.writeOnly,
      O.readOnly,
    ]]
  ) {
    using files = new Files(scratch.path);
    Deno.writeTextFileSync(scratch.file("a"), "12345");
    const one = files.open("a", first);
    const two = files.open("a", second);
    const [reader, writer] = first === O.readOnly ? [one, two] : [two, one];
    files.fds.file(writer)!.seek(0, 2);
    files.write(writer, "678");
    const parts = await files.save();
    files.write(writer, "since");
    files.close();
    files.restore(parts, "rollback");
    assertEquals(Deno.readTextFileSync(scratch.file("a")), "12345678");
    assertEquals(files.read(reader), "12345678");
    files.write(writer, "9");
    assertEquals(files.read(reader), "9");
  }
});

Deno.test("restore_files: carried content comes back where the file is missing or other", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("a", O.create | O.readWrite);
  files.write(fd, "carried along");
  files.fds.file(fd)!.seek(8, 0);
  Deno.writeTextFileSync(scratch.file("r"), "read only");
  const reader = files.open("r", O.readOnly);
  assertEquals(files.read(reader, 5), "read ");
  const parts = await files.save(true);
  files.close();
  Deno.removeSync(scratch.file("a"));
  Deno.writeTextFileSync(scratch.file("r"), "something else entirely");
  files.restore(parts, "carry");
  assertEquals(Deno.readTextFileSync(scratch.file("a")), "carried along");
  assertEquals(files.read(fd), "along");
  assertEquals(files.read(reader), "only");
});

Deno.test("restore_files: a restore that is refused changes no file", async () => {
  for (const policy of ["rollback", "carry"] as const) {
    await using scratch = new Scratch();
    using files = new Files(scratch.path);
    const fd = files.open("a", O.create | O.readWrite);
    const other = files.open("b", O.create | O.readWrite);
    files.write(fd, "first");
    files.write(other, "other");
    files.console.push("typed");
    const parts = await files.save(policy === "carry");
    files.close();
    Deno.writeTextFileSync(scratch.file("a"), "first, and what came later");
    Deno.writeTextFileSync(scratch.file("b"), "x");
    // With carry: the last part of the image is missing.
    const error = policy === "carry"
      ? files.refuse(parts.slice(0, -1), policy)
      : files.refuse(parts, policy);
    assert(["FILES_CHANGED", "FILES_STATE"].includes(error.code));
    assertEquals(Deno.readTextFileSync(scratch.file("b")), "x");
    assertEquals(
      Deno.readTextFileSync(scratch.file("a")),
      "first, and what came later",
    );
    // Nor is input given to the program that there is not.
    assertEquals(files.console.unread().length, 0);
  }
});

Deno.test("restore_files: a lock that another holds is found before a file is changed", async () => {
  for (const policy of ["rollback", "carry"] as const) {
    for (const owner of ["flock", "file", "process"] as const) {
      await using scratch = new Scratch();
      using files = new Files(scratch.path);
      files.write(files.open("a", O.create | O.readWrite), "first");
      const locked = files.open("locked", O.create | O.readWrite);
      const slot = files.fds.file(locked)!;
      const lock = { file: 0, owner, isExclusive: true, start: 0n };
      files.fds.locks.restore([{ ...lock, lengthBytes: 0n }], [slot]);
      const parts = await files.save(policy === "carry");
      // Theirs is another descriptor of the same file.
      using other = new Files(scratch.path);
      const there = other.fds.file(other.open("locked", O.readWrite))!;
      const taken = () =>
        other.fds.locks.restore([{ ...lock, lengthBytes: 0n }], [there]);
      assertThrows(taken, FilesError, "another holds one");
      files.close();
      taken();
      Deno.writeTextFileSync(scratch.file("a"), "first, and more");
      const error = files.refuse(parts, policy);
      assertEquals(error.code, "FILES_DENIED");
      assertEquals(
        Deno.readTextFileSync(scratch.file("a")),
        "first, and more",
      );
      other.close();
      files.restore(parts, policy);
      assertEquals(Deno.readTextFileSync(scratch.file("a")), "first");
      using late = new Files(scratch.path);
      const last = late.fds.file(late.open("locked", O.readWrite))!;
      assertThrows(
        () => late.fds.locks.restore([{ ...lock, lengthBytes: 0n }], [last]),
        FilesError,
        "another holds one",
      );
    }
  }
});

Deno.test("restore_files: carried content is written only when all of it can be", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  for (const name of ["a", "b", "c"]) {
    files.write(files.open(name, O.create | O.readWrite), `content of ${name}`);
  }
  const parts = await files.save(true);
  files.close();
  Deno.writeTextFileSync(scratch.file("a"), "mine now");
  Deno.removeSync(scratch.file("b"));
  Deno.removeSync(scratch.file("c"));
  Deno.mkdirSync(scratch.file("c"));
  const error = files.refuse(parts, "carry");
  assert(error.message.includes(scratch.file("c")), error.message);
  assertEquals(Deno.readTextFileSync(scratch.file("a")), "mine now");
  assertEquals([...Deno.readDirSync(scratch.path)].length, 2);
  Deno.removeSync(scratch.file("c"));
  files.restore(parts, "carry");
  assertEquals(Deno.readTextFileSync(scratch.file("a")), "content of a");
  assertEquals(Deno.readTextFileSync(scratch.file("c")), "content of c");
});

Deno.test("restore_files: a file that is missing is on the disk before it has its name", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("a", O.create | O.readWrite);
  const other = files.open("a", O.readWrite);
  files.write(fd, "carried along");
  const parts = await files.save(true);
  files.close();
  Deno.removeSync(scratch.file("a"));
  let mayRead = true;
  const once = parts.map((part) => ({
    ...part,
    data() {
      assert(mayRead || part.state.part !== "content");
      return part.data();
    },
  }));
  const { paths, console } = files;
  const before = resources().fds;
  (await checkFiles(once, { paths, console, policy: "carry" }))
    [Symbol.dispose]();
  assertEquals(resources().fds, before);
  assertEquals([...Deno.readDirSync(scratch.path)], []);
  // Of two descriptors the first makes the file, and both have it.
  using both = await checkFiles(once, { paths, console, policy: "carry" });
  assertEquals([...Deno.readDirSync(scratch.path)], []);
  files.fds = both.finish();
  files.write(fd, ", and on");
  files.fds.file(other)!.seek(0, 0);
  assertEquals(files.read(other), "carried along, and on");
  files.close();
  Deno.removeSync(scratch.file("a"));
  const single = once.filter(({ state }) =>
    state.part !== "content" || state.file === 0
  );
  single[0] = { ...single[0], state: onlyFirst(parts[0].state) };
  using one = await checkFiles(single, { paths, console, policy: "carry" });
  mayRead = false;
  files.fds = one.finish();
  assertEquals(Deno.readTextFileSync(scratch.file("a")), "carried along");
  files.close();
  assertEquals(resources().fds, before);
});

/** What tests on a small disk lack. */
const NO_MOUNT = lacksMount();

/** Writes until the disk has no room left; returns the file that did it. */
function fillUp(folder: string): string {
  const path = `${folder}/filler`;
  using file = Deno.openSync(path, { create: true, write: true });
  const error = assertThrows(() => {
    for (;;) file.writeSync(new Uint8Array(4096));
  }, Error);
  assertMatch(error.message, /os error 28/);
  return path;
}

/** What is in a folder, by name. */
function listing(folder: string): Record<string, string> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  return Object.fromEntries(
    names.map((name) => [name, Deno.readTextFileSync(`${folder}/${name}`)]),
  );
}

testUnless(
  NO_MOUNT,
  "restore_files: a disk that is full is named, and nothing is left on it",
  async () => {
    await onSmallDisk("128k", async (folder) => {
      using files = new Files(folder);
      files.write(files.open("a", O.create | O.readWrite), "x".repeat(60_000));
      files.write(files.open("b", O.create | O.readWrite), "y".repeat(60_000));
      const parts = await files.save(true);
      files.close();
      Deno.removeSync(`${folder}/a`);
      Deno.removeSync(`${folder}/b`);
      // Room for one of the two.
      Deno.writeFileSync(`${folder}/other`, new Uint8Array(16_000));
      const error = files.refuse(parts, "carry");
      assertEquals(error.code, "FILES_IO");
      assertMatch(
        error.message,
        /\/b\): what the image carries cannot be .* 28/,
      );
      assertEquals(Object.keys(listing(folder)), ["other"]);
    });
  },
);

testUnless(
  NO_MOUNT,
  "restore_files: on a disk that is full a carried file stays as it was, or is replaced whole",
  async () => {
    await onSmallDisk("256k", async (folder) => {
      using files = new Files(folder);
      const carried = "x".repeat(60_000);
      const fd = files.open("a", O.create | O.readWrite);
      files.write(fd, carried);
      files.open("a", O.readOnly);
      const parts = await files.save(true);
      files.close();
      Deno.writeTextFileSync(`${folder}/a`, "mine now");
      const filler = fillUp(folder);
      const full = listing(folder);
      const error = files.refuse(parts, "carry");
      assertEquals([error.code, error.hint], [
        "FILES_IO",
        "make room on its disk",
      ]);
      assertEquals(listing(folder), full);
      // Room for the content once, although two descriptors are of the file;
      // and none any more when it is put in place.
      Deno.truncateSync(filler, full.filler.length - 64 * 1024);
      const { paths, console } = files;
      using checked = await checkFiles(parts, {
        paths,
        console,
        policy: "carry",
      });
      Deno.removeSync(filler);
      fillUp(folder);
      assertEquals(Deno.readTextFileSync(`${folder}/a`), "mine now");
      files.fds = checked.finish();
      assertEquals(Deno.readTextFileSync(`${folder}/a`), carried);
      assertEquals(Object.keys(listing(folder)), ["a", "filler"]);
    });
  },
);

/** Its owner may all, one other user may read, nobody else anything. */
function accessList(): Uint8Array<ArrayBuffer> {
  const entries = [[1, 6, -1], [2, 4, 12345], [4, 0, -1], [16, 4, -1], [
    32,
    0,
    -1,
  ]];
  const view = new DataView(new ArrayBuffer(4 + 8 * entries.length));
  view.setUint32(0, 2, true);
  entries.forEach(([tag, rights, id], i) => {
    view.setUint16(4 + 8 * i, tag, true);
    view.setUint16(6 + 8 * i, rights, true);
    view.setInt32(8 + 8 * i, id, true);
  });
  return new Uint8Array(view.buffer);
}

Deno.test("restore_files: what replaces a file has its mode, and who reads the old one has it whole", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("a");
  using files = new Files(scratch.path);
  files.write(files.open("a", O.create | O.readWrite), "carried along");
  const parts = await files.save(true);
  files.close();
  Deno.writeTextFileSync(path, "what was there");
  Deno.chmodSync(path, 0o640);
  // What the file system takes of it: a note, and another user's reading.
  const attributes = [
    ["user.note", new TextEncoder().encode("keep me")],
    ["system.posix_acl_access", accessList()],
  ] as const;
  const taken = attributes.filter(([name, value]) =>
    setxattr(path, name, value, 0, true) === 0
  );
  assert(taken.length > 0);
  using reader = Deno.openSync(path);
  const before = Deno.statSync(path);
  files.restore(parts, "carry");
  const { mode, uid, gid, ino } = Deno.statSync(path);
  assertEquals({ mode, uid, gid }, {
    mode: before.mode,
    uid: before.uid,
    gid: before.gid,
  });
  assert(ino !== before.ino);
  for (const [name, expected] of taken) {
    const value = new Uint8Array(100);
    const length = getxattr(path, name, value, true);
    assertEquals(value.subarray(0, Math.max(length, 0)), expected, name);
  }
  const old = new Uint8Array(100);
  const length = reader.readSync(old)!;
  assertEquals(
    new TextDecoder().decode(old.subarray(0, length)),
    "what was there",
  );
  assertEquals(Object.keys(listing(scratch.path)), ["a"]);
});

Deno.test("restore_files: a file with other names is left alone, unless it has the content", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("a");
  using files = new Files(scratch.path);
  const fd = files.open("a", O.create | O.readWrite);
  files.write(fd, "carried along");
  const parts = await files.save(true);
  files.close();
  Deno.linkSync(path, scratch.file("b"));
  const { ino } = Deno.statSync(path);
  files.restore(parts, "carry");
  files.close();
  assertEquals(Deno.statSync(path).ino, ino);
  Deno.writeTextFileSync(scratch.file("b"), "other");
  const error = files.refuse(parts, "carry");
  assertEquals([error.code, error.message], [
    "FILES_CHANGED",
    `Cannot restore descriptor 0 (${path}): expected a file that can be replaced as a whole, found a file that has other names (hard links)`,
  ]);
  assertEquals(listing(scratch.path), { a: "other", b: "other" });
});

Deno.test("restore_files: a file that was open by two names is one again", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const one = files.open("one", O.create | O.readWrite);
  files.write(one, "linked");
  Deno.linkSync(scratch.file("one"), scratch.file("two"));
  const two = files.open("two", O.readWrite);
  const parts = await files.save(true);
  files.close();
  Deno.removeSync(scratch.file("one"));
  Deno.writeTextFileSync(scratch.file("new"), "x");
  Deno.renameSync(scratch.file("new"), scratch.file("two"));
  files.restore(parts, "carry");
  files.write(one, " and on");
  assertEquals(files.read(two), "linked and on");
  assertEquals(listing(scratch.path), {
    one: "linked and on",
    two: "linked and on",
  });
});

Deno.test("restore_files: a symbolic link stays, and leads to what was carried", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("a", O.create | O.readWrite);
  files.write(fd, "carried along");
  const parts = await files.save(true);
  files.close();
  Deno.removeSync(scratch.file("a"));
  Deno.symlinkSync("elsewhere", scratch.file("a"));
  const error = files.refuse(parts, "carry");
  assertMatch(error.message, /found a symbolic link that leads nowhere$/);
  Deno.writeTextFileSync(scratch.file("elsewhere"), "old");
  files.restore(parts, "carry");
  assert(Deno.lstatSync(scratch.file("a")).isSymlink);
  assertEquals(
    Deno.readTextFileSync(scratch.file("elsewhere")),
    "carried along",
  );
});

Deno.test("restore_files: of files of which one cannot be put in place, none is", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  Deno.mkdirSync(scratch.file("sub"));
  for (const name of ["a", "b", "sub/c"]) {
    files.write(files.open(name, O.create | O.readWrite), `content of ${name}`);
  }
  const parts = await files.save(true);
  files.close();
  Deno.writeTextFileSync(scratch.file("a"), "mine now");
  Deno.removeSync(scratch.file("b"));
  Deno.removeSync(scratch.file("sub/c"));
  const { paths, console } = files;
  const before = resources().fds;
  const checked = await checkFiles(parts, { paths, console, policy: "carry" });
  Deno.removeSync(scratch.file("sub"));
  const error = assertThrows(() => checked.finish(), FilesError);
  assertMatch(
    error.message,
    /sub\/c\): expected a file of 16 bytes, found none/,
  );
  assertEquals(resources().fds, before);
  assertEquals(listing(scratch.path), { a: "mine now" });
});

/** A table with its first file alone. */
function onlyFirst(state: FilesPart["state"]): FilesPart["state"] {
  assert(state.part === "table");
  return {
    ...state,
    files: state.files.slice(0, 1),
    descriptors: state.descriptors.filter(({ file }) => file === 0),
  };
}

Deno.test("restore_files: a file that grows while it is saved is carried as it was", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("log", O.create | O.readWrite);
  files.write(fd, "a line\n");
  const path = scratch.file("log");
  const grow = () => Deno.writeTextFileSync(path, "more\n", { append: true });
  const parts = await files.save(true, grow);
  files.close();
  files.restore(parts, "carry");
  assertEquals(Deno.readTextFileSync(path), "a line\n");
});

Deno.test("restore_files: two opens of a file without a name stay one file", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const one = files.open("gone", O.create | O.readWrite);
  const two = files.open("gone", O.readWrite);
  Deno.removeSync(scratch.file("gone"));
  files.write(one, "before ");
  const parts = await files.save();
  files.close();
  files.restore(parts);
  files.write(one, "after");
  assertEquals(files.read(two), "before after");
});

Deno.test("restore_files: a hole in a file stays one", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("sparse", O.create | O.readWrite);
  const bytes = 1024 ** 3;
  files.fds.file(fd)!.truncate(bytes);
  files.fds.file(fd)!.seek(bytes / 2, 0);
  files.write(fd, "in the middle");
  Deno.removeSync(scratch.file("sparse"));
  const parts = await files.save();
  files.close();
  const carried = parts.reduce((sum, part) => sum + part.data().length, 0);
  assert(carried < 1024 ** 2, `${carried} bytes are carried`);
  files.restore(parts);
  files.fds.file(fd)!.seek(bytes / 2, 0);
  assertEquals(files.read(fd, 13), "in the middle");
  assertEquals(files.fds.file(fd)!.seek(0, 2), bytes);
});

Deno.test("restore_files: a file whose name is gone, but not its other name, comes back", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("one", O.create | O.readWrite);
  files.write(fd, "linked");
  Deno.linkSync(scratch.file("one"), scratch.file("two"));
  Deno.removeSync(scratch.file("one"));
  const other = files.open("new", O.create | O.readWrite);
  files.write(other, "moved away");
  Deno.renameSync(scratch.file("new"), scratch.file("newer"));
  const parts = await files.save();
  files.close();
  files.restore(parts);
  files.fds.file(fd)!.seek(0, 0);
  files.fds.file(other)!.seek(0, 0);
  assertEquals(files.read(fd), "linked");
  assertEquals(files.read(other), "moved away");
});

Deno.test("restore_files: a file without a name comes back with its content and offset", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("gone", O.create | O.readWrite);
  const path = files.open("gone", O.path);
  files.write(fd, "temporary");
  files.fds.file(fd)!.seek(4, 0);
  Deno.removeSync(scratch.file("gone"));
  const parts = await files.save();
  files.close();
  files.restore(parts);
  assertEquals(files.read(fd), "orary");
  assertEquals([...Deno.readDirSync(scratch.path)], []);
  assert(files.fds.file(path)!.flags & O.path);
});

Deno.test("restore_files: files whose names are no text travel as others do", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const O_NEW = O.create | O.readWrite;
  const name = (end: string) => `${pathOf(scratch.path)}/\xff\xfe${end}`;
  const open = (path: string, flags: number) => {
    const fd = files.paths.open("/", path, flags, 0o644, {
      read: true,
      write: true,
    });
    assert(fd >= 0, `${fd}`);
    return files.fds.install(new HostFile(fd, flags), false);
  };
  const there = open(name("there"), O_NEW);
  const removed = open(name("removed"), O_NEW);
  const carried = open(name("carried"), O_NEW);
  for (const fd of [there, removed, carried]) {
    files.write(fd, `content ${fd}`);
    files.fds.file(fd)!.seek(4, 0);
  }
  assertEquals(mkdirat(AT_FDCWD, name("folder"), 0o755), 0);
  const folder = open(name("folder"), O.path);
  assertEquals(unlinkat(AT_FDCWD, name("removed"), 0), 0);
  const parts = await files.save(true);
  files.close();

  const changed = open(name("there"), O.readWrite);
  files.write(changed, "Content");
  files.close();
  const refused = files.refuse(parts);
  assertEquals(refused.code, "FILES_CHANGED");
  assertStringIncludes(refused.message, `${scratch.path}/\ufffd\ufffdthere`);

  assertEquals(unlinkat(AT_FDCWD, name("carried"), 0), 0);
  assertEquals(files.refuse(parts).code, "FILES_CHANGED");
  files.restore(parts, "carry");
  assertEquals(files.read(there), `ent ${there}`);
  assertEquals(files.read(removed), `ent ${removed}`);
  assertEquals(files.read(carried), `ent ${carried}`);
  assertEquals(
    files.paths.placeOf(files.fds.file(folder)!.hostFd!),
    name("folder"),
  );

  // Once more: what was removed still has its name.
  files.restore(await files.save(true), "carry");
  files.fds.file(removed)!.seek(0, 0);
  assertEquals(files.read(removed), `content ${removed}`);
});

Deno.test("restore_files: a path that is another to the kernel is refused", async () => {
  await using scratch = new Scratch();
  Deno.mkdirSync(scratch.file("in"));
  Deno.writeTextFileSync(scratch.file("secret"), "");
  using files = new Files(scratch.file("in"));
  files.open("a", O.create | O.readWrite);
  const parts = await files.save();
  files.close();
  const [{ state }, ...content] = parts;
  assert(state.part === "table" && state.files[0].type === "host");
  const file = state.files[0];
  const saver = new FilesSaver(new FdTable(), files.console);
  const bytesOf = (path: string) => new TextEncoder().encode(path);
  for (const up of ["..\0", "..\0/..", "\u012e\u012e"]) {
    const path = `${scratch.file("in")}/${up}/secret`;
    for (const one of up === "\u012e\u012e" ? [path] : [path, bytesOf(path)]) {
      file.path = one;
      // Past the schema, as if it were not there.
      const error = files.refuse([{ ...parts[0], state }, ...content]);
      assertEquals(error.code, "FILES_MISSING");
      if (!up.includes("\0")) continue;
      assertThrows(
        () => decodeState(filesState, toSection(saver, state, 0)),
        ImageError,
      );
    }
  }
});

Deno.test("restore_files: what the user does not allow is not opened", async () => {
  await using scratch = new Scratch();
  await using elsewhere = new Scratch();
  let parts: FilesPart[];
  {
    using files = new Files(scratch.path);
    const fd = files.open("a", O.create | O.readWrite);
    files.write(fd, "x");
    parts = await files.save(true);
  }
  using files = new Files(elsewhere.path);
  for (const policy of ["check", "trust", "rollback", "carry"] as const) {
    const error = files.refuse(parts, policy);
    assertEquals(error.code, "FILES_DENIED");
    assert(error.hint!.includes("--allow-read"));
  }
  assertEquals(Deno.readTextFileSync(scratch.file("a")), "x");
});

Deno.test("restore_files: a pipe half full, its ends, and console input travel", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const pipe = new PipeBuffer(77, new TextEncoder().encode("waiting"));
  const reader = files.fds.install(new PipeEnd(pipe, O.readOnly), false);
  const writer = files.fds.install(new PipeEnd(pipe, O.writeOnly), true);
  const stdin = files.fds.install(new ScriptStream(files.console, 0), false);
  files.console.push("line\n");
  files.console.end();
  const parts = await files.save();
  files.close();
  files.restore(parts);
  assertEquals(files.read(reader, 4), "wait");
  files.write(writer, "!");
  assertEquals(files.read(reader), "ing!");
  files.fds.close(writer);
  assertEquals(files.read(reader), "");
  assertEquals(files.read(stdin), "line\n");
  assertEquals(files.read(stdin), "");
});

Deno.test("restore_files: packets, seals, watches and files of calls travel", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const pipe = new PipeBuffer(7);
  pipe.putBytes(new TextEncoder().encode("some"));
  pipe.putPackets(new TextEncoder().encode("packet"));
  const reader = files.fds.install(new PipeEnd(pipe, O.readOnly), false);
  files.fds.install(new PipeEnd(pipe, O.writeOnly | O.direct), false);
  const memory = memfdWithFlags("sealed", 3);
  const sealed = files.fds.install(new HostFile(memory, O.readWrite), false);
  files.write(sealed, "sealed");
  assertEquals(addSeals(memory, 4), 0); // F_SEAL_GROW
  files.fds.keep(100, sealed);
  const watch = InotifyFile.make(O.nonBlock) as InotifyFile;
  const folder = files.paths.open("/", scratch.path, O.path, 0, { read: true });
  const IN_CREATE = 0x100;
  assertEquals(watch.watchFile(folder, scratch.path, IN_CREATE), 1);
  new HostFile(folder, O.path).close();
  const watching = files.fds.install(watch, false);
  Deno.writeTextFileSync(scratch.file("before"), "");
  const parts = await files.save();
  files.close();
  files.restore(parts);
  assertEquals(files.read(reader, 2), "so");
  assertEquals(files.read(reader, 6), "mepack");
  assertEquals(files.fds.file(reader)!.poll(POLL.in), 0);
  assertEquals((files.fds.file(sealed) as HostFile).seals(), 4);
  const kept = files.fds.kept();
  assertEquals(kept.map(({ tid, fd }) => [tid, fd]), [[100, sealed]]);
  assertEquals(kept[0].file, files.fds.file(sealed));
  Deno.writeTextFileSync(scratch.file("after"), "");
  const told = files.read(watching, 1000);
  assert(told.includes("before") && told.includes("after"), told);

  const [{ state }] = parts;
  assert(state.part === "table");
  type Table = Extract<typeof state, { part: "table" }>;
  const wrong: ((table: Table) => void)[] = [
    (table) => table.kept.push(table.kept[0]),
    (table) => table.kept[0].file = 99,
    (table) => table.pipes[0].segments[0].lengthBytes = 100,
    (table) => {
      const file = table.files.find(({ type }) => type === "inotify");
      assert(file?.type === "inotify");
      file.events = file.events.subarray(1);
    },
  ];
  files.close();
  for (const change of wrong) {
    const table = structuredClone(state);
    change(table);
    const error = files.refuse([
      { ...parts[0], state: table },
      ...parts.slice(1),
    ]);
    assertEquals(error.code, "FILES_STATE");
  }
});

Deno.test("restore_files: pipes of an image hold no more together than they may", () => {
  const table = (count: number) => ({
    part: "table",
    descriptors: [],
    files: [],
    held: [],
    kept: [],
    pipes: Array.from({ length: count }, () => ({
      inode: 1,
      readEndOpen: true,
      writeEndOpen: true,
      capacityBytes: 1024 ** 2,
      lengthBytes: 0,
      segments: [],
    })),
    texts: [],
    buffered: new Uint8Array(),
    locks: [],
    consoleInput: new Uint8Array(),
    consoleEnded: false,
    terminal: null,
  });
  assertEquals(v.safeParse(filesState.schema, table(60)).issues, undefined);
  assertEquals(
    v.safeParse(filesState.schema, table(70)).issues?.at(-1)?.message,
    "pipes hold more than all may together",
  );
});

Deno.test("restore_files: a file is sealed as it was once it is mapped again", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const made = [3, 8].map((flags) => memfdWithFlags("memory", flags));
  const [sealed, plain] = made.map((fd) =>
    files.fds.install(new HostFile(fd, O.readWrite), false)
  );
  files.write(sealed, "content");
  files.fds.hold(FILES_GPA, files.fds.file(sealed)!);
  const seals = 0x11; // F_SEAL_FUTURE_WRITE, F_SEAL_SEAL
  assertEquals(addSeals(made[0], seals), 0);
  const parts = await files.save();
  files.close();

  const { paths, console } = files;
  const options = { paths, console, policy: "check" } as const;
  const pages = { offset: 0, lengthBytes: PAGE_BYTES, isWritable: true };
  using window = new FileWindow();
  const mapped = new MappedFiles(window, [{ gpa: FILES_GPA, ...pages }]);
  using checked = await checkFiles(parts, options);
  mapped.check(checked.mapped);
  files.fds = checked.finish();
  const sealsOf = (fd: number) => (files.fds.file(fd) as HostFile).seals();
  assertEquals(sealsOf(sealed), 0);
  new MappedFiles(window).attach(files.fds); // with nothing to be mapped
  assertEquals(sealsOf(sealed), seals);
  // MFD_NOEXEC_SEAL: it can be written still.
  assertEquals(sealsOf(plain), 0x20);
  files.write(plain, "more");
  files.close();

  // What is sealed against all writing was not mapped for it.
  const [{ state }] = parts;
  assert(state.part === "table" && state.files[0].type === "host");
  state.files[0].seals = 8;
  using refused = await checkFiles(parts, options);
  assertThrows(() => mapped.check(refused.mapped), VmError);
});

Deno.test("restore_files: files without a name are no emptier than the VM's memory is large", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const MIB = 1024 ** 2;
  for (const sizeBytes of [MIB, 2 * MIB]) {
    const fd = memfdWithFlags("memory", 0);
    const file = files.fds.install(new HostFile(fd, O.readWrite), false);
    files.write(file, "content");
    assertEquals(files.fds.file(file)!.truncate(sizeBytes), 0);
  }
  const parts = await files.save();
  files.close();
  const { paths, console } = files;
  const options = { paths, console, policy: "check" } as const;
  const before = resources().fds;
  const checked = checkFiles(parts, { ...options, memoryBytes: 2 * MIB });
  const error = await assertRejects(() => checked, FilesError);
  assertEquals(error.code, "FILES_STATE");
  assertEquals(resources().fds, before);
  using enough = await checkFiles(parts, { ...options, memoryBytes: 3 * MIB });
  files.fds = enough.finish();
});

Deno.test("restore_files: files without a name take no more memory than is allowed", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const MIB = 1024 ** 2;
  // One is in memory, the other on disk: both come back in memory.
  const fd = memfdWithFlags("memory", 0);
  const first = files.fds.install(new HostFile(fd, O.readWrite), false);
  files.write(first, "m".repeat(MIB));
  const second = files.open("gone", O.readWrite | O.create);
  files.write(second, "d".repeat(MIB));
  // What is empty of it is not counted.
  assertEquals(files.fds.file(second)!.truncate(9 * MIB), 0);
  Deno.removeSync(scratch.file("gone"));
  const parts = await files.save();
  files.close();
  const { paths, console } = files;
  const options = { paths, console, policy: "check" } as const;
  const before = resources().fds;
  const most = { ...options, mostUnlinkedBytes: 2 * MIB - 1 };
  const error = await assertRejects(() => checkFiles(parts, most), FilesError);
  assertEquals(error.code, "FILES_STATE");
  assertMatch(error.message, /may have 2097151 bytes/);
  assertEquals(resources().fds, before);
  const enough = { ...options, mostUnlinkedBytes: 2 * MIB };
  using checked = await checkFiles(parts, enough);
  files.fds = checked.finish();
});

Deno.test("restore_files: a folder that was removed is so again, however often it is saved", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  Deno.mkdirSync(scratch.file("gone"));
  const [first, second] = [O.directory, O.directory | O.path]
    .map((flags) => files.open("gone", flags));
  Deno.removeSync(scratch.file("gone"));
  Deno.mkdirSync(scratch.file("gone"));
  Deno.writeTextFileSync(scratch.file("gone/other"), "");
  const before = resources().fds;
  for (let round = 0; round < 2; round++) {
    const parts = await files.save();
    files.close();
    files.restore(parts);
    const stats = [first, second].map((fd) => {
      const stat = new DataView(new ArrayBuffer(144));
      assertEquals(files.fds.file(fd)!.stat(new Uint8Array(stat.buffer)), 0);
      return {
        links: stat.getBigUint64(16, true),
        inode: stat.getBigUint64(8, true),
      };
    });
    assertEquals(stats[0].links, 0n);
    assertEquals(stats[0], stats[1]);
    const got = files.fds.file(first)!.getdents(new Uint8Array(4096));
    assertEquals(got, -ERRNO.ENOENT);
  }
  assertEquals(resources().fds, before);
});

Deno.test("restore_files: in a root of its own, files in memory and without a name travel", async () => {
  await using scratch = new Scratch();
  Deno.mkdirSync(scratch.file("root"));
  const root = new RootFolder(scratch.file("root"));
  using paths = new HostPaths({ read: ["/"], write: ["/"] }, {
    root,
    cwd: "/",
  });
  using files = new Files(scratch.path);
  const memory = memfdWithFlags("memory", 0);
  const inMemory = files.fds.install(new HostFile(memory, O.readWrite), false);
  const flags = O.create | O.readWrite;
  const hostFd = paths.open("/", "/file", flags, 0o600, { write: true });
  const nameless = files.fds.install(new HostFile(hostFd, flags), false);
  Deno.removeSync(scratch.file("root/file"));
  for (const fd of [inMemory, nameless]) files.write(fd, `content ${fd}`);
  for (let round = 0; round < 2; round++) {
    const parts = await files.save(false, () => {}, paths.root);
    files.close();
    const { console } = files;
    files.fds = restoreFiles(parts, { paths, console, policy: "check" });
  }
  for (const fd of [inMemory, nameless]) {
    assertEquals(files.fds.file(fd)!.seek(0, 0), 0);
    assertEquals(files.read(fd), `content ${fd}`);
  }
});

Deno.test("restore_files: what may only be read and is the same is left as it is", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("a", O.create | O.readWrite);
  files.write(fd, "content");
  files.fds.close(fd);
  files.open("a", O.readOnly);
  const parts = await files.save(true);
  files.close();
  using paths = new HostPaths({ read: [scratch.path], write: [] });
  const { console } = files;
  const restore = () =>
    restoreFiles(parts, { paths, console, policy: "carry" });
  files.fds = restore();
  assertEquals(files.read(fd), "content");
  files.close();
  Deno.writeTextFileSync(scratch.file("a"), "Content");
  const error = assertThrows(restore, FilesError);
  assertEquals(error.code, "FILES_DENIED");
});

Deno.test("restore_files: in a root of its own, what is carried goes where a link leads", async () => {
  await using scratch = new Scratch();
  for (const name of ["root", "root/d", "root/e"]) {
    Deno.mkdirSync(scratch.file(name));
  }
  const root = new RootFolder(scratch.file("root"));
  const allow = { read: ["/d", "/e"], write: ["/d", "/e"] };
  using paths = new HostPaths(allow, { root, cwd: "/" });
  using files = new Files(scratch.path);
  const flags = O.create | O.readWrite;
  const hostFd = paths.open("/", "/d/f", flags, 0o600, { write: true });
  const fd = files.fds.install(new HostFile(hostFd, flags), false);
  files.write(fd, "content");
  const parts = await files.save(true, () => {}, paths.root);
  files.close();
  Deno.removeSync(scratch.file("root/d/f"));
  Deno.writeTextFileSync(scratch.file("root/e/g"), "other");
  Deno.symlinkSync("../e/g", scratch.file("root/d/f"));
  const { console } = files;
  files.fds = restoreFiles(parts, { paths, console, policy: "carry" });
  assertEquals(Deno.readTextFileSync(scratch.file("root/e/g")), "content");
});

const NO_ROOT = Deno.uid() === 0 ? undefined : "root";

const NOBODY = 65534;

/** Does something as one who may not do all. */
async function asNobody<T>(work: () => T | Promise<T>): Promise<T> {
  const libc = Deno.dlopen("libc.so.6", {
    setfsuid: { parameters: ["u32"], result: "i32" },
  });
  libc.symbols.setfsuid(NOBODY);
  try {
    return await work();
  } finally {
    libc.symbols.setfsuid(0);
    libc.close();
  }
}

Deno.test("restore_files: a lock comes back wherever in the 63 bits it is", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const end = 0x7fff_ffff_ffff_ffffn;
  const ranges = [[end - 1n, 1n], [2n ** 53n + 1n, 2n ** 60n], [0n, 3n]];
  const file = files.fds.file(files.open("a", O.create | O.readWrite))!;
  const locks = ranges.map(([start, lengthBytes]) => ({
    file: 0,
    owner: "process" as const,
    isExclusive: true,
    start,
    lengthBytes,
  }));
  files.fds.locks.restore(locks, [file]);
  const before = files.fds.locks.dump([file]);
  assertEquals(before.length, 3);
  const parts = await files.save();
  files.close();
  files.restore(parts);
  assertEquals(files.fds.locks.dump(files.fds.files()), before);
});

Deno.test("restore_files: locks on what is only read open nothing for writing", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  Deno.writeTextFileSync(scratch.file("a"), "content");
  const fileOf = (flags: number) => {
    const fd = files.open("a", flags);
    return files.fds.file(fd) as HostFile;
  };
  const modeOf = (fd: number) => {
    const info = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
    return parseInt(/flags:\s*(\d+)/.exec(info)![1], 8) & O.accessMode;
  };
  const shared = new DataView(new ArrayBuffer(FLOCK_BYTES));
  shared.setBigInt64(8, 2n, true);
  shared.setBigInt64(16, 3n, true);
  const reader = fileOf(O.readOnly);
  const first = files.fds.locks.ownerOf(reader);
  assertEquals(modeOf(first), O.readOnly);
  const bytes = new Uint8Array(shared.buffer);
  assertEquals(recordLock(first, F_OFD.set, bytes), 0);
  assertEquals(files.fds.locks.ownerOf(reader), first);
  // For one that may write there is another, with the same locks.
  const writer = fileOf(O.readWrite);
  const second = files.fds.locks.ownerOf(writer);
  assertEquals(modeOf(second), O.readWrite);
  assertEquals(files.fds.locks.ownerOf(reader), second);
  assertEquals(files.fds.locks.dump([reader, writer]), [
    {
      owner: "process",
      isExclusive: false,
      start: 2n,
      lengthBytes: 3n,
      file: 1,
    },
  ]);
  // An exclusive one comes back, by what is open for writing.
  shared.setInt16(0, F_LCK.write, true);
  assertEquals(recordLock(second, F_OFD.set, bytes), 0);
  const before = files.fds.locks.dump([reader, writer]);
  const parts = await files.save();
  files.close();
  files.restore(parts);
  const again = [...files.fds.files()];
  assertEquals(files.fds.locks.dump(again), before);
  files.close();
  // Nothing else can have one.
  const [{ state }] = parts;
  assert(state.part === "table");
  state.locks[0].file = 0;
  assertEquals(files.refuse(parts).code, "FILES_STATE");
});

testUnless(
  NO_ROOT,
  "restore_files: a device in a file's place is not opened, whatever is trusted",
  async () => {
    await using scratch = new Scratch();
    using files = new Files(scratch.path);
    files.open("a", O.create | O.readOnly);
    const parts = await files.save(true);
    files.close();
    for (const node of [["p"], ["c", "1", "5"]]) {
      Deno.removeSync(scratch.file("a"));
      const args = [scratch.file("a"), ...node];
      const made = new Deno.Command("mknod", { args }).outputSync();
      assert(made.success);
      for (const policy of ["check", "trust"] as const) {
        const { code } = files.refuse(parts, policy);
        assertEquals(code, "FILES_CHANGED", `${node}, ${policy}`);
      }
      files.refuse(parts, "carry");
    }
  },
);

testUnless(
  NO_ROOT,
  "restore_files: a file that its maker may not open, but has open, travels",
  async () => {
    await using scratch = new Scratch();
    Deno.chownSync(scratch.path, NOBODY, null);
    using files = new Files(scratch.path);
    // As git makes its objects.
    const make = (name: string, mode: number) => {
      const fd = files.open(name, O.create | O.readWrite);
      files.write(fd, name);
      files.fds.file(fd)!.seek(0, 0);
      Deno.chownSync(scratch.file(name), NOBODY, null);
      Deno.chmodSync(scratch.file(name), mode);
      return fd;
    };
    const named = make("named", 0o444);
    const removed = make("removed", 0);
    Deno.removeSync(scratch.file("removed"));
    const parts = await asNobody(() => files.save());
    files.close();
    await asNobody(() => files.restore(parts));
    assertEquals(files.read(named), "named");
    assertEquals(files.read(removed), "removed");
    files.write(named, ", more");
    assertEquals(Deno.statSync(scratch.file("named")).mode! & 0o777, 0o444);
    assertEquals(Deno.readTextFileSync(scratch.file("named")), "named, more");
    files.close();
    // Another user's stays closed.
    Deno.chownSync(scratch.file("named"), 0, null);
    const refused = await asNobody(() => files.refuse(parts));
    assertEquals(refused.code, "FILES_DENIED");
  },
);

testUnless(
  NO_MOUNT,
  "restore_files: a folder is listed on where it was, or is refused where that is not known",
  async () => {
    await using scratch = new Scratch();
    Deno.mkdirSync(scratch.file("many"));
    const names = Array.from({ length: 300 }, (_, n) => `entry${n}`);
    const make = () =>
      names.forEach((one) =>
        Deno.writeTextFileSync(scratch.file(`many/${one}`), "")
      );
    make();
    using files = new Files(scratch.path);
    const open = () => files.open("many", O.directory);
    const read = (fd: number, lengthBytes: number) => {
      const buffer = new Uint8Array(lengthBytes);
      const got = files.fds.file(fd)!.getdents(buffer);
      assert(got >= 0);
      const found: string[] = [];
      for (let at = 0; at < got;) {
        const end = at + buffer[at + 16] + buffer[at + 17] * 256;
        const name = buffer.subarray(at + 19, buffer.indexOf(0, at + 19));
        found.push(new TextDecoder().decode(name));
        at = end;
      }
      return found;
    };
    const all = (fd: number): string[] => {
      const some = read(fd, 2000);
      return some.length > 0 ? [...some, ...all(fd)] : some;
    };
    const [unread, ended, begun] = [open(), open(), open()];
    assertEquals(all(ended).length, 302);
    const first = read(begun, 2000);
    const parts = await files.save();
    files.close();
    files.restore(parts);
    assertEquals(all(unread).length, 302);
    assertEquals(all(ended), []);
    const rest = all(begun);
    assertEquals(new Set([...first, ...rest]).size, 302);
    assertEquals(first.length + rest.length, 302);
    assertEquals(files.fds.file(ended)!.seek(0, 0), 0);
    assertEquals(all(ended).length, 302);
    files.close();

    // Another file system has other offsets.
    await mounted(scratch.file("many"), "ramfs", "mode=755", () => {
      make();
      const error = files.refuse(parts);
      assertEquals(error.code, "FILES_CHANGED");
      assertStringIncludes(error.message, "to be listed next");
      files.restore(parts, "trust");
      assertEquals(all(unread).length, 302);
      assertEquals(all(ended), []);
      files.close();
    });
  },
);

testUnless(
  NO_MOUNT,
  "restore_files: a file goes on without O_DIRECT where there is none",
  async () => {
    await using scratch = new Scratch();
    Deno.mkdirSync(scratch.file("tiny"));
    using files = new Files(scratch.path);
    const fd = files.open("tiny/a", O.create | O.readWrite);
    files.write(fd, "content");
    files.fds.close(fd);
    files.open("tiny/a", O.readOnly | O.direct);
    const parts = await files.save();
    files.close();
    await mounted(scratch.file("tiny"), "ramfs", "mode=755", () => {
      Deno.writeTextFileSync(scratch.file("tiny/a"), "content");
      files.restore(parts);
      assertEquals(files.read(fd), "content");
      assert(files.fds.file(fd)!.flags & O.direct);
      files.close();
    });
  },
);

testUnless(
  NO_ROOT,
  "restore_files: a file of which cannot be known whether it has a name is not saved",
  async () => {
    await using scratch = new Scratch();
    Deno.mkdirSync(scratch.file("private"));
    using files = new Files(scratch.path);
    files.open("private/log", O.create | O.readWrite);
    Deno.chmodSync(scratch.file("private"), 0);
    await asNobody(() => assertRejects(() => files.save(), Error, "EACCES"));
    await files.save();
  },
);

Deno.test("restore_files: as much input as can be saved can be restored", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const mebibyte = new Uint8Array(1024 * 1024).fill(65);
  for (let i = 0; i < 8; i++) files.console.push(mebibyte);
  const parts = await files.save();
  files.close();
  files.restore(parts);
  assertEquals(files.console.unread().length, 8 * mebibyte.length);
  files.console.push("x");
  const error = await assertRejects(() => files.save(), Error);
  assert(error.message.includes("input wait to be read"), error.message);
});

Deno.test("restore_files: a table with random mistakes is restored or refused, never half", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const fd = files.open("a", O.create | O.readWrite);
  files.write(fd, "content");
  files.fds.install(files.fds.file(fd)!, false);
  const pipe = new PipeBuffer(5);
  files.fds.install(new PipeEnd(pipe, O.readOnly), false);
  files.fds.install(new PipeEnd(pipe, O.writeOnly), false);
  const parts = await files.save();
  files.close();
  const [{ state }] = parts;
  assert(state.part === "table");
  const index = fc.integer({ min: 0, max: 5 });
  const mistakes = fc.record({
    descriptors: fc.array(
      fc.record({ fd: fc.nat(1023), file: index, closeOnExec: fc.boolean() }),
      { maxLength: 5 },
    ),
    pipe: index,
    flags: fc.oneof(fc.integer(), fc.maxSafeInteger()),
    offset: fc.bigInt(0n, 2n ** 63n - 1n),
    path: fc.constantFrom(
      `${scratch.path}/a`,
      `${scratch.path}/../a`,
      `${scratch.path}/a\0b`,
      "/etc/passwd",
      "/",
      `${scratch.path}`,
      "/proc/self/mem",
    ),
  });
  const before = resources().fds;
  holds("restore_files", 300, mistakes, (m) => {
    const table = structuredClone(state);
    if (m.descriptors.length > 0) table.descriptors = m.descriptors;
    for (const file of table.files) {
      file.flags = m.flags;
      if (file.type === "pipe") file.pipe = m.pipe;
      if (file.type === "host") {
        file.path = m.path;
        file.offset = m.offset;
      }
    }
    try {
      files.restore([{ ...parts[0], state: table }]);
      files.close();
    } catch (error) {
      assert(error instanceof FilesError, `${error}`);
    }
    assertEquals(resources().fds, before);
    assertEquals(Deno.readTextFileSync(scratch.file("a")), "content");
  });
});

Deno.test("restore_files: large carried files leave the event loop its turns, and can be given up", async () => {
  await using scratch = new Scratch();
  using files = new Files(scratch.path);
  const names = ["a", "b"];
  for (const name of names) files.write(files.open(name, 0o102), "some");
  // Two parts of 4 MiB each.
  for (const name of names) Deno.truncateSync(scratch.file(name), 2 ** 23);
  for (const name of names) {
    using file = Deno.openSync(scratch.file(name), { write: true });
    file.writeSync(new Uint8Array(2 ** 23).fill(7));
  }
  const parts = await files.save(true);
  files.close();
  for (const name of names) Deno.removeSync(scratch.file(name));
  const { paths, console } = files;
  const how = { paths, console, policy: "carry" } as const;
  const before = resources().fds;
  let turns = 0;
  let counts = true;
  const count = () => {
    turns++;
    if (counts) setImmediate(count);
  };
  setImmediate(count);
  const checked = await checkFiles(parts, how);
  // Each part is read once to be checked, and once to be written.
  assert(turns >= 8, `${turns} turns`);
  counts = false;
  checked[Symbol.dispose]();
  for (let most = 1; most < 8; most++) {
    const giveUp = new AbortController();
    const reason = new Error("enough");
    let left = most;
    const wait = () => --left > 0 ? setImmediate(wait) : giveUp.abort(reason);
    setImmediate(wait);
    const error = await assertRejects(() =>
      checkFiles(parts, how, giveUp.signal)
    );
    assertEquals(error, reason);
    assertEquals(resources().fds, before);
  }
  assertEquals([...Deno.readDirSync(scratch.path)], []);
});
