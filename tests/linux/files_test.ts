/**
 * System calls on files and folders, compared with Linux.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { ERRNO } from "../../mod.ts";
import { guest, Scratch } from "../support.ts";
import { compare, compareTest, runInVm } from "./compare.ts";
import { prepareFolders } from "./prepare.ts";

compareTest("files", "every call on files answers as Linux's");
compareTest("lseek", "offsets move as Linux's");
compareTest("vectors", "readv, writev and their kin answer as Linux's");
compareTest("file_limit", "files become no longer than their limit", {
  args: ["ends"],
});
compareTest("folders", "folders and names are as Linux's", {
  prepare: prepareFolders,
});
compareTest("current", "the current folder is a folder, whatever its name");
compareTest("attributes", "permissions, owner and times change as on Linux");
compareTest(
  "empty_path",
  "a descriptor may stand for an empty path, as on Linux",
);
compareTest("kept", "files in memory are sealed", { args: ["seals"] });
compareTest("kept", "files that are mapped for writing are sealed", {
  args: ["future"],
});
compareTest("kept", "files without a name get one", { args: ["named"] });
compareTest("kept", "files without a name are reached by their descriptor's", {
  args: ["nameless"],
});

kvmTest(
  "memory_files: files in memory have as much as the VM, all together",
  async () => {
    const [program] = await guest("memory_files");
    await using folder = new Scratch();
    const memoryBytes = 64 * 1024 ** 2;
    const setting = { args: [`${memoryBytes}`], vm: { memoryBytes } };
    const { stdout } = await runInVm(program, setting, folder.path);
    const answers = stdout.trim().split("\n").map((line) =>
      line.split(/ {2,}/).at(-1)!
    );
    const none = `-1 ${ERRNO.ENOSPC}`;
    const MIB = 1024 ** 2;
    const full = [none, none, none, none, none, none];
    const page = ["4096 0", none, "0 0"];
    const each = [
      ...full,
      ...["96 0", "0 0"],
      ...page,
      ...["1 0", ...page],
      ...["1 0", "0 0", ...page],
      ...page,
    ];
    assertEquals(answers, [
      ...[none, "0 0", none, "0 0", `${MIB} 0`],
      ...each,
      ...each,
      ...[none, "0 0", "0 0", "4096 0", none, "0 0"],
      ...["0 0", none, "0 0", "0 0"],
      ...["0 0", `${MIB + 4097} 0`, none, "0 0", "0 0", "0 0"],
    ]);
  },
);

const RESOLVE: Readonly<Record<string, string>> = {
  folder: "among its own files",
  system: "among files of /proc and /dev",
  root: "from the root, where all can be read",
};
for (const [part, where] of Object.entries(RESOLVE)) {
  kvmTest(
    `resolve: openat2 refuses as Linux by RESOLVE_*, ${where}`,
    async () => {
      const [program] = await guest("resolve");
      const prepare = (folder: string) => {
        Deno.mkdirSync(`${folder}/a`);
        Deno.symlinkSync("b/../b", `${folder}/a/around`);
        Deno.symlinkSync(`${folder}/a/link`, `${folder}/absolute`);
      };
      const reads = part === "root" ? ["/"] : [];
      const run = await compare(program, { args: [part], prepare, reads });
      assertEquals(run.warnings, []);
    },
    "resolve",
  );
}
