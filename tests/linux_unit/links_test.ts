/**
 * Which descriptors may be given a name, without a vCPU.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  FdTable,
  HostFile,
  HostPaths,
  O,
} from "../../src/devices/mod.ts";
import type { Linux } from "../../src/linux/linux.ts";
import { Process } from "../../src/linux/process.ts";
import type { Registers } from "../../src/linux/registers.ts";
import { linkCalls } from "../../src/linux/syscalls/links.ts";
import { PAGE_BYTES, PROT } from "../../src/vmm/mod.ts";
import { Scratch } from "../support.ts";
import { Space } from "./probe_guest.ts";

const PATHS_VA = 0x1000_0000;
const ENOENT = -2;

Deno.test("linkat: a file that says it had no name, and has one, gets no other", async () => {
  await using scratch = new Scratch();
  const [read, write] = [scratch.file("read"), scratch.file("write")];
  for (const folder of [read, write]) Deno.mkdirSync(folder);
  Deno.writeTextFileSync(`${read}/only`, "to be read");
  using paths = new HostPaths({ read: [read], write: [write] });
  using space = new Space(64 * 1024 * 1024);
  space.space.map(PATHS_VA, PAGE_BYTES, PROT.read | PROT.write, "anonymous");
  space.user.load(PATHS_VA, new TextEncoder().encode("\0name\0"));
  const fds = new FdTable();
  const process = new Process(Process.initial("/a", ["a"], write, 0o22));
  const { user } = space;
  const ids = { uid: 1000, gid: 1000 };
  const linux = { paths, fds, process, user, ids } as unknown as Linux;
  const link = (path: string, flags: number, access: object, says = flags) => {
    const fd = paths.open("/", path, flags, 0o600, access);
    const file = fds.install(new HostFile(fd, says), false);
    const ints = [file, 0, AT_FDCWD, 0, AT_EMPTY_PATH];
    const vas = [0, PATHS_VA, 0, PATHS_VA + 1];
    const args = { int: (i: number) => ints[i], u64: (i: number) => vas[i] };
    const result = linkCalls.linkat!(linux, args as unknown as Registers);
    fds.close(file);
    return result;
  };
  const says = O.readOnly | O.temporary;
  assertEquals(
    link(`${read}/only`, O.readOnly, { read: true }, says),
    ENOENT,
  );
  assertEquals([...Deno.readDirSync(write)], []);
  const flags = O.writeOnly | O.temporary;
  assertEquals(link(write, flags, { write: true }), 0);
  assertEquals([...Deno.readDirSync(write)].map(({ name }) => name), ["name"]);
});
