import { assert, assertEquals } from "@std/assert";
import { getFlags } from "../../src/devices/host_calls.ts";
import { HostFile, HostPaths, O } from "../../src/devices/mod.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import type { Linux } from "../../src/linux/linux.ts";
import { openAgain } from "../../src/linux/proc/reopen.ts";
import { resources, Scratch } from "../support.ts";

Deno.test("reopen: what is no file or folder stays a path, and no read of it waits", async () => {
  await using scratch = new Scratch();
  const pipe = scratch.file("pipe");
  assert(new Deno.Command("mkfifo", { args: [pipe] }).outputSync().success);
  Deno.writeTextFileSync(scratch.file("file"), "content");
  using paths = new HostPaths({ read: [scratch.path], write: [scratch.path] });
  // All that opening by descriptor takes of it.
  const linux = { paths } as unknown as Linux;
  const access = { read: true, write: true };
  const before = resources().fds;
  const open = (name: string) =>
    new HostFile(
      paths.open("/", scratch.file(name), O.path, 0, access),
      O.path,
    );
  const [named, file] = [open("pipe"), open("file")];
  assertEquals(openAgain(linux, named, O.readWrite, 0), -ERRNO.EACCES);
  const again = openAgain(linux, named, O.path, O.path);
  assert(again instanceof HostFile);
  again.close();

  // A file's descriptor does not wait either, whatever the program sets.
  const opened = openAgain(linux, file, O.readWrite, O.readWrite);
  assert(opened instanceof HostFile);
  assertEquals(opened.setStatusFlags(0), 0);
  assert(getFlags(opened.hostFd) & O.nonBlock);
  for (const one of [named, file, opened]) one.close();
  assertEquals(resources().fds, before);
});
