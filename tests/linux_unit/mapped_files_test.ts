import { assertEquals, assertThrows } from "@std/assert";
import { FdTable, HostFile, O } from "../../src/devices/mod.ts";
import { MappedFiles } from "../../src/linux/mapped_files.ts";
import {
  FILES_END_GPA,
  FILES_GPA,
  FileWindow,
  PAGE_BYTES,
  VmError,
} from "../../src/vmm/mod.ts";

const ONE = {
  gpa: FILES_GPA,
  lengthBytes: 2 * PAGE_BYTES,
  offset: 0,
  isWritable: false,
};

Deno.test("mapped_files: what is saved must be whole pages in their place, and apart", () => {
  using window = new FileWindow();
  const next = { ...ONE, gpa: FILES_GPA + 2 * PAGE_BYTES };
  const files = new MappedFiles(window, [next, ONE]);
  assertEquals(files.state(), [ONE, next]);
  assertEquals(files.find(FILES_GPA + PAGE_BYTES), ONE);
  assertEquals(files.find(FILES_GPA + 4 * PAGE_BYTES), undefined);
  for (
    const wrong of [
      { ...ONE, gpa: 0 },
      { ...ONE, gpa: FILES_GPA - PAGE_BYTES },
      { ...ONE, gpa: FILES_END_GPA - PAGE_BYTES },
      { ...next, gpa: FILES_GPA + PAGE_BYTES },
      { ...next, gpa: next.gpa + 1 },
      { ...next, offset: 1 },
      { ...next, lengthBytes: 0 },
      { ...next, lengthBytes: 100 },
      { ...next, lengthBytes: Number.MAX_SAFE_INTEGER - 4094 },
    ]
  ) assertThrows(() => new MappedFiles(window, [ONE, wrong]), VmError);
});

Deno.test("mapped_files: the files held open must be those, open as they were", () => {
  using window = new FileWindow();
  const files = new MappedFiles(window, [ONE]);
  files.check(new Map([[ONE.gpa, O.readOnly]]));
  files.check(new Map([[ONE.gpa, O.readWrite | O.append]]));
  for (
    const held of [
      [],
      [[ONE.gpa, O.writeOnly]],
      [[ONE.gpa, O.path]],
      [[ONE.gpa + 1, O.readOnly]],
      [[ONE.gpa, O.readOnly], [ONE.gpa + PAGE_BYTES, O.readOnly]],
    ] as [number, number][][]
  ) assertThrows(() => files.check(new Map(held)), VmError);
  const written = new MappedFiles(window, [{ ...ONE, isWritable: true }]);
  written.check(new Map([[ONE.gpa, O.readWrite]]));
  const readOnly = new Map([[ONE.gpa, O.readOnly]]);
  assertThrows(() => written.check(readOnly), VmError);
});

Deno.test("fd_table: a file that is held stays open without a descriptor", () => {
  let closed = 0;
  class Counted extends HostFile {
    override close(): void {
      closed++;
    }
  }
  const fds = new FdTable();
  const file = new Counted(-1, O.readWrite);
  const fd = fds.install(file, false);
  fds.hold(FILES_GPA, file);
  fds.close(fd);
  assertEquals([closed, fds.files()], [0, [file]]);
  assertEquals(fds.heldFile(FILES_GPA), file);
  fds.drop(FILES_GPA);
  fds.drop(FILES_GPA);
  assertEquals([closed, fds.files()], [1, []]);
  const other = new Counted(-1, O.readWrite);
  fds.hold(FILES_GPA, other);
  fds.closeAll();
  assertEquals(closed, 2);
});
