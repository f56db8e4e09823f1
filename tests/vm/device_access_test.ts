/**
 * Ports and addresses of devices that scripts define.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  decodePayload,
  defineDevice,
  type DeviceSpec,
  ERRNO,
  ImageError,
  ImageFile,
  MMIO_GPA,
  Vm,
  VmError,
} from "../../mod.ts";
import { kvmTest, portTest } from "../kvm_gate.ts";
import { delay, guest, resources, Scratch, TestVm } from "../support.ts";

/** A device of four words at an address that its file maps. */
function words(gpa = MMIO_GPA): DeviceSpec {
  return defineDevice({
    kind: "words",
    version: 1,
    create(_context, saved?: { words: number[] }) {
      const words = saved?.words ?? [0, 0, 0, 0];
      return {
        mmio: [{
          gpa,
          lengthBytes: 8192,
          read(offset, data) {
            new DataView(data.buffer).setUint32(0, words[offset / 4 % 4], true);
          },
          // deno-lint-ignore require-await
          async write(offset, data) {
            const view = new DataView(data.buffer);
            words[offset / 4 % 4] = view.getUint32(0, true) + 1;
          },
        }],
        files: {
          "/dev/words": () => ({ mmap: (offset) => gpa + offset }),
          "/dev/wrong": () => ({ mmap: () => gpa + 4096 }),
          "/dev/plain": () => ({}),
        },
        dump: () => ({ words }),
      };
    },
  })();
}

kvmTest(
  "mmap: addresses of a device are mapped, and stay so after a restore",
  async () => {
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const [program] = await guest("device");
    const args = ("open /dev/plain map 4096 open /dev/wrong map 8192 " +
      "open /dev/words map 16384 map 8192 poke 4 41 peek 4 close save " +
      "peek 4 poke 4100 7 peek 4 peek 4096 pass protect remap unmap fresh " +
      "peek 4 poke 4 9 peek 4 unmap peek 4").split(" ");
    await using first = await TestVm.create({
      program,
      args,
      devices: [words()],
      onSave: async (vm) => {
        await vm.save(image);
        return "stop";
      },
    });
    assertEquals(await first.run(), { kind: "saved" });
    await using second = await TestVm.restore(
      image,
      { devices: [words()] },
      first,
    );
    const end = await second.run();
    assertEquals(second.output.stdout.split("\n"), [
      "open: 3",
      "map: ENODEV",
      "open: 4",
      "map: EIO",
      "open: 5",
      "map: EIO",
      "map: 0",
      "peek: 42",
      "close: 0",
      "save: 1",
      "peek: 42",
      "peek: 8",
      "peek: 0",
      "pass: EFAULT",
      "protect: EACCES",
      "remap: EINVAL",
      "unmap: 0",
      "fresh: 0",
      "peek: 0",
      "peek: 9",
      "unmap: 0",
      "",
    ]);
    assert(end.kind === "signaled" && end.signal === 11, Deno.inspect(end));

    const moved = () =>
      TestVm.restore(image, { devices: [words(2 * MMIO_GPA - 65536)] });
    const error = await assertRejects(moved);
    assertEquals(
      (error as Error).message.includes("leads to a device that is not there"),
      true,
      String(error),
    );
  },
);

/** What a device of one port does at each `in`. */
function port(
  read: (port: number, sizeBytes: number) => number | Promise<number>,
): DeviceSpec {
  return defineDevice({
    kind: "port",
    version: 1,
    create: () => ({
      ports: [{ first: 0x700, count: 1, read }],
      dump: () => ({}),
    }),
  })();
}

/** A port that answers later: letters, one after the other. */
const letters = defineDevice({
  kind: "letters",
  version: 1,
  create(_context, saved?: { next: number }) {
    let next = saved?.next ?? 0;
    return {
      ports: [{
        first: 0x700,
        count: 1,
        async read() {
          await delay(0);
          return 97 + next++ % 26;
        },
      }],
      dump: () => ({ next }),
    };
  },
});

