import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Area, AreaList, commits } from "../../src/linux/areas.ts";
import { PAGE_BYTES } from "../../src/vmm/mod.ts";
import { holds } from "../vmm/property.ts";

const PAGES = 64;
const KINDS = ["anonymous", "file", "heap"] as const;

/** What a page belongs to; equal neighbours are one area. */
type Page = Pick<Area, "prot" | "kind" | "lazy">;

/** The areas of a naive array of pages. */
function areasOf(pages: (Page | undefined)[]): Area[] {
  const areas: Area[] = [];
  for (const [i, page] of pages.entries()) {
    if (!page) continue;
    const last = areas.at(-1);
    if (
      last?.end === i * PAGE_BYTES && last.prot === page.prot &&
      last.kind === page.kind && last.lazy === page.lazy
    ) {
      last.end += PAGE_BYTES;
    } else {
      areas.push({ ...page, start: i * PAGE_BYTES, end: (i + 1) * PAGE_BYTES });
    }
  }
  return areas;
}

const range = {
  first: fc.nat(PAGES - 1),
  count: fc.integer({ min: 1, max: 20 }),
};
const step = fc.oneof(
  fc.record({
    op: fc.constant("insert" as const),
    ...range,
    prot: fc.nat(3),
    kind: fc.constantFrom(...KINDS),
    lazy: fc.boolean(),
  }),
  fc.record({ op: fc.constant("remove" as const), ...range }),
  fc.record({ op: fc.constant("protect" as const), ...range, prot: fc.nat(3) }),
);

Deno.test("areas: random inserts, removals and protections are those of an array of pages", () => {
  const query = fc.record({
    ...range,
    pages: fc.integer({ min: 1, max: 12 }),
    align: fc.constantFrom(1, 2, 4),
  });
  const all = fc.tuple(
    fc.array(step, { maxLength: 40 }),
    fc.array(query, { minLength: 1, maxLength: 8 }),
  );
  holds("areas", 500, all, ([steps, queries]) => {
    const list = new AreaList();
    const pages: (Page | undefined)[] = Array(PAGES).fill(undefined);
    for (const s of steps) {
      const last = Math.min(PAGES, s.first + s.count);
      const start = s.first * PAGE_BYTES;
      const end = last * PAGE_BYTES;
      if (s.op !== "protect") {
        list.remove(start, end);
        pages.fill(undefined, s.first, last);
      }
      if (s.op === "insert") {
        const page: Page = s.lazy
          ? { prot: s.prot, kind: s.kind, lazy: true }
          : { prot: s.prot, kind: s.kind };
        list.insert({ ...page, start, end });
        pages.fill(page, s.first, last);
      }
      if (s.op === "protect") {
        list.protect(start, end, s.prot);
        for (let i = s.first; i < last; i++) {
          const page = pages[i];
          if (page) pages[i] = { ...page, prot: s.prot };
        }
      }
    }
    assertEquals(compact(list.all), compact(areasOf(pages)));
    assertEquals(list.committedBytes, list.totalBytes(commits));
    for (const { first, count, pages: wanted, align } of queries) {
      ask(list, pages, first, Math.min(PAGES, first + count));
      gap(list, pages, wanted, align, first);
    }
    const writable = pages.filter((page) => (page?.prot ?? 0) & 2).length;
    assertEquals(
      list.totalBytes(({ prot }) => (prot & 2) !== 0),
      writable * PAGE_BYTES,
    );
  });
});

/** Areas as short texts: a difference is easy to see then. */
function compact(areas: readonly Area[]): string[] {
  return areas.map(({ start, end, prot, kind, lazy }) =>
    `${start / PAGE_BYTES}-${end / PAGE_BYTES} ${prot} ${kind} ${lazy ?? false}`
  );
}

function ask(
  list: AreaList,
  pages: (Page | undefined)[],
  first: number,
  last: number,
): void {
  const start = first * PAGE_BYTES;
  const end = last * PAGE_BYTES;
  const inside = pages.slice(first, last);
  assertEquals(list.covers(start, end), inside.every((page) => page));
  assertEquals(list.overlaps(start, end), inside.some((page) => page));
  const found = list.find(start + 17);
  assertEquals(found?.prot, pages[first]?.prot);
  const expected = areasOf(pages).filter((a) => a.start < end && a.end > start);
  assertEquals(compact(list.within(start, end)), compact(expected));
}

function gap(
  list: AreaList,
  pages: (Page | undefined)[],
  wanted: number,
  align: number,
  lowest: number,
): void {
  const end = PAGES - 3;
  let expected = -1;
  for (let at = end - wanted; at >= lowest; at--) {
    if (at % align !== 0) continue;
    if (pages.slice(at, at + wanted).some((page) => page)) continue;
    expected = at * PAGE_BYTES;
    break;
  }
  const got = list.findGap(
    wanted * PAGE_BYTES,
    align * PAGE_BYTES,
    lowest * PAGE_BYTES,
    end * PAGE_BYTES,
  );
  assertEquals(got, expected);
}

Deno.test("areas: an area that was given is copied", () => {
  const list = new AreaList();
  const area: Area = { start: 0, end: PAGE_BYTES, prot: 3, kind: "file" };
  list.insert(area);
  area.end = 5 * PAGE_BYTES;
  assertEquals(list.all[0].end, PAGE_BYTES);
  assert(list.find(PAGE_BYTES) === undefined);
});
