/**
 * Paths that lead out of the folders that a program may use: every call that
 * takes one is refused, and nothing outside changes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ERRNO, errnoName } from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, native, Scratch, TestVm } from "../support.ts";
import { listFolder, runInVm } from "./compare.ts";

/** A folder that the program may use, inside of one that it may not. */
class Cage implements AsyncDisposable {
  readonly #scratch = new Scratch();
  /** What is around it: nothing here may change. */
  readonly outside = this.#scratch.path;
  /** Its path. */
  readonly inside = this.#scratch.file("inside");

  /** Makes it. */
  constructor() {
    Deno.mkdirSync(this.inside);
    Deno.writeTextFileSync(`${this.outside}/secret`, "secret");
    Deno.mkdirSync(`${this.outside}/folder`);
    Deno.writeTextFileSync(`${this.outside}/folder/other`, "other");
    Deno.writeTextFileSync(`${this.inside}/mine`, "mine");
    Deno.mkdirSync(`${this.inside}/sub`);
    Deno.symlinkSync("../secret", `${this.inside}/to-secret`);
    Deno.symlinkSync(`${this.outside}/secret`, `${this.inside}/to-secret-too`);
    Deno.symlinkSync("../new", `${this.inside}/to-new`);
    Deno.symlinkSync("../folder", `${this.inside}/to-folder`);
    Deno.symlinkSync("..", `${this.inside}/sub/up`);
    Deno.symlinkSync("/", `${this.inside}/to-root`);
  }

