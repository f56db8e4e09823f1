/**
 * Programs that are moved in the middle of everything, from VM to VM.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  listenForVms,
  migrate,
  MigrationError,
  type Receiver,
  type Vm,
  VmError,
} from "../../mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, heldVm, native, Scratch, TestVm } from "../support.ts";
import { ALL_HELD, locked, triedByAnother } from "../linux/held_locks.ts";
import { FrameProxy } from "./frame_proxy.ts";
import { RawPeer } from "./raw_peer.ts";
import { tidily } from "./tidy.ts";
import { Arrived, move, waiting } from "./two_sides.ts";

const MEMORY_BYTES = 64 * 1024 * 1024;

for (const isCarried of [false, true]) {
  const how = isCarried
    ? "carried over tcp, and written at the commit only"
    : "found again over a Unix socket";
  kvmTest(
    `migrate: a program goes on where it was, its files ${how}`,
    async () => {
      const [program] = await guest("held");
      await using natively = new Scratch();
      const expected = await native(program, [], natively.path, "input");
      await using scratch = new Scratch();
      const file = scratch.file("held.txt");
      const where = isCarried
        ? "tcp://127.0.0.1:0"
        : `unix:${scratch.file("s")}`;
      await tidily(async () => {
        await using receiver = await listenForVms(where);
        await using first = await heldVm(scratch.path, {
          memoryBytes: MEMORY_BYTES,
        });
        const allow = { read: [scratch.path], write: [scratch.path] };
        const other = "what another program wrote there meanwhile";
        let atCommit = "";
        const { error, arrived } = await move(first.vm, receiver, {
          source: {
            carryFiles: isCarried,
            onProgress({ phase }) {
              if (!isCarried) return;
              // All was sent; the destination makes the VM of it.
              if (phase === "prepare") Deno.writeTextFileSync(file, other);
              if (phase === "commit") atCommit = Deno.readTextFileSync(file);
            },
          },
          destination: { allow, files: isCarried ? "carry" : "check" },
        });
        await using second = arrived;
        assertEquals([error, second.error], [undefined, undefined]);
        assertEquals(atCommit, isCarried ? other : "");
        assertEquals(await first.vm.run().catch((e) => e.code), "VM_STATE");
        assertEquals(first.vm.end, { kind: "saved" });
        second.console.push("input");
        assertEquals(await second.vm!.run(), { kind: "exited", code: 7 });
        assertEquals(
          first.output.stdout + second.stdout,
          expected.stdout,
        );
        assertEquals(
          await Deno.readTextFile(file),
          await Deno.readTextFile(natively.file("held.txt")),
        );
      });
    },
  );
}

kvmTest("migrate: locks go along, on the same files", async () => {
  await using scratch = new Scratch();
  const allow = { read: [scratch.path], write: [scratch.path] };
  await tidily(async () => {
    await using receiver = await listenForVms("tcp://127.0.0.1:0");
    const { test } = await locked(scratch);
    await using first = test;
    const destination = { allow };
    const { error, arrived } = await move(first.vm, receiver, { destination });
    await using second = arrived;
    assertEquals([error, second.error], [undefined, undefined]);
    // The first is not disposed of yet.
    assertEquals(await second.vm!.run(), { kind: "exited", code: 0 });
    assertEquals(triedByAnother(second.stdout), ALL_HELD);
  });
});

kvmTest(
  "migrate: a program that computes is moved round and round, and is right",
  async () => {
    const [program] = await guest("tight_loop");
    const args = ["200000000"];
    const expected = await native(program, args);
    await using scratch = new Scratch();
    await using tcp = await listenForVms("tcp://127.0.0.1:0");
    await using unix = await listenForVms(`unix:${scratch.file("s")}`);
    const memoryBytes = 32 * 1024 * 1024;
    const first = await TestVm.create({ program, args, memoryBytes });
    let owner: AsyncDisposable = first;
    let vm = first.vm;
    let stdout = () => first.output.stdout;
    let moves = 0;
    let end = vm.run();
    const receivers: Receiver[] = [tcp, unix];
    while (moves < 4 && !vm.end) {
      await delay(20);
      const receiver = receivers[moves % 2];
      const { error, arrived } = await move(vm, receiver, {
        source: { compress: moves % 2 === 0 },
      });
      if (error !== undefined) throw error;
      assertEquals(await end, { kind: "saved" });
      await owner[Symbol.asyncDispose]();
      owner = arrived;
      vm = arrived.vm!;
      stdout = () => arrived.stdout;
      moves++;
      end = vm.run();
    }
    assert(moves > 0);
    assertEquals(await end, { kind: "exited", code: 0 });
    assertEquals(stdout(), expected.stdout);
    await owner[Symbol.asyncDispose]();
  },
);

kvmTest(
  "migrate: one that moves from within SAVE() is not moved a second time",
  async () => {
    const [program] = await guest("saves");
    await using receiver = await listenForVms("tcp://127.0.0.1:0");
    const second = Promise.withResolvers<unknown>();
    await using test = await TestVm.create({
      program,
      onSave: async (vm: Vm) => {
        const first = migrate(vm, receiver.name);
        // Asked for from outside meanwhile, as SIGUSR2 does.
        migrate(vm, receiver.name).then(second.resolve, second.resolve);
        await first;
      },
    });
    const arriving = Arrived.at(receiver);
    assertEquals(await test.run(), { kind: "saved" });
    await using arrived = await arriving;
    const error = await second.promise;
    assert(error instanceof VmError, `${error}`);
    assertEquals(error.code, "VM_STATE");
    const another = receiver.receive();
    await receiver.close();
    assertEquals(await another, undefined);
    assertEquals(await arrived.vm!.run(), { kind: "exited", code: 0 });
    assertEquals(arrived.stdout, "1 0\n");
  },
);

kvmTest("migrate: a VM that is ended meanwhile does not move", async () => {
  await using scratch = new Scratch();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using test = await waiting(scratch);
  const moving = migrate(test.vm, `tcp://127.0.0.1:${listener.addr.port}`, {
    timeoutMs: 0,
  });
  const failing = assertRejects(() => moving, DOMException);
  using peer = new RawPeer(await listener.accept());
  // It says hello, and hears nothing.
  assert(await peer.receive());
  await test.vm.kill();
  await failing;
  assertEquals(test.vm.end?.kind, "signaled");
  assertEquals(await peer.receive(), undefined);
});

kvmTest(
  "migrate: a VM that is uncertain and cannot be kept stays, paused",
  async () => {
    await using scratch = new Scratch();
    await using receiver = await listenForVms("tcp://127.0.0.1:0");
    await using proxy = new FrameProxy(receiver.name);
    await using test = await waiting(scratch);
    // Both are ready, and the source's word does not arrive.
    proxy.cut = { from: "destination", index: 2, passedBytes: Infinity };
    const { error, arrived } = await move(test.vm, receiver, {
      to: proxy.name,
      source: { keep: scratch.file("none/vm.img") },
    });
    assertEquals(arrived.vm, undefined);
    assert(error instanceof MigrationError);
    assertEquals([error.code, error.phase], ["MIGRATION_UNCERTAIN", "commit"]);
    assert(/it was paused here, and could not be saved: Cannot write/
      .test(error.message));
    assert(error.hint !== undefined);
    assertEquals(test.vm.state, "paused");
    const end = test.run();
    test.console.push("\x07");
    assertEquals(await end, { kind: "exited", code: 7 });
  },
);