portTest(
  "ports: a long access that is answered later is saved between its pieces",
  async () => {
    await using scratch = new Scratch();
    const [program] = await guest("device");
    const count = 30_000;
    await using test = await TestVm.create({
      program,
      args: `ins 0x700 ${count} in 0x700`.split(" "),
      devices: [letters()],
    });
    const ended = test.run();
    const images: string[] = [];
    while (!test.vm.end) {
      const image = scratch.file(`${images.length}.img`);
      const isSaved = await test.vm.save(image).then(() => true, () => false);
      if (isSaved) images.push(image);
      await delay(1);
    }
    assertEquals(await ended, { kind: "exited", code: 0 });
    const text = Array.from(
      { length: count },
      (_, i) => String.fromCharCode(97 + i % 26),
    ).join("");
    const expected = `ins: ${count} ${text}\nin: ${97 + count % 26}\n`;
    assert(test.output.stdout === expected, test.output.stdout.slice(0, 100));
    let middle = 0;
    for (const image of images) {
      using file = await ImageFile.open(image);
      const { payload } = file.sections.find(({ kind }) => kind === "letters")!;
      const { next } = decodePayload(payload) as { next: number };
      if (next === 0 || next >= count) continue;
      if (++middle > 2) break;
      await using again = await TestVm.restore(image, { devices: [letters()] });
      assertEquals(await again.run(), { kind: "exited", code: 0 });
      assert(
        again.output.stdout === expected,
        again.output.stdout.slice(0, 100),
      );
    }
    assert(middle > 0, "no save was in the middle of it");
  },
);

portTest(
  "ports: a handler that throws stops the VM with an error that names the device",
  async () => {
    const [program] = await guest("device");
    const why = new Error("it broke");
    const handlers: [() => number | Promise<number>, RegExp][] = [
      [() => {
        throw why;
      }, /it broke$/],
      [() => Promise.reject(why), /it broke$/],
      [() => "x" as unknown as number, /it gave string, must be a number$/],
    ];
    for (const [read, message] of handlers) {
      await using test = await TestVm.create({
        program,
        args: ["in", "0x700"],
        devices: [port(read)],
      });
      const error = await assertRejects(() => test.run(), VmError);
      assertEquals(error.code, "VM_DEVICE");
      assertEquals(
        /^Device "port0" failed at in from port 0x700: /.test(error.message) &&
          message.test(error.message),
        true,
        error.message,
      );
      assert(error.cause instanceof Error);
      assertEquals(test.vm.state, "stopped");
    }
  },
);

portTest(
  "ports: what a write handler gives back is of no interest",
  async () => {
    const [program] = await guest("device");
    let last = 0;
    const device = defineDevice({
      kind: "port",
      version: 1,
      create: () => ({
        ports: [{
          first: 0x700,
          count: 1,
          // What an arrow function without braces gives.
          write: ((_port: number, _sizeBytes: number, value: number) =>
            last = value) as never,
        }],
        dump: () => ({}),
      }),
    });
    await using test = await TestVm.create({
      program,
      args: ["out", "0x700", "7"],
      devices: [device()],
    });
    assertEquals(await test.run(), { kind: "exited", code: 0 });
    assertEquals(last, 7);
  },
);

