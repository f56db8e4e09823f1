import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FdTable, MAX_DESCRIPTORS, OpenFile } from "../../src/devices/mod.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { holds } from "../vmm/property.ts";

/** An open file that knows how often it was closed. */
class Counted extends OpenFile {
  readonly type = "counted";
  closed = 0;

  constructor() {
    super(0);
  }

  override stat(): number {
    return 0;
  }

  override close(): void {
    this.closed++;
  }
}

Deno.test("fd_table: random installs, dups and closes follow a map", () => {
  const small = fc.integer({ min: 0, max: 12 });
  const step = fc.oneof(
    fc.record({ op: fc.constant("open" as const), minimum: small }),
    fc.record({ op: fc.constant("dup" as const), fd: small, minimum: small }),
    fc.record({ op: fc.constant("dup2" as const), fd: small, to: small }),
    fc.record({ op: fc.constant("close" as const), fd: small }),
  );
  holds("fd_table", 300, fc.array(step, { maxLength: 60 }), (steps) => {
    const fds = new FdTable();
    const model = new Map<number, Counted>();
    const all = new Set<Counted>();
    const lowest = (minimum: number) => {
      while (model.has(minimum)) minimum++;
      return minimum;
    };
    for (const s of steps) {
      if (s.op === "open") {
        const file = new Counted();
        all.add(file);
        const expected = lowest(s.minimum);
        assertEquals(
          fds.install(file, false, { minimum: s.minimum }),
          expected,
        );
        model.set(expected, file);
      } else if (s.op === "dup") {
        const file = model.get(s.fd);
        assertEquals(fds.file(s.fd), file);
        if (!file) continue;
        const expected = lowest(s.minimum);
        assertEquals(fds.install(file, true, { minimum: s.minimum }), expected);
        model.set(expected, file);
      } else if (s.op === "dup2") {
        const file = model.get(s.fd);
        if (!file) continue;
        fds.installAt(s.to, file, false);
        model.set(s.to, file);
      } else {
        const result = fds.close(s.fd);
        assertEquals(result, model.delete(s.fd) ? 0 : -ERRNO.EBADF);
      }
      // A file is closed once, when the last number that leads to it goes.
      for (const file of all) {
        const pointing = [...model.values()].filter((f) => f === file).length;
        assertEquals(file.references, pointing);
        assertEquals(file.closed, pointing === 0 ? 1 : 0);
      }
    }
    const inOrder = [...model].sort((a, b) => a[0] - b[0]);
    assertEquals(
      [...fds.entries()].map(([fd]) => fd),
      inOrder.map(([fd]) => fd),
    );
    const files = [...new Set(inOrder.map(([, file]) => file))];
    assert(fds.files().every((file, i) => file === files[i]));
    assertEquals(fds.files().length, files.length);
    fds.closeAll();
    assertEquals([...fds.entries()], []);
    for (const file of all) assertEquals(file.closed, 1);
  });
});

Deno.test("fd_table: a full table refuses, and closes what nothing points to", () => {
  const fds = new FdTable();
  const file = new Counted();
  for (let fd = 0; fd < MAX_DESCRIPTORS; fd++) {
    assertEquals(fds.install(file, false), fd);
  }
  assertEquals(fds.install(file, false), -ERRNO.EMFILE);
  assertEquals(file.closed, 0);
  const late = new Counted();
  assertEquals(fds.install(late, false), -ERRNO.EMFILE);
  assertEquals(late.closed, 1);
  fds.close(500);
  assertEquals(
    fds.install(new Counted(), false, { minimum: 501 }),
    -ERRNO.EMFILE,
  );
  assertEquals(fds.install(new Counted(), false), 500);
});

Deno.test("fd_table: numbers that are no descriptor's are not open", () => {
  const fds = new FdTable();
  fds.install(new Counted(), false);
  for (const fd of [-1, 1, MAX_DESCRIPTORS, 2 ** 31 - 1, -(2 ** 31)]) {
    assertEquals(fds.get(fd), undefined);
    assertEquals(fds.file(fd), undefined);
    assertEquals(fds.close(fd), -ERRNO.EBADF);
  }
});
