/**
 * Files of devices that scripts define: calls that wait, saved while they do.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  defineDevice,
  type DeviceCall,
  DeviceErrno,
  type DeviceHandle,
  type DeviceSpec,
  ERRNO,
} from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, Scratch, TestVm } from "../support.ts";

const text = new TextEncoder();

/** What a {@linkcode mailbox} was asked, and how it is answered. */
interface Asked {
  readonly lengthBytes: number;
  readonly call: DeviceCall;
  answer(bytes: Uint8Array | number): void;
  fail(error: unknown): void;
}

/** A device /dev/mail whose reads a test answers; it counts them. */
function mailbox(): { device: DeviceSpec; asked: Asked[] } {
  const asked: Asked[] = [];
  const define = defineDevice({
    kind: "mailbox",
    version: 1,
    create(_context, saved?: { reads: number }) {
      let reads = saved?.reads ?? 0;
      const handle: DeviceHandle = {
        read(lengthBytes, call) {
          reads++;
          const { promise, resolve, reject } = Promise.withResolvers<
            Uint8Array | number
          >();
          asked.push({ lengthBytes, call, answer: resolve, fail: reject });
          return promise;
        },
        ioctl: (_request, data) => {
          data[0] = reads;
          return 0;
        },
      };
      return { files: { "/dev/mail": () => handle }, dump: () => ({ reads }) };
    },
  });
  return { device: define(), asked };
}

/** _IOR('m', 1, char): how many reads there were. */
const COUNT_READS = "0x80016d01";

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(1);
}

async function start(
  args: string,
  ...devices: DeviceSpec[]
): Promise<TestVm & { ended: Promise<unknown> }> {
  const [program] = await guest("device");
  const test = await TestVm.create({ program, args: args.split(" "), devices });
  return Object.assign(test, { ended: test.run() });
}

kvmTest(
  "device file: a read that waits is saved, and made again after the restore",
  async () => {
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const first = mailbox();
    await using one = await start(
      "open /dev/mail read 100 read 5",
      first.device,
    );
    await until(() => first.asked.length === 1);
    assertEquals(first.asked[0].lengthBytes, 100);
    assertEquals(first.asked[0].call.isAgain, false);
    await one.vm.save(image);

    const second = mailbox();
    await using two = await TestVm.restore(image, { devices: [second.device] });
    const ended = two.run();
    await until(() => second.asked.length === 1);
    assertEquals(second.asked[0].lengthBytes, 100);
    assertEquals(second.asked[0].call.isAgain, true);
    second.asked[0].answer(text.encode("there"));
    await until(() => second.asked.length === 2);
    assertEquals(second.asked[1].call.isAgain, false);
    second.asked[1].answer(0);
    assertEquals(await ended, { kind: "exited", code: 0 });
    assertEquals(two.output.stdout, "read: 5 there\nread: 0 \n");

    // The VM that was saved goes on with what it had under way.
    first.asked[0].answer(text.encode("here"));
    await until(() => first.asked.length === 2);
    first.asked[1].answer(text.encode("!"));
    await one.ended;
    assertEquals(one.output.stdout, "open: 3\nread: 4 here\nread: 1 !\n");
  },
);

kvmTest(
  "device file: an answer that came while the VM was paused travels once",
  async () => {
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const first = mailbox();
    const args = `open /dev/mail read 100 ioctl ${COUNT_READS} x`;
    await using one = await start(args, first.device);
    await until(() => first.asked.length === 1);
    await one.vm.pause();
    first.asked[0].answer(text.encode("mail"));
    await one.vm.save(image);
    for (let i = 0; i < 2; i++) {
      const second = mailbox();
      await using two = await TestVm.restore(image, {
        devices: [second.device],
      });
      await two.run();
      assertEquals(two.output.stdout, "read: 4 mail\nioctl: 0\ndata: \x01\n");
      assertEquals(second.asked.length, 0);
    }
    void one.run();
    await one.ended;
    assertEquals(one.output.stdout.includes("read: 4 mail\n"), true);
    assertEquals(first.asked.length, 1);
  },
);

kvmTest(
  "device file: a call that waits is given up when the VM is killed, or went on elsewhere",
  async () => {
    await using scratch = new Scratch();
    for (const how of ["kill", "dispose", "stop"]) {
      const { device, asked } = mailbox();
      await using test = await start("open /dev/mail read 1", device);
      await until(() => asked.length === 1);
      const { signal } = asked[0].call;
      assertEquals(signal.aborted, false);
      if (how === "kill") await test.vm.kill();
      else if (how === "dispose") await test.vm[Symbol.asyncDispose]();
      else await test.vm.save(scratch.file("x.img"), { stop: true });
      assertEquals(signal.aborted, true, how);
      asked[0].fail(new Error("given up"));
      await test.ended;
      await delay(1);
      assertEquals(test.warnings, []);
    }
  },
);