  /** Everything around the folder, with owners and times. */
  look(): string[] {
    const lines = listFolder(this.outside, "", "inside");
    return lines.map((line) => {
      const path = `${this.outside}/${line.split(/[ /]/)[0]}`;
      const { uid, gid, mtime } = Deno.lstatSync(path);
      return `${line} ${uid}:${gid} ${mtime?.getTime()}`;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scratch[Symbol.asyncDispose]();
  }
}

/** Paths whose last name, too, is outside. */
const OUTSIDE: [what: string, path: (cage: Cage) => string][] = [
  ["an absolute path", ({ outside }) => `${outside}/secret`],
  ["a path up", () => "../secret"],
  ["a path up and up", () => "sub/../../secret"],
  ["a path up by way of another", ({ inside }) => `${inside}/sub/../../secret`],
  ["a path up to what is not there", () => "../new"],
  ["a link to a folder outside", () => "to-folder/other"],
  ["a link to a folder outside, to what is not there", () => "to-folder/new"],
  ["a link to a folder outside, and up", () => "to-folder/../secret"],
  ["a link up, twice", () => "sub/up/../secret"],
  ["the root by a link", () => "to-root/etc/passwd"],
  ["a file of the system", () => "/etc/passwd"],
  ["a device", () => "/dev/kvm"],
  ["a place for new files", ({ outside }) => `${outside}/folder/new`],
  ["its own folder, and up", () => "/proc/self/cwd/../secret"],
  ["what is not there", ({ outside }) => `${outside}/none/new`],
];

/** Paths that are the VMM's own, where /proc is the host's. */
const OF_THE_VMM: [what: string, path: () => string][] = [
  ["memory of the VMM", () => "/proc/self/mem"],
  ["the VMM's own files", () => "/proc/self/fd/9"],
  ["the root of the VMM", () => "/proc/self/root/etc/passwd"],
];

/** What a call on those may answer. */
const REFUSED: number[] = [ERRNO.EACCES, ERRNO.ENOENT];

/** Calls of escape.c that make what is not there: these are refused. */
const MAKING = [
  "create",
  "create anew",
  "create and cut",
  "temporary",
  "openat2 to create",
  "creat",
  "mkdir",
  "mkdirat",
  "mknod",
  "mknodat",
  "rename there",
  "renameat there",
  "exchange",
  "link there",
  "linkat there",
  "symlink there",
  "symlinkat there",
];

/** Whether a call was answered as if nothing was where the path leads. */
function isAsIfNothing(call: string, errno: number): boolean {
  return errno === (MAKING.includes(call) ? ERRNO.EACCES : ERRNO.ENOENT);
}

/** Lines of escape.c that do not depend on the path. */
const OWN = "mine is there still";

for (const [what, path] of [...OUTSIDE, ...OF_THE_VMM]) {
  const isOutside = !OF_THE_VMM.some(([name]) => name === what);
  kvmTest(`escape: ${what} is refused by every call`, async () => {
    const [program] = await guest("escape");
    await using cage = new Cage();
    const before = cage.look();
    const args = [path(cage)];
    const run = await runInVm(program, { args }, cage.inside);
    assertEquals(cage.look(), before);
    assertEquals(run.status, 0);
    const wrong = run.stdout.split("\n").filter((line) => {
      const [, call, result, errno] = /^(.*) (-1|ok) (\d+)$/.exec(line) ?? [];
      if (call === undefined || call === OWN) return false;
      return result === "ok" ||
        !(isOutside
          ? isAsIfNothing(call, Number(errno))
          : REFUSED.includes(Number(errno)));
    });
    assertEquals(
      wrong,
      [],
      wrong.map((l) => errnoName(Number(l.split(" ").at(-1)))).join(),
    );
    assert(run.stdout.includes(`${OWN} ok 0`));
    assertEquals(Deno.readLinkSync(`${cage.inside}/by-link`), path(cage));
    assertEquals(
      Deno.readTextFileSync(`${cage.inside}/mine`),
      "mine",
    );
  });
}

kvmTest("escape: a slash behind a link leads nowhere either", async () => {
  const [program] = await guest("escape");
  for (const link of ["to-folder/", "to-root/", "to-secret/", "sub/up/../"]) {
    await using cage = new Cage();
    const before = cage.look();
    const run = await runInVm(program, { args: [link] }, cage.inside);
    assertEquals(cage.look(), before, link);
    assertEquals(run.status, 0);
    // What leads to an allowed folder may be looked at.
    const isOnTheWay = link === "to-root/" || link === "sub/up/../";
    const looks = isOnTheWay ? [] : ["lstat", "stat"];
    const errno = isOnTheWay ? ERRNO.EACCES : ERRNO.ENOENT;
    for (const call of [...looks, "lchown", "link's utimes", "chown"]) {
      assert(run.stdout.includes(`\n${call} -1 ${errno}\n`), call);
    }
    const read = isOnTheWay ? ERRNO.EINVAL : ERRNO.ENOENT;
    assert(run.stdout.includes(`\nreadlink -1 ${read}\n`), link);
  }
});

/** Links inside whose target is outside: the link itself is the program's. */
const LINKS = ["to-secret", "to-secret-too", "to-new", "to-folder", "to-root"];

for (const link of LINKS) {
  kvmTest(`escape: nothing is reached through the link ${link}`, async () => {
    const [program] = await guest("escape");
    await using cage = new Cage();
    const before = cage.look();
    const run = await runInVm(program, { args: [link] }, cage.inside);
    assertEquals(cage.look(), before);
    assertEquals(run.status, 0);
    const of = (call: string) => {
      const line = run.stdout.split("\n").find((l) => l.startsWith(`${call} `));
      return line?.slice(call.length + 1);
    };
    // The root is there: a folder of the program's is in it.
    const isThere = link === "to-root";
    const denied = (call: string) =>
      isThere || MAKING.includes(call) ? ERRNO.EACCES : ERRNO.ENOENT;
    for (
      const call of [
        "open",
        "open for writing",
        "open O_PATH",
        "open O_DIRECTORY",
        "create",
        "create and cut",
        "openat",
        "openat2",
        "openat2 to create",
        "creat",
        ...isThere ? [] : ["stat", "newfstatat", "statx", "statfs"],
        "access",
        "access for writing",
        "faccessat",
        "faccessat2",
        "watch",
        "execve",
        "execveat",
        "getxattr",
        "setxattr",
        "listxattr",
        "removexattr",
        "truncate",
        "chdir",
        "chmod",
        "fchmodat",
        "chown",
        "fchownat",
        "utimes",
        "utime",
        "utimes of old",
        "futimesat",
      ]
    ) assertEquals(of(call), `-1 ${denied(call)}`, call);
    assertEquals(of("create anew"), `-1 ${ERRNO.EEXIST}`);
    assertEquals(of("readlink"), "ok 0");
    assertEquals(of("lstat"), "ok 0");
  });
}

kvmTest(
  "escape: a link that another process puts in place leads nowhere",
  async () => {
    const [program] = await guest("swapped");
    await using cage = new Cage();
    const before = cage.look();
    await native(program, ["make"], cage.inside);
    const swapper = new Deno.Command(program, {
      args: ["swap"],
      cwd: cage.inside,
      stdin: "null",
    }).spawn();
    // Not runInVm, which would list a folder that changes meanwhile.
    const allow = { read: [cage.inside], write: [cage.inside] };
    const args = ["open"];
    const cwd = cage.inside;
    await using test = await TestVm.create({ program, args, cwd, allow });
    const end = await test.run();
    swapper.kill("SIGKILL");
    await swapper.status;
    assertEquals(cage.look(), before);
    assertEquals(test.output.stdout, "it never left\n");
    assertEquals(end, { kind: "exited", code: 0 });
  },
);

kvmTest("escape: what may be read may not be written", async () => {
  const [program] = await guest("escape");
  await using cage = new Cage();
  const before = listFolder(cage.inside);
  const run = await runInVm(program, {
    args: ["mine", "sub", "sub/new"],
    vm: { allow: { read: [cage.inside], write: [] } },
  }, cage.inside);
  assertEquals(listFolder(cage.inside), before);
  assertEquals(run.status, 0);
});

kvmTest("escape: one file that is allowed is all that is", async () => {
  const [program] = await guest("escape");
  await using cage = new Cage();
  const before = listFolder(cage.outside);
  const run = await runInVm(program, {
    args: ["sub/up/to-secret", "to-secret", "mine/../to-secret", "mine/../sub"],
    vm: { allow: { read: [`${cage.inside}/mine`], write: [] } },
  }, cage.inside);
  assertEquals(listFolder(cage.outside), before);
  const reached = run.stdout.split("\n").filter((line) => / ok 0$/.test(line));
  assertEquals([...new Set(reached)], [`${OWN} ok 0`]);
});

/** Calls that give a file one more name in the folder of escape.c. */
const LINKING = ["link away", "followed link away"];

kvmTest("escape: a link gives no more access than there was", async () => {
  const [program] = await guest("escape");
  // Whether the file outside may be read, or written: not both, as inside.
  for (const other of ["read", "write"] as const) {
    await using cage = new Cage();
    const before = cage.look();
    const allow = { read: [cage.inside], write: [cage.inside] };
    allow[other].push(`${cage.outside}/folder`);
    const run = await runInVm(program, {
      args: [`${cage.outside}/folder/other`],
      vm: { allow },
    }, cage.inside);
    for (const call of LINKING) {
      assert(run.stdout.includes(`\n${call} -1 ${ERRNO.EACCES}\n`), run.stdout);
    }
    if (other === "read") assertEquals(cage.look(), before);
  }
});