portTest(
  "ports: a handler that never answers is named by a save that gives up, and left by kill and dispose",
  async () => {
    const [program] = await guest("device");
    await using scratch = new Scratch();
    let answer: (value: number) => void = () => {};
    let asked = 0;
    const never = () =>
      port(() => {
        asked++;
        return new Promise((resolve) => answer = resolve);
      });
    const make = () => {
      asked = 0;
      return TestVm.create({
        program,
        args: ["in", "0x700"],
        devices: [never()],
      });
    };
    const image = scratch.file("vm.img");
    {
      await using test = await make();
      const ended = test.run();
      while (asked === 0) await delay(1);
      const error = await assertRejects(
        () => test.vm.save(image, { quiesceTimeoutMs: 20 }),
        VmError,
      );
      assertEquals(
        error.message,
        'Cannot save the VM: device "port0" was not done within 20 ms',
      );
      assertEquals(test.vm.state, "running");
      answer(5);
      assertEquals(await ended, { kind: "exited", code: 0 });
      assertEquals(test.output.stdout, "in: 5\n");
    }
    for (const how of ["kill", "dispose", "kill during save"]) {
      const before = resources();
      const test = await make();
      const ended = test.run();
      while (asked === 0) await delay(1);
      let saving: Promise<unknown> = Promise.resolve();
      if (how === "kill during save") {
        saving = assertRejects(() => test.vm.save(image));
      }
      if (how !== "dispose") await test.vm.kill();
      await saving;
      await test.vm[Symbol.asyncDispose]();
      const end = await ended as { kind: string };
      assertEquals(end.kind, "signaled", how);
      answer(5); // nobody waits any more
      await delay(1);
      assertEquals(resources().fds, before.fds, how);
    }
  },
);

kvmTest(
  "devices: one whose quiesce or dump never ends is named by a save that gives up",
  async () => {
    const [program] = await guest("device");
    await using scratch = new Scratch();
    for (const what of ["quiesce", "dump"]) {
      const stuck = defineDevice<object>({
        kind: "stuck",
        version: 1,
        create: () => ({
          dump: () => ({}),
          [what]: () => new Promise<never>(() => {}),
        }),
      });
      await using vm = await Vm.create({
        program,
        devices: [stuck({}, { id: "it" })],
      });
      const error = await assertRejects(
        () => vm.save(scratch.file("vm.img"), { quiesceTimeoutMs: 10 }),
        VmError,
      );
      assertEquals(
        error.message,
        'Cannot save the VM: device "it" was not done within 10 ms',
      );
      assertEquals(await vm.run(), { kind: "exited", code: 0 });
    }
  },
);

kvmTest(
  "devices: one whose quiesce or dump throws leaves the VM running, and the old image whole",
  async () => {
    const [program] = await guest("device");
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    let fails = "";
    const fail = (what: string, later: boolean) => {
      if (fails !== what) return;
      if (!later) throw new Error(`no ${what}`);
      return Promise.reject(new Error(`no ${what}`));
    };
    let later = false;
    let wake = () => {};
    const fragile = defineDevice<object>({
      kind: "fragile",
      version: 1,
      create(context) {
        wake = context.wake;
        return {
          // A read that waits, so that the program runs as long as is needed.
          files: {
            "/dev/fragile": () => ({
              read: () => fails === "end" ? new Uint8Array() : -ERRNO.EAGAIN,
              dump: () => fail("handle", false) ?? null,
            }),
          },
          quiesce: () => fail("quiesce", later),
          dump: () => fail("dump", later) ?? {},
        };
      },
    });
    await using test = await TestVm.create({
      program,
      args: "open /dev/fragile read 1".split(" "),
      devices: [fragile()],
    });
    const ended = test.run();
    await test.until("open: 3\n");
    await test.vm.save(image);
    const before = Deno.readFileSync(image);
    for (const what of ["quiesce", "dump", "handle"]) {
      const named = what === "handle"
        ? '"fd-table": /dev/fragile of device "fragile0"'
        : '"fragile0"';
      for (later of what === "handle" ? [false] : [false, true]) {
        fails = what;
        const error = await assertRejects(
          () => test.vm.save(image),
          ImageError,
        );
        assertEquals(
          [error.code, error.message, test.vm.state],
          ["IMAGE_COMPONENT", `Cannot save ${named}: no ${what}`, "running"],
        );
        assertEquals(Deno.readFileSync(image), before);
        assertEquals([...Deno.readDirSync(scratch.path)].length, 1);
      }
    }
    fails = "";
    await test.vm.save(image);
    fails = "end";
    wake();
    assertEquals(await ended, { kind: "exited", code: 0 });
  },
);
