import { assert, assertEquals } from "@std/assert";
import {
  HostStream,
  IoVector,
  O,
  OpenFile,
  writeSpecialStat,
} from "../../src/devices/mod.ts";
import { ERRNO } from "../../src/kvm/mod.ts";
import { Memory } from "../../src/vmm/mod.ts";

/** An open file that can do nothing but say what it is. */
class Plain extends OpenFile {
  readonly type = "plain";

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return writeSpecialStat(stat, 0o010640, 77, 0x105);
  }
}

Deno.test("open_file: the access mode says what it was opened for, O_PATH for nothing", () => {
  const modes: [flags: number, readable: boolean, writable: boolean][] = [
    [O.readOnly, true, false],
    [O.writeOnly, false, true],
    [O.readWrite, true, true],
    [O.readWrite | O.append | O.nonBlock, true, true],
    [O.path, false, false],
    [O.path | O.readWrite, false, false],
  ];
  for (const [flags, readable, writable] of modes) {
    const file = new Plain(flags);
    assertEquals([file.isReadable, file.isWritable], [readable, writable]);
  }
});

Deno.test("open_file: what a kind of file cannot do fails with the errno that Linux gives", () => {
  using memory = new Memory(4 * 1024 * 1024);
  const io = new IoVector(memory);
  const file = new Plain(O.readWrite);
  assertEquals(file.read(io), -ERRNO.EINVAL);
  assertEquals(file.write(io), -ERRNO.EINVAL);
  assertEquals(file.pread(io, 0), -ERRNO.ESPIPE);
  assertEquals(file.pwrite(io, 0), -ERRNO.ESPIPE);
  assertEquals(file.seek(0, 0), -ERRNO.ESPIPE);
  assertEquals(file.getdents(new Uint8Array(8)), -ERRNO.ENOTDIR);
  assertEquals(file.truncate(0), -ERRNO.EINVAL);
  assertEquals(file.sync(false), -ERRNO.EINVAL);
  assertEquals(file.ioctl(0x5401, new Uint8Array(8)), -ERRNO.ENOTTY);
});

Deno.test("open_file: statx says what stat says", () => {
  const file = new Plain(O.readOnly);
  const stat = new Uint8Array(144).fill(0xff);
  const statx = new Uint8Array(256).fill(0xff);
  assertEquals(file.stat(stat), 0);
  assertEquals(file.statx(statx, 0, 0x7ff), 0);
  const from = new DataView(stat.buffer);
  const to = new DataView(statx.buffer);
  // stat(2) and statx(2): mode, inode, links, block size.
  assertEquals(from.getUint32(24, true), 0o010640);
  assertEquals(to.getUint16(28, true), 0o010640);
  assertEquals(from.getBigUint64(8, true), 77n);
  assertEquals(to.getBigUint64(32, true), 77n);
  assertEquals(to.getUint32(16, true), Number(from.getBigUint64(16, true)));
  assertEquals(to.getUint32(4, true), 4096);
  // stx_rdev_major and _minor.
  assertEquals([to.getUint32(128, true), to.getUint32(132, true)], [1, 5]);
  // Nothing of what was in the buffer is left.
  assertEquals(to.getBigUint64(40, true), 0n);
  assert(statx.subarray(144).every((byte) => byte === 0));
});

Deno.test("open_file: statx of a stream of the host has its times and devices", () => {
  const path = "/proc/self/fd/0";
  const expected = Deno.statSync(path);
  const statx = new Uint8Array(256);
  assertEquals(new HostStream(0, O.readWrite).statx(statx, 0, 0x7ff), 0);
  const view = new DataView(statx.buffer);
  const seconds = (at: number) => Number(view.getBigInt64(at, true));
  const whole = (time: Date | null) => Math.floor(time!.getTime() / 1000);
  assertEquals(seconds(96), whole(expected.ctime));
  assertEquals(seconds(112), whole(expected.mtime));
  assertEquals(view.getBigUint64(32, true), BigInt(expected.ino!));
  const joined = (at: number) =>
    BigInt(view.getUint32(at, true)) << 8n & 0xfff00n |
    BigInt(view.getUint32(at + 4, true)) & 0xffn |
    BigInt(view.getUint32(at + 4, true)) >> 8n << 20n;
  assertEquals(joined(136), BigInt(expected.dev));
  assertEquals(joined(128), BigInt(expected.rdev ?? 0));
});

Deno.test("open_file: a wait that nothing ends ends with its signal", async () => {
  const stop = new AbortController();
  const wait = new Plain(0).wait(1, stop.signal);
  stop.abort();
  await wait;
  await new Plain(0).wait(1, stop.signal);
});
