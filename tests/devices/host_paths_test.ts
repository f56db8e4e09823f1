import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  close,
  fstatat,
  HostPaths,
  O,
  OUTSIDE,
  pathOf,
  pread,
  RootFolder,
} from "../../src/devices/mod.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { useImage } from "../../src/vmm/mod.ts";
import { lacksOverlay, testUnless } from "../machine.ts";
import { mounted, onSmallDisk } from "../mounted.ts";
import { resources, Scratch } from "../support.ts";
import { holds } from "../vmm/property.ts";

const NAMES = ["a", "b", "c"];

/** Where a descriptor leads; it is closed. */
function whereIs(fd: number): string {
  const path = Deno.readLinkSync(`/proc/self/fd/${fd}`);
  close(fd);
  return path;
}

function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`);
}

/** A path of some names, with `..`, `.` and empty ones among them. */
const relative = fc.array(
  fc.constantFrom(
    ...NAMES,
    ...NAMES,
    "..",
    "..",
    // To the kernel these were "..", if it was asked.
    "..\0",
    "\u012e\u012e",
    ".",
    "",
    "outside",
    "in",
    "ro",
  ),
  { minLength: 1, maxLength: 5 },
).map((parts) => parts.join("/"));

/** What is in a tree of files: made in order, where it can be. */
const entries = fc.array(
  fc.record({
    path: relative.map((path) => `in/${path}`),
    what: fc.constantFrom("folder", "folder", "file", "link", "link"),
    target: fc.tuple(fc.constantFrom("", "/ROOT/", "/ROOT/in/", "/"), relative)
      .map(([start, rest]) => start + rest),
  }),
  { maxLength: 25 },
);

/** Makes the tree below `root`, going nowhere else. */
function make(root: string, tree: Entry[]): void {
  for (const { path, what, target } of tree) {
    const names = path.split("/").filter((n) =>
      n !== "" && n !== "." && n !== ".."
    );
    const full = `${root}/${names.join("/")}`;
    try {
      if (!isWithin(Deno.realPathSync(parent(full)), root)) continue;
      if (what === "folder") Deno.mkdirSync(full);
      else if (what === "file") {
        Deno.writeTextFileSync(full, "content", { createNew: true });
      } else Deno.symlinkSync(target.replace("/ROOT", root), full);
    } catch {
      // Something is there, or its folder is not.
    }
  }
}
type Entry = typeof entries extends fc.Arbitrary<(infer T)[]> ? T : never;

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

Deno.test("host_paths: an image that memory is mapped from is not written", async () => {
  await using scratch = new Scratch();
  const path = pathOf(scratch.file("image"));
  Deno.writeTextFileSync(scratch.file("image"), "pages");
  Deno.linkSync(scratch.file("image"), scratch.file("other name"));
  const access = { read: true, write: true };
  using paths = new HostPaths({ read: [scratch.path], write: [scratch.path] });
  const open = (flags: number, name = path) =>
    paths.open("/", name, flags, 0o600, access);
  const image = open(O.readOnly);
  const before = resources().fds;
  const [first, second] = [useImage(image), useImage(image)];
  for (const flags of [O.readWrite, O.writeOnly | O.append]) {
    assertEquals(open(flags), -ERRNO.ETXTBSY);
    assertEquals(open(flags | O.truncate), -ERRNO.ETXTBSY);
    assertEquals(open(flags | O.create | O.truncate), -ERRNO.ETXTBSY);
  }
  assertEquals(open(O.readOnly | O.truncate), -ERRNO.ETXTBSY);
  const other = pathOf(scratch.file("other name"));
  assertEquals(open(O.readWrite, other), -ERRNO.ETXTBSY);
  assertEquals(Deno.readTextFileSync(scratch.file("image")), "pages");
  // It is read, and another takes its place.
  for (const flags of [O.readOnly, O.path]) close(open(flags));
  close(open(O.create | O.readWrite, pathOf(scratch.file("new"))));
  first();
  assertEquals(open(O.readWrite), -ERRNO.ETXTBSY);
  assertEquals(resources().fds, before);
  second();
  close(open(O.readWrite | O.truncate));
  close(image);
});

Deno.test("host_paths: of a current folder outside nothing is told", async () => {
  await using scratch = new Scratch();
  Deno.mkdirSync(scratch.file("in"));
  Deno.writeTextFileSync(scratch.file("secret"), "secret");
  const inside = pathOf(scratch.file("in"));
  using paths = new HostPaths({ read: [scratch.file("in")], write: [] });
  assertEquals(paths.exists(inside), 0);
  assertEquals(paths.exists(`${inside}/none`), -ERRNO.ENOENT);
  for (const name of ["secret", "none"]) {
    assertEquals(paths.exists(pathOf(scratch.file(name))), 0, name);
  }
});

Deno.test("host_paths: what is no byte of a path is nowhere, by whichever call", async () => {
  await using scratch = new Scratch();
  Deno.mkdirSync(scratch.file("in"));
  Deno.writeTextFileSync(scratch.file("secret"), "secret");
  const inside = scratch.file("in");
  const access = { read: true, write: true };
  using paths = new HostPaths({ read: [inside], write: [inside] });
  for (const up of ["..\0", "\u012e\u012e", ".\u012e", "\u012e."]) {
    const path = `${inside}/${up}/secret`;
    assertEquals(paths.open("/", path, 0, 0, access), -ERRNO.ENOENT, up);
    assertEquals(paths.openParent("/", path, access), -ERRNO.ENOENT);
    const cwd = `${inside}/${up}`;
    assertEquals(paths.open(cwd, "secret", 0, 0, access), -ERRNO.ENOENT);
    assertEquals(paths.openParent(cwd, "secret", access), -ERRNO.ENOENT);
    assertEquals(paths.exists(cwd), -ERRNO.ENOENT);
  }
});

testUnless(
  lacksOverlay(),
  "host_paths: what was removed from an overlay is nowhere, though it is below",
  () =>
    // An overlay's layers cannot be on another overlay.
    onSmallDisk("1m", async (disk) => {
      for (const name of ["low", "low/gone", "up", "work", "all"]) {
        Deno.mkdirSync(`${disk}/${name}`);
      }
      Deno.writeTextFileSync(`${disk}/low/file`, "x");
      Deno.mkdirSync(`${disk}/low/really (deleted)`);
      const all = `${disk}/all`;
      const layers =
        `lowerdir=${disk}/low,upperdir=${disk}/up,workdir=${disk}/work`;
      await mounted(all, "overlay", layers, () => {
        using paths = new HostPaths({ read: [all], write: [all] });
        const access = { read: true, write: true };
        const open = (name: string) =>
          paths.open("/", pathOf(`${all}/${name}`), O.path, 0, access);
        const [folder, file] = [open("gone"), open("file")];
        const there = open("really (deleted)");
        assertEquals(paths.placeOf(folder), pathOf(`${all}/gone`));
        Deno.removeSync(`${all}/gone`);
        Deno.removeSync(`${all}/file`);
        assertEquals(paths.placeOf(folder), undefined);
        assertEquals(paths.placeOf(file), undefined);
        assertEquals(paths.placeOf(there), pathOf(`${all}/really (deleted)`));
        for (const fd of [folder, file, there]) close(fd);
      });
    }),
);

Deno.test("host_paths: whatever the links, no path leads out of the allowed folders", async () => {
  await using scratch = new Scratch();
  const asks = fc.array(
    fc.record({
      cwd: fc.constantFrom("/in", "/in", "/in/a", "", "/outside", "/ro"),
      path: fc.tuple(
        fc.constantFrom("", "", "", "/ROOT/in/", "/ROOT/in/", "/ROOT/", "/"),
        relative,
      ).map(([start, rest]) => start + rest),
      write: fc.boolean(),
      flags: fc.constantFrom(
        0,
        O.path,
        O.directory,
        O.noFollow,
        O.create,
        O.create | O.exclusive,
        O.truncate,
        O.path | O.noFollow,
      ),
    }),
    { minLength: 1, maxLength: 20 },
  );
  let number = 0;
  let opened = 0;
  const before = resources().fds;
  holds("host_paths", 150, fc.tuple(entries, asks), ([tree, all]) => {
    const root = scratch.file(`${number++}`);
    for (const name of ["", "/in", "/ro", "/outside"]) {
      Deno.mkdirSync(`${root}${name}`);
    }
    Deno.mkdirSync(`${root}/in/a/b`, { recursive: true });
    Deno.symlinkSync("../b", `${root}/in/a/c`);
    Deno.symlinkSync("../outside", `${root}/in/outside`);
    Deno.symlinkSync("a/b/../../..", `${root}/in/in`);
    Deno.writeTextFileSync(`${root}/outside/a`, "secret");
    Deno.writeTextFileSync(`${root}/ro/a`, "read only");
    make(root, tree);
    const untouched = listing(`${root}/outside`);
    const readOnly = listing(`${root}/ro`);
    using paths = new HostPaths({
      read: [`${root}/in`, `${root}/ro`],
      write: [`${root}/in`],
    });
    for (const { cwd, path, write, flags } of all) {
      const access = { read: !write, write: write || (flags & O.create) !== 0 };
      const mode = write ? O.writeOnly : O.readOnly;
      const name = pathOf(path.replace("/ROOT", root));
      const where = pathOf(`${root}${cwd}`);
      const writes = write || (flags & (O.create | O.truncate)) !== 0;
      const what = { read: true, write: writes };
      const fd = paths.open(where, name, mode | flags, 0o600, what);
      const at = `${cwd} ${path} ${JSON.stringify(access)} ${flags}`;
      if (fd >= 0) {
        opened++;
        const real = whereIs(fd);
        const roots = writes ? [`${root}/in`] : [`${root}/in`, `${root}/ro`];
        assert(roots.some((r) => isWithin(real, r)), `${at}: ${real}`);
      }
      // The folder that holds the entry, for calls that change it.
      const held = paths.openParent(where, name, what);
      if (typeof held !== "number") {
        const real = whereIs(held.fd);
        const roots = writes ? [`${root}/in`] : [`${root}/in`, `${root}/ro`];
        assert(roots.some((r) => isWithin(real, r)), `parent, ${at}: ${real}`);
        assert(!held.name.replace(/\/$/, "").includes("/"), held.name);
        assert(held.name.replace(/\/$/, "") !== "..", at);
      }
    }
    assertEquals(listing(`${root}/outside`), untouched);
    assertEquals(listing(`${root}/ro`), readOnly);
  });
  assertEquals(resources().fds, before);
  console.log(`${opened} opened`);
  assert(opened > 0);
});

/** Every file below a folder with its content or link. */
function listing(folder: string): string[] {
  const found: string[] = [];
  for (const { name, isDirectory, isSymlink } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (isSymlink) found.push(`${path} -> ${Deno.readLinkSync(path)}`);
    else if (isDirectory) found.push(`${path}/`, ...listing(path));
    else found.push(`${path}: ${Deno.readTextFileSync(path)}`);
  }
  return found.sort();
}

Deno.test("host_paths: an allowed folder's own entry is itself, not one inside of that name", async () => {
  await using scratch = new Scratch();
  const folder = scratch.file("data");
  Deno.mkdirSync(`${folder}/data`, { recursive: true });
  Deno.writeTextFileSync(`${folder}/data/inner`, "");
  using paths = new HostPaths({ read: [folder], write: [folder] });
  for (
    const path of [folder, `${folder}/`, `${folder}/data/..`, `${folder}/.`]
  ) {
    const held = paths.openParent("/", pathOf(path), { read: true });
    assert(typeof held !== "number", path);
    const stat = new Uint8Array(144);
    assertEquals(fstatat(held.fd, held.name, stat, 0), 0, path);
    const inode = new DataView(stat.buffer).getBigUint64(8, true);
    assertEquals(inode, BigInt(Deno.statSync(folder).ino!), path);
    close(held.fd);
  }
});

Deno.test("host_paths: a single file is allowed by itself, and nothing beside it", async () => {
  await using scratch = new Scratch();
  Deno.writeTextFileSync(scratch.file("yes"), "content");
  Deno.writeTextFileSync(scratch.file("no"), "secret");
  Deno.symlinkSync(scratch.file("no"), scratch.file("link"));
  using paths = new HostPaths({ read: [scratch.file("yes")], write: [] });
  const open = (name: string, access = { read: true, write: false }) => {
    const flags = access.write ? O.readWrite : O.readOnly;
    const fd = paths.open(pathOf(scratch.path), pathOf(name), flags, 0, access);
    return fd < 0 ? fd : whereIs(fd);
  };
  assertEquals(open("yes"), scratch.file("yes"));
  assertEquals(open("./yes"), scratch.file("yes"));
  for (const name of ["no", "none", "link", "/etc/passwd", "/etc/none"]) {
    assertEquals(open(name), OUTSIDE, name);
  }
  assertEquals(open("yes/../no"), OUTSIDE);
  assertEquals(open("yes/no"), OUTSIDE);
  // These lead to what is allowed: they are there, and cannot be listed.
  for (const name of [".", "..", "/"]) {
    assertEquals(open(name), -ERRNO.EACCES, name);
  }
  assertEquals(open("yes", { read: true, write: true }), -ERRNO.EACCES);
  // It was put in the link's place afterwards: still not followed out.
  Deno.removeSync(scratch.file("yes"));
  Deno.symlinkSync(scratch.file("no"), scratch.file("yes"));
  assertEquals(open("yes"), OUTSIDE);
});

Deno.test("host_paths: windows into processes stay closed, whatever is allowed", () => {
  using paths = new HostPaths({ read: ["/"], write: [] });
  for (
    const path of [
      "/proc/self/mem",
      "/proc/self/environ",
      "/proc/self/fd/0",
      "/proc/self/root/etc/passwd",
      "/proc/1/maps",
    ]
  ) {
    const fd = paths.open("/", path, O.readOnly, 0, { read: true });
    assert(fd < 0, `${path}: ${fd}`);
  }
  const fd = paths.open("/", "/etc/passwd", O.readOnly, 0, { read: true });
  assertEquals(whereIs(fd), "/etc/passwd");
});

Deno.test("host_paths: an allowed path that is not there is an error, and nothing stays open", () => {
  const before = resources().fds;
  assertThrows(
    () => new HostPaths({ read: ["/", "/no/such/folder"], write: [] }),
    Deno.errors.NotFound,
  );
  assertEquals(resources().fds, before);
});

Deno.test("host_paths: a file that is made has the mode that the program asked for", async () => {
  await using scratch = new Scratch();
  using paths = new HostPaths({ read: [], write: [scratch.path] });
  const umask = Deno.umask(0o077);
  try {
    const flags = O.create | O.writeOnly;
    const name = pathOf(scratch.file("new"));
    const fd = paths.open("/", name, flags, 0o640, { write: true });
    assert(fd >= 0);
    close(fd);
    assertEquals(Deno.statSync(scratch.file("new")).mode! & 0o777, 0o640);
    assertEquals(Deno.umask(), 0o077);
  } finally {
    Deno.umask(umask);
  }
});

Deno.test("host_paths: a link leads from one allowed folder to another", async () => {
  await using scratch = new Scratch();
  for (const folder of ["one", "two", "secret"]) {
    Deno.mkdirSync(scratch.file(folder));
    Deno.writeTextFileSync(scratch.file(`${folder}/file`), folder);
  }
  const link = (target: string, name: string) =>
    Deno.symlinkSync(target, scratch.file(name));
  link("../two/file", "one/relative");
  link(scratch.file("two"), "one/absolute");
  link(scratch.file("one/absolute/new"), "one/dangling");
  link(scratch.file("secret/file"), "one/secret");
  link(scratch.file("secret"), "two/secret");
  link(scratch.file("two"), "alias");
  link(scratch.file("one/loop"), "one/loop");
  using paths = new HostPaths({
    read: [scratch.file("one"), scratch.file("alias")],
    write: [scratch.file("two")],
  });
  const open = (name: string, flags: number = O.readOnly) => {
    const write = (flags & (O.writeOnly | O.create)) !== 0;
    const access = { read: !write, write };
    const cwd = pathOf(scratch.path);
    const fd = paths.open(cwd, pathOf(name), flags, 0o600, access);
    return fd < 0 ? fd : whereIs(fd).replace(`${scratch.path}/`, "");
  };
  assertEquals(open("one/relative"), "two/file");
  assertEquals(open("one/absolute/file"), "two/file");
  assertEquals(open("one/absolute/../one/file"), "one/file");
  assertEquals(open("alias/file"), "two/file");
  assertEquals(open("one/absolute/none"), -ERRNO.ENOENT);
  assertEquals(open("one/absolute/file/x"), -ERRNO.ENOTDIR);
  assertEquals(open("one/relative/"), -ERRNO.ENOTDIR);
  assertEquals(open("one/loop"), -ERRNO.ELOOP);
  assertEquals(open("one/relative", O.readOnly | O.noFollow), -ERRNO.ELOOP);
  const create = O.writeOnly | O.create;
  assertEquals(open("one/dangling", create | O.exclusive), -ERRNO.EACCES);
  assertEquals(open("one/dangling", create), "two/new");
  for (
    const name of ["one/secret", "one/absolute/secret/file", "secret/none"]
  ) assertEquals(open(name), OUTSIDE, name);
  assertEquals(open("one/file", O.writeOnly), -ERRNO.EACCES);
});

Deno.test("host_paths: the folders that lead to an allowed one may be looked at, and not read", async () => {
  await using scratch = new Scratch();
  Deno.mkdirSync(scratch.file("a/b"), { recursive: true });
  Deno.mkdirSync(scratch.file("other"));
  Deno.symlinkSync("a", scratch.file("link"));
  using paths = new HostPaths({ read: [scratch.file("link/b")], write: [] });
  const at = (name: string) => pathOf(`${scratch.path}/${name}`);
  for (const name of ["", "a", "link", "a/b"]) {
    const held = paths.openParent("/", at(name), {});
    assert(typeof held !== "number", name);
    close(held.fd);
    const fd = paths.open("/", at(name), O.path, 0, {});
    assert(fd >= 0, name);
    close(fd);
  }
  for (const name of ["other", "none", "a/none"]) {
    assertEquals(paths.openParent("/", at(name), {}), OUTSIDE, name);
    const fd = paths.open("/", at(name), O.path, 0, {});
    assertEquals(fd, OUTSIDE, name);
  }
  const read = paths.open("/", at("a"), O.directory, 0, { read: true });
  assertEquals(read, -ERRNO.EACCES);
});

Deno.test("host_paths: in a root of its own, no path leads out of it", async () => {
  await using scratch = new Scratch();
  Deno.mkdirSync(scratch.file("root/etc"), { recursive: true });
  Deno.writeTextFileSync(scratch.file("root/etc/file"), "in");
  Deno.writeTextFileSync(scratch.file("file"), "out");
  Deno.symlinkSync("/etc/file", scratch.file("root/absolute"));
  Deno.symlinkSync("../../file", scratch.file("root/up"));
  Deno.symlinkSync("../../etc/../etc/file", scratch.file("root/etc/around"));
  for (const read of [["/"], ["/etc", "/absolute"]]) {
    const root = new RootFolder(scratch.file("root"));
    using paths = new HostPaths({ read, write: [] }, { root, cwd: "/" });
    const open = (name: string) => {
      const fd = paths.open("/", name, O.readOnly, 0, { read: true });
      return fd < 0 ? fd : (paths.nameOf(fd) && whereIs(fd));
    };
    const inside = scratch.file("root/etc/file");
    for (const name of ["/etc/file", "absolute", "/etc/around"]) {
      assertEquals(open(name), inside, name);
    }
    assertEquals(open("/../../../etc/file"), inside);
    assert(Number(open("/up")) < 0);
    assert(Number(open(pathOf(scratch.file("file")))) < 0);
  }
});

Deno.test("host_paths: links that others swap meanwhile lead nowhere else, and nothing stays open", async () => {
  await using scratch = new Scratch();
  for (const folder of ["in/a", "in/b", "too", "out/a", "out/b"]) {
    Deno.mkdirSync(scratch.file(folder), { recursive: true });
  }
  for (const folder of ["in/a", "in/b", "too", "out/a", "out/b"]) {
    Deno.writeTextFileSync(scratch.file(`${folder}/file`), folder);
  }
  const before = resources().fds;
  // A process that puts folders and links to all of them in each other's place.
  const script = `cd '${scratch.path}/in'; while :; do
    ln -sfn ../too a/link; ln -sfn '${scratch.path}/out' a/link
    mv -T b x 2>/dev/null; ln -sfn ../out/b b; ln -sfn ../too b; rm b; mv -T x b
    ln -sfn ../../out/a/file a/name; ln -sfn ../../too/file a/name
    rm a/name; echo plain > a/name
  done`;
  const swapper = new Deno.Command("sh", {
    args: ["-c", script],
    stderr: "null",
  }).spawn();
  const seen = new Set<string>();
  {
    using paths = new HostPaths({
      read: [scratch.file("in"), scratch.file("too")],
      write: [],
    });
    const names = [
      "in/a/link/file",
      "in/b/file",
      "in/a/name",
      "in/a/link/a/file",
    ];
    for (let i = 0; i < 20_000; i++) {
      const name = pathOf(scratch.file(names[i % names.length]));
      const fd = paths.open("/", name, O.readOnly, 0, { read: true });
      if (fd < 0) seen.add(`${fd}`);
      else {
        const bytes = new Uint8Array(16);
        const got = pread(fd, bytes, 0);
        close(fd);
        seen.add(new TextDecoder().decode(bytes.subarray(0, got)).trim());
      }
    }
  }
  swapper.kill("SIGKILL");
  await swapper.status;
  assertEquals(resources().fds, before);
  assert(![...seen].some((text) => text.startsWith("out")), [...seen].join());
  assert(seen.has("too") && seen.has("in/b"), [...seen].join());
});
