/**
 * Applets of busybox, with what they are given.
 *
 * @module
 */

import type { Program } from "./table.ts";

/** Applets and their arguments, and what they read. */
// deno-fmt-ignore
const APPLETS: readonly (readonly [line: string, stdin?: string])[] = [
  ["ar -t a.ar"], ["arch"], ["awk '{ n[$1] += $2 } END { print n[\"alpha\"], n[\"eta\"] / 7 }' lines"],
  ["base64 bytes"], ["basename /a/b/c.txt .txt"], ["bunzip2 -c z.bz2"], ["bzip2 -k lines"],
  ["cal 2 2020"], ["cat lines tree/one"], ["chmod -R 700 tree"],
  ["cmp lines other"], ["cp -a tree copy"], ["cpio -t", ""],
  ["crc32 lines"], ["cut -c 1-5,7 lines"], ["date -u -d 2020.02.02-02:02:02 +%F"],
  ["dc -e '2 100 ^ p'"], ["dd if=bytes of=out bs=1000 count=9 status=none"], ["diff lines other"],
  ["dirname /a/b/c"], ["dos2unix lines"], ["du -b tree"], ["echo some words"],
  ["egrep ^(alpha|eta) lines"], ["expand -t 4", "a\tb\n"],
  ["expr 6 * 7"], ["factor 1234567890"], ["false"], ["fgrep alpha lines"],
  ["find . -name t* -type f"], ["fold -w 20 lines"], ["grep -c beta lines"],
  ["gunzip -c z.gz"], ["gzip -c lines"], ["head -n 7 lines"], ["hexdump -C empty"],
  ["hexdump -n 500 bytes"], ["id -u"], ["ln -s lines l2"], ["ls -l tree"],
  ["lzcat z.lzma"], ["md5sum lines bytes"], ["mkdir -p m/n/o"],
  ["mv lines moved"], ["nl lines"], ["od -x bytes"], ["paste lines other"],
  ["patch lines p", ""], ["printf %s-%d\\n a 5"], ["pwd"],
  ["readlink link"], ["realpath link"], ["rev lines"], ["rm -r tree"], ["rmdir tree/none"],
  ["sed -n s/alpha/&&/p lines"], ["seq 1 3 2000"], ["sh -c 'i=0; while [ $i -lt 99 ]; do i=$((i + 1)); done; echo $i'"],
  ["sha1sum lines"], ["sha256sum lines"], ["sha3sum lines"], ["sha512sum bytes"],
  ["shuf -i 5-5"], ["sleep 0.05"], ["sort -n -k2 lines"],
  ["stat -c %s:%a:%F lines"], ["strings -n 8 bytes"], ["tac lines"],
  ["tail -n 5 lines"], ["tar -cf - tree/one"], ["tee out", "text\n"], ["test -f lines"],
  ["touch -d 2020-01-01 lines"], ["tr a-m A-M", "hello\n"], ["true"], ["truncate -s 100 lines"],
  ["uname -m"], ["unexpand -a", "        x\n"], ["uniq -c", "a\na\nb\n"],
  ["unix2dos lines"], ["unxz -c z.xz"], ["uuencode lines name"], ["wc lines bytes"],
  ["xxd -l 300 bytes"], ["xzcat z.xz"],
];

/** Files that applets unpack or apply. */
const SETUP =
  "gzip -nc lines > z.gz && bzip2 -c lines > z.bz2 && xz -c lines > z.xz" +
  " && xz -c --format=lzma lines > z.lzma && ar rcD a.ar lines empty" +
  // The files differ: status 1.
  " && { diff -u lines other > p; test $? = 1; }";

/** Those that each run of the tests has. */
const QUICK = new Set(["awk", "cp", "find", "sed", "sha256sum", "sort", "tar"]);

/** Those that end with 1: files that differ, nothing to remove. */
const FAILING = new Set(["cmp", "diff", "false", "rmdir"]);

/** The words of a line; one with spaces is in quotes. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|\S+/g)].map(([all, inner]) =>
    inner ?? all
  );
}

/** Each as a program of its own. */
export const BUSYBOX: readonly Program[] = APPLETS.map(([line, stdin]) => {
  const words = wordsOf(line);
  return {
    name: `busybox ${line}`,
    package: "busybox-static",
    argv: ["busybox", ...words],
    setup: SETUP,
    stdin,
    status: FAILING.has(words[0]) ? 1 : 0,
    quick: QUICK.has(words[0]),
  };
});
