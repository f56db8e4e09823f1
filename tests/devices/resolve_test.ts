/**
 * What openat2(2) refuses by RESOLVE_*: as Linux does, and within the same
 * bounds as without.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  HostPaths,
  O,
  OUTSIDE,
  pathOf,
  RESOLVE,
} from "../../src/devices/mod.ts";
import { close, open, openat2 } from "../../src/devices/host_calls.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { resources, Scratch } from "../support.ts";
import { holds } from "../vmm/property.ts";

/** Names of the tree that {@linkcode make} makes, and of nothing. */
const NAMES = [
  ...["a", "b", "file", "up", "up2", "abs", "abs-file", "in", "loop", "down"],
  ...["out", "none", "..", "..", ".", ""],
];

/** Makes a folder with links of all kinds, and one beside it. */
function make(root: string): void {
  for (const folder of ["in/a/b", "outside"]) {
    Deno.mkdirSync(`${root}/${folder}`, { recursive: true });
  }
  for (const file of ["in/file", "in/a/file", "in/a/b/file", "outside/file"]) {
    Deno.writeTextFileSync(`${root}/${file}`, file);
  }
  const links: [target: string, name: string][] = [
    ["..", "in/a/up"],
    ["../..", "in/a/b/up2"],
    ["..", "in/up"],
    [`${root}/in/a`, "in/abs"],
    ["/a/file", "in/abs-file"],
    [`${root}/in/file`, "in/a/abs-file"],
    ["loop", "in/loop"],
    ["a/b/", "in/down"],
    ["b/file", "in/a/down"],
    ["../outside", "in/out"],
  ];
  for (const [target, name] of links) {
    Deno.symlinkSync(target, `${root}/${name}`);
  }
}

/** Where a descriptor leads, which is closed; or the errno. */
function whereIs(fd: number): string | number {
  if (fd < 0) return fd;
  const path = Deno.readLinkSync(`/proc/self/fd/${fd}`);
  close(fd);
  return path;
}

/** What Linux itself answers, from below the folder `cwd`. */
function natively(
  cwd: string,
  path: string,
  flags: number,
  resolve: number,
): string | number {
  const from = open(pathOf(cwd), O.path | O.closeOnExec);
  const all = flags | O.closeOnExec;
  let found: string | number;
  // A rename anywhere meanwhile makes Linux unsure about a "..".
  do found = whereIs(openat2(from, path, all, 0, resolve)); while (
    found === -ERRNO.EAGAIN
  );
  close(from);
  return found;
}

/** An absolute path in the folder, for `cwd` and `path` of HostPaths. */
function inFolder(path: string, resolve: number): string {
  return resolve & RESOLVE.inRoot && path.startsWith("/") ? `.${path}` : path;
}

const asks = fc.record({
  cwd: fc.constantFrom("/in", "/in", "/in/a", "/in/a/b", ""),
  path: fc.tuple(
    fc.constantFrom("", "", "", "/", "/ROOT/in/", "/ROOT/"),
    fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 5 }),
  ).map(([start, names]) => start + names.join("/")),
  flags: fc.constantFrom(
    O.readOnly,
    O.path,
    O.path | O.noFollow,
    O.noFollow,
    O.directory,
    O.directory | O.noFollow,
  ),
  scope: fc.constantFrom(0, RESOLVE.beneath, RESOLVE.inRoot),
  more: fc.nat({ max: 7 }),
});

Deno.test("resolve: RESOLVE_* refuses what Linux refuses, with its errno", async () => {
  await using scratch = new Scratch();
  const root = scratch.path;
  make(root);
  using paths = new HostPaths({ read: ["/"], write: [] });
  let [opened, refused] = [0, 0];
  const before = resources().fds;
  holds("resolve", 3000, asks, ({ cwd, path, flags, scope, more }) => {
    const resolve = scope | more;
    const name = pathOf(path.replace("/ROOT", root));
    // It has to be answered before any path is looked at.
    if (resolve === 0 || name === "") return;
    if (scope === RESOLVE.beneath && name.startsWith("/")) return;
    const expected = natively(root + cwd, name, flags, resolve);
    const found = paths.open(
      pathOf(root + cwd),
      inFolder(name, resolve),
      flags,
      0,
      flags & O.path ? {} : { read: true },
      resolve,
    );
    assertEquals(
      whereIs(found),
      expected,
      `${cwd} ${name} ${flags} ${resolve}`,
    );
    if (typeof expected === "string") opened++;
    else if ([-ERRNO.EXDEV, -ERRNO.ELOOP].includes(expected)) refused++;
  });
  assertEquals(resources().fds, before);
  assert(opened > 100 && refused > 100, `${opened} opened, ${refused} refused`);
});

