/**
 * The files that the programs of the table work on: made alike in each run.
 *
 * @module
 */

/** When every file was changed last, so that listings are alike. */
const THEN = new Date("2020-02-02T02:02:02Z");

const WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"];

/** A generator of numbers from 0 to 1, the same in each run. */
function generator(): () => number {
  let seed = 88172645;
  return () => {
    // xorshift32 (Marsaglia, 2003).
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return (seed >>> 0) / 2 ** 32;
  };
}

/** `count` lines: a word, a number, the number of the line. */
function lines(count: number): string {
  const random = generator();
  const made: string[] = [];
  for (let i = 0; i < count; i++) {
    const word = WORDS[Math.floor(random() * WORDS.length)];
    made.push(`${word} ${Math.floor(random() * 100_000)} ${i}\n`);
  }
  return made.join("");
}

/** Lines of a little more than `lengthBytes` in all. */
function manyLines(lengthBytes: number): string {
  const piece = lines(50_000);
  return piece.repeat(Math.ceil(lengthBytes / piece.length));
}

function randomBytes(length: number): Uint8Array {
  const random = generator();
  return Uint8Array.from({ length }, () => random() * 256);
}

/** What is in every folder. */
const COMMON: Record<string, () => string | Uint8Array> = {
  lines: () => lines(3000),
  other: () => lines(3100).replaceAll("beta", "BETA"),
  bytes: () => randomBytes(200_000),
  empty: () => "",
  "data.json": () =>
    JSON.stringify(
      Array.from({ length: 300 }, (_, i) => ({
        id: i,
        name: WORDS[i % WORDS.length],
        tags: [`t${i % 3}`, `u${i % 5}`],
        nested: { x: i / 7, y: null },
      })),
    ),
  "table.csv": () =>
    "id,name,value\n" +
    Array.from({ length: 200 }, (_, i) =>
      `${i},${WORDS[i % WORDS.length]},${(i * i) % 97}\n`).join(""),
  "program.c": () => C_SOURCE,
  "tree/one": () => "one\n",
  "tree/deep/two": () => "two\n",
  "tree/deep/deeper/three": () => "three\n",
};

const C_SOURCE = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pair { long key; double value; };

static int by_key(const void *a, const void *b) {
  const struct pair *x = a, *y = b;
  return x->key < y->key ? -1 : x->key > y->key;
}

int main(int argc, char **argv) {
  size_t count = argc > 1 ? strtoul(argv[1], 0, 10) : 1000;
  struct pair *pairs = calloc(count, sizeof *pairs);
  for (size_t i = 0; i < count; i++) {
    pairs[i].key = (long)(i * 2654435761u % 100003);
    pairs[i].value = pairs[i].key / 7.0;
  }
  qsort(pairs, count, sizeof *pairs, by_key);
  for (size_t i = 0; i + 1 < count; i++)
    if (pairs[i].key > pairs[i + 1].key) return 1;
  printf("%ld %.3f\\n", pairs[count / 2].key, pairs[count / 2].value);
  free(pairs);
  return 0;
}
`;

/** What only some need, by name. */
const LARGE: Record<string, () => string | Uint8Array> = {
  "lines.1M": () => manyLines(1e6),
  "lines.10M": () => manyLines(10e6),
  "lines.100M": () => manyLines(100e6),
};

function write(path: string, content: string | Uint8Array): void {
  const bytes = typeof content === "string"
    ? new TextEncoder().encode(content)
    : content;
  Deno.writeFileSync(path, bytes, { mode: 0o644 });
  Deno.utimeSync(path, THEN, THEN);
}

/**
 * Fills a folder with what all programs find, and with what one needs besides.
 *
 * @param needs names of larger files
 */
export function fill(folder: string, needs: readonly string[] = []): void {
  Deno.mkdirSync(`${folder}/tree/deep/deeper`, { recursive: true });
  for (const [name, make] of Object.entries(COMMON)) {
    write(`${folder}/${name}`, make());
  }
  for (const name of needs) write(`${folder}/${name}`, LARGE[name]());
  Deno.symlinkSync("tree/one", `${folder}/link`);
  for (const name of ["tree/deep/deeper", "tree/deep", "tree"]) {
    Deno.utimeSync(`${folder}/${name}`, THEN, THEN);
  }
}
