/**
 * Both sides of a move in one process.
 *
 * @module
 */

import {
  migrate,
  type MigrateOptions,
  type ReceiveOptions,
  type Receiver,
  ScriptConsole,
  type Vm,
} from "../../mod.ts";
import { tinyElf } from "../cli/tiny_program.ts";
import { delay, type Scratch, TestVm } from "../support.ts";

/** Reads one byte, and exits with it. */
const READ_AND_EXIT = Uint8Array.of(
  ...[0x31, 0xc0], // xor %eax, %eax: SYS_read
  ...[0x31, 0xff], // xor %edi, %edi
  ...[0x48, 0x89, 0xe6], // mov %rsp, %rsi
  ...[0xba, 1, 0, 0, 0], // mov $1, %edx
  ...[0x0f, 0x05], // syscall
  ...[0x0f, 0xb6, 0x3c, 0x24], // movzbl (%rsp), %edi
  ...[0xb8, 0x3c, 0, 0, 0], // mov $SYS_exit, %eax
  ...[0x0f, 0x05], // syscall
);

const MEMORY_BYTES = 16 * 1024 * 1024;

/** A program that waits for a byte and exits with it, running. */
export async function waiting(scratch: Scratch): Promise<TestVm> {
  const program = scratch.file("waiting");
  Deno.writeFileSync(program, tinyElf(READ_AND_EXIT));
  const test = await TestVm.create({ program, memoryBytes: MEMORY_BYTES });
  test.run().catch(() => {});
  while (test.vm.exits === 0) await delay(1);
  return test;
}

/** What a receiver got, and what its program printed. */
export class Arrived implements AsyncDisposable {
  /** What the program printed here. */
  stdout = "";
  /** Its standard input. */
  readonly console: ScriptConsole;
  /** The VM; undefined when none came. */
  vm: Vm | undefined;
  /** Why none came. */
  error: unknown;

  private constructor() {
    const decoder = new TextDecoder();
    this.console = new ScriptConsole({
      stdout: (bytes) => this.stdout += decoder.decode(bytes),
      stderr: () => {},
    });
  }

  /** Waits for a peer. */
  static async at(
    receiver: Receiver,
    options: ReceiveOptions = {},
  ): Promise<Arrived> {
    const arrived = new Arrived();
    const { console } = arrived;
    try {
      arrived.vm = await receiver.receive({ console, ...options });
    } catch (error) {
      arrived.error = error;
    }
    return arrived;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vm?.[Symbol.asyncDispose]();
  }
}

/** What became of a move, on both sides. */
export interface Moved {
  /** What the source failed with; undefined: it moved. */
  readonly error: unknown;
  /** What the destination got. */
  readonly arrived: Arrived;
}

/** Moves a VM to a receiver, or through what is before it at `to`. */
export async function move(
  vm: Vm,
  receiver: Receiver,
  options: {
    readonly to?: string;
    readonly source?: MigrateOptions;
    readonly destination?: ReceiveOptions;
  } = {},
): Promise<Moved> {
  const arriving = Arrived.at(receiver, options.destination);
  let error: unknown;
  await migrate(vm, options.to ?? receiver.name, options.source)
    .catch((reason) => error = reason);
  return { error, arrived: await arriving };
}
