/**
 * A real program that was not made for this: busybox, statically linked, over
 * real files, compared with what it does natively.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { kvmTestUnless } from "../kvm_gate.ts";
import { Scratch, seeded } from "../support.ts";
import { runInVm, runNatively, type Setting } from "./compare.ts";

/** Where a static busybox is looked for (Debian: busybox-static). */
const PLACES = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static"];

/** Its path; undefined where there is none, or only a dynamic one. */
const BUSYBOX = PLACES.find(isStatic);

function isStatic(path: string): boolean {
  try {
    // A dynamic program names its interpreter within its first page.
    const bytes = Deno.readFileSync(path).subarray(0, 4096);
    return !new TextDecoder("latin1").decode(bytes).includes("/ld-");
  } catch {
    return false;
  }
}

/** When every file was changed last, so that listings are alike. */
const THEN = new Date("2020-02-02T02:02:02Z");

/** Fills a folder: text, lines to sort, bytes of all values, a tree, a link. */
function fill(random: () => number): (folder: string) => void {
  const words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];
  const lines = Array.from({ length: 3000 }, (_, i) => {
    const word = words[Math.floor(random() * words.length)];
    return `${word} ${Math.floor(random() * 10000)} ${i}`;
  });
  const bytes = Uint8Array.from({ length: 300_000 }, () => random() * 256);
  return (folder) => {
    Deno.writeTextFileSync(`${folder}/lines`, lines.join("\n") + "\n");
    Deno.writeFileSync(`${folder}/bytes`, bytes);
    Deno.writeTextFileSync(`${folder}/empty`, "");
    Deno.mkdirSync(`${folder}/tree/deep/deeper`, { recursive: true });
    Deno.writeTextFileSync(`${folder}/tree/one`, "one\n");
    Deno.writeTextFileSync(`${folder}/tree/deep/two`, "two\n");
    Deno.writeTextFileSync(`${folder}/tree/deep/deeper/three`, "three\n");
    Deno.symlinkSync("tree/one", `${folder}/link`);
    for (
      const path of [
        "tree/deep/deeper/three",
        "tree/deep/deeper",
        "tree/deep/two",
        "tree/deep",
        "tree/one",
        "tree",
        "empty",
        "bytes",
        "lines",
      ]
    ) Deno.utimeSync(`${folder}/${path}`, THEN, THEN);
  };
}

/** The same files for every command. */
const FILL = fill(seeded("busybox"));

/** Command lines; what they print and leave behind is compared. */
const COMMANDS: string[][] = [
  ["sha256sum", "lines", "bytes", "empty", "none"],
  ["md5sum", "bytes"],
  ["cksum", "bytes"],
  ["sort", "lines"],
  ["sort", "-k2,2n", "-k1,1r", "lines"],
  ["sort", "-u", "-o", "sorted", "lines"],
  ["awk", "{ n[$1] += $2 } END { for (w in n) print w, n[w] / 7 }", "lines"],
  ["awk", 'BEGIN { printf "%.6f %s %d\\n", atan2(1, 2), toupper("x"), 7 }'],
  ["sed", "-n", "s/^alpha \\([0-9]*\\)/\\1 &/p", "lines"],
  ["sed", "-i", "s/beta/BETA/", "lines"],
  ["wc", "lines", "bytes", "empty"],
  ["grep", "-n", "-E", "^(zeta|beta) 9[0-9]{3} ", "lines"],
  ["grep", "-r", "t", "tree"],
  ["grep", "-c", "nowhere", "lines"],
  ["head", "-n", "7", "lines"],
  ["head", "-c", "5000", "lines"],
  ["tail", "-n", "7", "lines"],
  ["tail", "-c", "+40000", "lines"],
  ["od", "-A", "d", "-t", "x1z", "-N", "512", "-j", "1000", "bytes"],
  ["hexdump", "-C", "-n", "100", "bytes"],
  ["cat", "lines", "tree/one", "-", "none"],
  ["tac", "tree/one"],
  ["cut", "-d", " ", "-f", "2", "lines"],
  ["tr", "a-z", "A-Z"],
  ["uniq", "-c", "tree/one"],
  ["diff", "tree/one", "tree/deep/two"],
  ["cmp", "tree/one", "link"],
  ["ls", "-la", "tree", "tree/deep"],
  ["ls", "-1R", "."],
  ["find", "tree", "-type", "f", "-name", "t*"],
  ["find", ".", "-size", "+10k"],
  ["cp", "-r", "tree", "copied"],
  ["cp", "bytes", "copied-bytes"],
  ["mv", "tree", "moved"],
  ["mv", "lines", "tree/one"],
  ["rm", "-r", "tree"],
  ["rm", "none"],
  ["mkdir", "-p", "a/b/c"],
  ["rmdir", "tree"],
  ["stat", "-c", "%n %s %f %h %u %g %Y", "lines", "tree", "link"],
  ["readlink", "link"],
  ["basename", "a/b/c.txt", ".txt"],
  ["date", "-u", "-d", "@1580608922", "+%Y-%m-%d %H:%M:%S"],
  ["date", "-r", "lines", "-u"],
  ["dd", "if=bytes", "of=part", "bs=1000", "skip=3", "count=5"],
  ["truncate", "-s", "1000", "bytes"],
  ["split", "-b", "100000", "bytes", "piece-"],
  ["gzip", "-k", "bytes"],
  ["chmod", "-R", "u=rwX,go=", "tree"],
  ["touch", "-d", "2001-02-03 04:05:06", "lines", "new"],
  ["chown", "-h", "0:0", "link"],
  ["bzip2", "-k", "lines"],
  ["base64", "bytes"],
  ["tar", "-cf", "all.tar", "tree", "lines"],
  ["expr", "6", "*", "7"],
  ["factor", "1234567890123456789"],
  ["seq", "1", "3", "2000"],
  ["printf", "%s|%5d|%x\\n", "a", "42", "255"],
  ["pwd"],
  ["uname", "-s", "-m"],
  ["id", "-u"],
  ["sleep", "0.01"],
  ["test", "-d", "tree"],
  ["false"],
  ["nothing-of-this-name"],
];

if (!BUSYBOX) {
  console.error(
    "SKIPPED busybox: no static busybox here (Debian: apt-get install busybox-static)",
  );
}

for (const command of COMMANDS) {
  const name = `busybox: \`${command.join(" ")}\` does what it does natively`;
  kvmTestUnless(BUSYBOX ? undefined : "busybox", name, async () => {
    const busybox = BUSYBOX!;
    const setting: Setting = {
      args: command,
      stdin: "from standard input\nand more\n",
      prepare: FILL,
      // Names of users, which listings and archives show.
      reads: ["/etc/passwd", "/etc/group"],
      vm: { environment: { NO_COLOR: "1" } },
    };
    await using natively = new Scratch();
    await using inVm = new Scratch();
    const expected = await runNatively(busybox, setting, natively.path);
    const got = await runInVm(busybox, setting, inVm.path);
    const plain = (text: string, folder: string) =>
      // What differs from run to run: the folder, and how fast it went.
      text.replaceAll(folder, "(folder)").replace(/copied, .*/, "copied");
    assertEquals(
      plain(got.stdout, inVm.path),
      plain(expected.stdout, natively.path),
    );
    assertEquals(
      plain(got.stderr, inVm.path),
      plain(expected.stderr, natively.path),
    );
    assertEquals(got.status, expected.status);
    assertEquals(got.folder, expected.folder);
  });
}
