/**
 * What mmap refuses, without a vCPU.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { FdTable, HostFile, HostPaths, O } from "../../src/devices/mod.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { addressSpaceState } from "../../src/linux/address_space_state.ts";
import type { Linux } from "../../src/linux/linux.ts";
import type { Registers } from "../../src/linux/registers.ts";
import { mappingCalls } from "../../src/linux/syscalls/mmap.ts";
import { decodeState, toSection } from "../../src/state/mod.ts";
import { PAGE_BYTES, PROT } from "../../src/vmm/mod.ts";
import { Scratch } from "../support.ts";
import { Space } from "./probe_guest.ts";

Deno.test("mmap: offsets are such that what is saved of any page can be restored", async () => {
  await using scratch = new Scratch();
  using paths = new HostPaths({ read: [], write: [scratch.path] });
  using here = new Space(64 * 1024 * 1024);
  const { space, user } = here;
  const fds = new FdTable();
  const flags = O.readWrite | O.temporary;
  const access = { write: true };
  const hostFd = paths.open("/", scratch.path, flags, 0o600, access);
  const fd = fds.install(new HostFile(hostFd, flags), false);
  const linux = { paths, fds, space, user } as unknown as Linux;
  const map = (offset: number) => {
    const all = [0, 4 * PAGE_BYTES, PROT.read, 2, fd, offset];
    const args = {
      int: (i: number) => all[i],
      uint: (i: number) => all[i] % 2 ** 32,
      u64: (i: number) => all[i],
    };
    return Number(
      mappingCalls.mmap!(linux, args as unknown as Registers),
    );
  };
  const last = 2 ** 53 - 5 * PAGE_BYTES;
  assertEquals(map(last + 2 * PAGE_BYTES), -ERRNO.EOVERFLOW);
  const va = map(last);
  space.protect(va + 3 * PAGE_BYTES, PAGE_BYTES, PROT.none);
  const dump = space.dump();
  const value = dump.answer === "payload" ? dump.value : undefined;
  const { areas } = decodeState(addressSpaceState, toSection(space, value));
  const offsets = areas.map(({ source }) => source?.offset);
  assertEquals(offsets, [last, last + 3 * PAGE_BYTES]);
  fds.closeAll();
});
