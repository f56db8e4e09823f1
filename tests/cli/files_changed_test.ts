/**
 * Open files that are not as they were at the save.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, type Outcome, Scratch, vm } from "../support.ts";
import { assertRefused } from "./command.ts";

/** What append.c has written before it calls SAVE(). */
const BEFORE = "one\n";
const NAME = "append.txt";

/** A folder with append.c's image in vm.img, and the file it holds open. */
class Saved implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly file = this.scratch.file(NAME);

  static async save(...options: string[]): Promise<Saved> {
    const saved = new Saved();
    const [append] = await guest("append");
    const run = ["run", "--on-save=vm.img", ...options, append];
    const { status, stderr } = await vm(run, saved.scratch.path);
    assertEquals({ status, stderr: stderr.split(" (")[0] }, {
      status: 0,
      stderr: "vm: saved to vm.img",
    });
    assertEquals(saved.content(), BEFORE);
    return saved;
  }

  content(): string {
    return Deno.readTextFileSync(this.file);
  }

  restore(...options: string[]): Promise<Outcome> {
    return vm(["restore", ...options, "vm.img"], this.scratch.path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scratch[Symbol.asyncDispose]();
  }
}

/** The program's last words, and how it ends, when it goes on. */
function assertWentOn(outcome: Outcome, offset: number, end: number): void {
  assertEquals(outcome, {
    stdout: `offset ${offset}\noffset ${end}, append 1\n`,
    stderr: "",
    status: 0,
  });
}

/** What can have happened to the file, and what `check` says then. */
const CHANGES: [
  what: string,
  change: (saved: Saved) => void,
  message: RegExp,
][] = [
  [
    "removed",
    ({ file }) => Deno.removeSync(file),
    /: expected a file of 4 bytes, found none \(ENOENT\)$/m,
  ],
  [
    "moved",
    ({ file }) => Deno.renameSync(file, `${file}.old`),
    /: expected a file of 4 bytes, found none \(ENOENT\)$/m,
  ],
  [
    "cut",
    ({ file }) => Deno.truncateSync(file, 2),
    /: expected at least 4 bytes, found 2 bytes: it became shorter$/m,
  ],
  [
    "emptied",
    ({ file }) => Deno.truncateSync(file, 0),
    /: expected at least 4 bytes, found 0 bytes: it became shorter$/m,
  ],
  [
    "changed",
    ({ file }) => Deno.writeTextFileSync(file, "onE\n"),
    /: expected content with SHA-256 [0-9a-f]{16}…, found [0-9a-f]{16}…$/m,
  ],
  [
    "replaced by another file",
    ({ file }) => {
      Deno.removeSync(file);
      Deno.writeTextFileSync(file, "another file\n");
    },
    /: expected content with SHA-256 [0-9a-f]{16}…, found [0-9a-f]{16}…$/m,
  ],
  [
    "replaced by a folder",
    ({ file }) => {
      Deno.removeSync(file);
      Deno.mkdirSync(file);
    },
    /: it cannot be opened \(EISDIR\)\nhint: put the file back where it was$/m,
  ],
  [
    "replaced by a pipe",
    ({ file }) => {
      Deno.removeSync(file);
      new Deno.Command("mkfifo", { args: [file] }).outputSync();
    },
    /: expected /m,
  ],
  [
    "replaced by a link that leads outside",
    ({ file }) => {
      Deno.removeSync(file);
      Deno.symlinkSync("/etc/passwd", file);
    },
    /: it may not be opened \(\w+\)$/m,
  ],
];

for (const [what, change, message] of CHANGES) {
  kvmTest(`files: one that was ${what} is refused by name`, async () => {
    await using saved = await Saved.save();
    change(saved);
    const look = () => [...Deno.readDirSync(saved.scratch.path)].length;
    const before = look();
    const outcome = await saved.restore();
    assertRefused(outcome, 3, message);
    assertMatch(
      outcome.stderr,
      new RegExp(`^vm: Cannot restore descriptor 3 \\(${saved.file}\\): `),
    );
    assertMatch(outcome.stderr, /^hint: \w/m);
    const isDenied = /may not be opened/.test(outcome.stderr);
    assertEquals(/--allow-/.test(outcome.stderr), isDenied, outcome.stderr);
    assertEquals(look(), before);
  });
}

kvmTest("files: one that only became longer is what it was", async () => {
  await using saved = await Saved.save();
  Deno.writeTextFileSync(saved.file, "more\n", { append: true });
  assertWentOn(await saved.restore(), 1, 13);
  assertEquals(saved.content(), "one\nmore\ntwo\n");
});

kvmTest("files: one put back by copying is what it was", async () => {
  await using saved = await Saved.save();
  Deno.renameSync(saved.file, `${saved.file}.old`);
  Deno.copyFileSync(`${saved.file}.old`, saved.file);
  assertWentOn(await saved.restore(), 1, 8);
});

kvmTest("files: --files=trust goes on with what is there", async () => {
  await using saved = await Saved.save();
  Deno.writeTextFileSync(saved.file, "else, and longer\n");
  assertWentOn(await saved.restore("--files=trust"), 1, 21);
  assertEquals(saved.content(), "else, and longer\ntwo\n");
  Deno.removeSync(saved.file);
  assertRefused(
    await saved.restore("--files=trust"),
    3,
    /found none \(ENOENT\)$/m,
  );
});

kvmTest("files: --files=rollback cuts back what was added", async () => {
  await using saved = await Saved.save();
  Deno.writeTextFileSync(saved.file, "more\n", { append: true });
  assertWentOn(await saved.restore("--files=rollback"), 1, 8);
  assertEquals(saved.content(), "one\ntwo\n");
});

kvmTest("files: --files=rollback refuses what was changed or cut", async () => {
  await using saved = await Saved.save();
  for (const content of ["onE\nmore\n", "on"]) {
    Deno.writeTextFileSync(saved.file, content);
    const outcome = await saved.restore("--files=rollback");
    assertRefused(outcome, 3, /^vm: Cannot restore descriptor 3/);
    assertEquals(saved.content(), content);
  }
});

kvmTest("files: --files=carry puts the image's content in place", async () => {
  await using saved = await Saved.save("--carry-files");
  for (
    const prepare of [
      () => Deno.removeSync(saved.file),
      () => Deno.writeTextFileSync(saved.file, "something else that is long\n"),
      () => {},
    ]
  ) {
    prepare();
    assertWentOn(await saved.restore("--files=carry"), 1, 8);
    assertEquals(saved.content(), "one\ntwo\n");
  }
});

kvmTest(
  "files: an image that carries none is checked with --files=carry",
  async () => {
    await using saved = await Saved.save();
    Deno.truncateSync(saved.file, 1);
    assertRefused(
      await saved.restore("--files=carry"),
      3,
      /it became shorter$/m,
    );
    assertEquals(saved.content(), "o");
  },
);

kvmTest("files: a folder that is not allowed any more is refused", async () => {
  await using saved = await Saved.save();
  const outcome = await saved.restore("--allow-write=");
  assertRefused(outcome, 3, /: it may not be opened \(EACCES\)$/m);
  assertMatch(outcome.stderr, /^hint: allow its folder with --allow-read/m);
  assertEquals(saved.content(), BEFORE);
});