Deno.test("resolve: no flag leads further, or tells more, than none does", async () => {
  await using scratch = new Scratch();
  const root = scratch.path;
  make(root);
  using paths = new HostPaths({ read: [`${root}/in/a`], write: [] });
  let opened = 0;
  holds("resolve_bounds", 6000, asks, ({ cwd, path, flags, scope, more }) => {
    const resolve = scope | more;
    const name = pathOf(path.replace("/ROOT", root));
    if (name === "" || resolve === 0) return;
    const ask = (how: number) =>
      whereIs(paths.open(
        pathOf(root + cwd),
        inFolder(name, resolve),
        flags,
        0,
        flags & O.path ? {} : { read: true },
        how,
      ));
    const found = ask(resolve);
    if (typeof found !== "string") return;
    opened++;
    const at = `${cwd} ${name} ${flags} ${resolve}: ${found}`;
    const isOnTheWay = (flags & O.path) !== 0 &&
      `${root}/in/a/`.startsWith(found === "/" ? found : `${found}/`);
    assert(`${found}/`.startsWith(`${root}/in/a/`) || isOnTheWay, at);
    // In another root, and without what is refused, it may lead elsewhere.
    if (scope !== RESOLVE.inRoot) assertEquals(found, ask(0), at);
  });
  assert(opened > 100, `${opened} opened`);
  // What is beside the folder is not told of, whatever is asked.
  for (const name of ["in/loop", "in/abs", "in/out", "in/none", "outside"]) {
    for (const resolve of [RESOLVE.noSymlinks, RESOLVE.beneath]) {
      const flags = O.readOnly;
      const cwd = pathOf(root);
      const found = paths.open(cwd, name, flags, 0, { read: true }, resolve);
      assertEquals(found, OUTSIDE, name);
    }
  }
});

Deno.test("resolve: another mount is refused where Linux refuses it", async () => {
  using paths = new HostPaths({ read: ["/"], write: [] });
  await using scratch = new Scratch();
  for (const target of ["/", "/dev/shm", "/dev/shm/../.."]) {
    const name = scratch.file(`to${target.replaceAll(/[/.]/g, "-")}`);
    Deno.symlinkSync(target, name);
  }
  const links = [...Deno.readDirSync(scratch.path)].map(({ name }) => name);
  const asked: [cwd: string, path: string][] = [
    ...[".", "dev", "dev/shm", "etc", "etc/../dev", "dev/..", "usr/bin"]
      .flatMap((
        path,
      ): [string, string][] => [["/", path], ["/etc", `/${path}`]]),
    ...["..", "../..", ".", "shm", "shm/..", "../etc"]
      .flatMap((
        path,
      ): [string, string][] => [["/dev", path], ["/dev/shm", path]]),
    ...links.map((name): [string, string] => [scratch.path, name]),
  ];
  let refused = 0;
  for (const [cwd, path] of asked) {
    for (const scope of [0, RESOLVE.beneath, RESOLVE.inRoot]) {
      if (scope === RESOLVE.beneath && path.startsWith("/")) continue;
      const resolve = RESOLVE.noXdev | scope;
      const expected = natively(cwd, path, O.path, resolve);
      const name = inFolder(path, resolve);
      const found = paths.open(pathOf(cwd), name, O.path, 0, {}, resolve);
      assertEquals(whereIs(found), expected, `${cwd} ${path} ${scope}`);
      if (expected === -ERRNO.EXDEV) refused++;
    }
  }
  assert(refused > 5, `${refused} refused`);
});