kvmTest(
  "device file: with O_NONBLOCK a call gives EAGAIN, and later what it asked for",
  async () => {
    const { device, asked } = mailbox();
    await using test = await start(
      "open /dev/mail nonblock read 9 read 9 poll 60000 read 3 read 9 poll 0",
      device,
    );
    await until(() => asked.length === 1);
    assertEquals(asked[0].call.nonBlock, true);
    await test.until("read: EAGAIN\nread: EAGAIN\n");
    asked[0].answer(text.encode("letter"));
    assertEquals(await test.ended, { kind: "exited", code: 0 });
    const shown = test.output.stdout.replace(
      /poll: \d\nrevents: (\d)/g,
      "($1)",
    );
    // Writing never waits; poll did not have to wait for reading, then.
    assertEquals(
      shown.replace("(4)", "(5)").split("\n").slice(4),
      ["(5)", "read: 3 let", "read: 3 ter", "(5)", ""],
    );
  },
);

/** A device /dev/disk of 8 bytes with an offset, and errors of all sorts. */
const disk = defineDevice({
  kind: "disk",
  version: 1,
  create(_context, saved?: { content: Uint8Array }) {
    const content = saved?.content ?? text.encode("01234567");
    const open = () => ({
      size: () => content.length,
      read: (lengthBytes: number, { offset = 0 }: DeviceCall) =>
        content.subarray(offset, offset + lengthBytes),
      // deno-lint-ignore require-await
      async write(bytes: Uint8Array, { offset = 0 }: DeviceCall) {
        if (offset >= content.length) throw new DeviceErrno(ERRNO.ENOSPC);
        const taken = bytes.subarray(0, content.length - offset);
        content.set(taken, offset);
        return taken.length;
      },
      ioctl(request: number, data: Uint8Array) {
        if (request === 1) throw new Error("no such thing");
        if (request === 2) return 0.5;
        if (data.length === 0) return -ERRNO.ENOTTY;
        return data.reverse()[0] === 0 ? 0 : 7;
      },
    });
    return {
      files: { "/dev/disk": open, "/dev/none": () => -ERRNO.ENXIO },
      dump: () => ({ content }),
    };
  },
});

kvmTest(
  "device file: offsets, short writes, errors and ioctl are as Linux has them",
  async () => {
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const args =
      ("open /dev/none open /dev/disk read 3 pread 2 6 read 2 save " +
        "read 9 read 9 write x seek 6 write abc pread 8 0 " +
        "ioctl 1 x ioctl 2 x ioctl 3 x ioctl 0xc0040001 abcd poll 0 close read 1")
        .split(" ");
    const [program] = await guest("device");
    await using first = await TestVm.create({
      program,
      args,
      devices: [disk()],
      onSave: async (vm) => {
        await vm.save(image);
        return "stop";
      },
    });
    await first.run();
    await using second = await TestVm.restore(
      image,
      { devices: [disk()] },
      first,
    );
    assertEquals(await second.run(), { kind: "exited", code: 0 });
    assertEquals(second.output.stdout.split("\n"), [
      "open: ENXIO",
      "open: 3",
      "read: 3 012",
      "pread: 2 67",
      "read: 2 34",
      "save: 1",
      "read: 3 567",
      "read: 0 ",
      "write: ENOSPC",
      "seek: 6",
      "write: 2",
      "pread: 8 012345ab",
      "ioctl: EIO",
      "data: x",
      "ioctl: EIO",
      "data: x",
      "ioctl: ENOTTY",
      "data: x",
      "ioctl: 7",
      "data: dcba",
      "poll: 1",
      "revents: 5",
      "close: 0",
      "read: EBADF",
      "",
    ]);
    assertEquals(second.warnings, [
      'device "disk0": ioctl of /dev/disk failed: no such thing',
      'device "disk0": ioctl of /dev/disk failed: it gave 0.5, must be a negative errno, or 0 to 2147483647',
    ]);
  },
);

kvmTest(
  "device file: a device that has nothing yet wakes who waits for it",
  async () => {
    const queue: Uint8Array[] = [];
    let wake = () => {};
    let reads = 0;
    const device = defineDevice({
      kind: "queue",
      version: 1,
      create(context) {
        wake = () => context.wake();
        return {
          files: {
            "/dev/queue": () => ({
              read() {
                reads++;
                return queue.shift() ?? -ERRNO.EAGAIN;
              },
              poll: () => queue.length > 0 ? 1 : 0,
            }),
          },
          dump: () => ({}),
        };
      },
    });
    await using test = await start(
      "open /dev/queue read 9 poll -1 read 9 poll 0",
      device(),
    );
    await until(() => reads === 1);
    queue.push(text.encode("a"));
    wake();
    await test.until("read: 1 a");
    await delay(20);
    queue.push(text.encode("b"));
    wake();
    await test.ended;
    assertEquals(
      test.output.stdout,
      "open: 3\nread: 1 a\npoll: 1\nrevents: 1\nread: 1 b\npoll: 0\nrevents: 0\n",
    );
    assertEquals(reads, 3);
  },
);
