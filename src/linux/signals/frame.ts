/**
 * The frame that a signal handler finds on its stack, and what it leaves there:
 * `struct rt_sigframe` of arch/x86/kernel/signal_64.c.
 *
 * @module
 */

import type { RegName } from "../../kvm/mod.ts";
import { USER_END_VA } from "../../vmm/mod.ts";
import type { SignalAction } from "../process.ts";
import type { Registers } from "../registers.ts";
import type { Task } from "../task.ts";
import type { UserMemory } from "../user_memory.ts";
import {
  isOnStack,
  isWithin,
  noStack,
  setStack,
  SS,
  writeStack,
} from "./alternate_stack.ts";
import type { ExtendedState } from "./extended_state.ts";
import { INFO_BYTES, type PendingSignal } from "./info.ts";
import { SA, UNBLOCKABLE } from "./sets.ts";

/** Bytes below the stack pointer that belong to the program (psABI). */
const RED_ZONE_BYTES = 128n;

/** Where the parts of the frame are. */
const FRAME = {
  returnAddress: 0,
  context: 8,
  contextFlags: 8,
  stack: 24,
  /** struct sigcontext_64. */
  registers: 48,
  segments: 48 + 144,
  trap: 48 + 152,
  extended: 48 + 184,
  mask: 304,
  info: 312,
  bytes: 312 + INFO_BYTES,
} as const;

/** The order of registers in a struct sigcontext_64. */
const ORDER: readonly RegName[] = [
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
  "rdi",
  "rsi",
  "rbp",
  "rbx",
  "rdx",
  "rax",
  "rcx",
  "rsp",
  "rip",
  "rflags",
];

/** UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS (asm/ucontext.h). */
const CONTEXT_FLAGS = 7n;
const STRICT_RESTORE_SS = 4n;

/** __USER_CS and __USER_DS (asm/segment.h), as programs know them. */
const LINUX_SELECTOR = { code: 0x33, stack: 0x2b } as const;

/** RFLAGS that a handler begins without: TF, DF, RF. */
const CLEARED_FLAGS = 0x1_0500n;

/** Of an exception: its vector, error code, and address. */
export interface Trap {
  /** Its vector. */
  readonly vector: number;
  /** Its error code. */
  readonly errorCode: number;
  /** CR2. */
  readonly address: bigint;
}

/** What frames are made of. */
export interface FrameParts {
  /** The task that is on the vCPU. */
  readonly task: Task;
  /** Its registers. */
  readonly registers: Registers;
  /** The program's memory. */
  readonly user: UserMemory;
  /** The rest of its registers. */
  readonly extended: ExtendedState;
}

/** The stack pointer that a frame goes below; undefined where it must not. */
function place(
  { task, registers, extended }: FrameParts,
  action: SignalAction,
): { frame: bigint; area: bigint } | undefined {
  const stack = task.state.signalStack;
  const pointer = registers.get("rsp");
  const isNested = isOnStack(stack, pointer);
  let top = pointer - RED_ZONE_BYTES;
  let isEntering = false;
  if (action.flags & SA.onStack && stack.sizeBytes > 0 && !isNested) {
    top = BigInt(stack.address + stack.sizeBytes);
    isEntering = true;
  }
  const area = top - BigInt(extended.frameBytes) & ~63n;
  const frame = (area - BigInt(FRAME.bytes) & ~15n) - 8n;
  if (frame < 0n || area >= BigInt(USER_END_VA)) return undefined;
  // A handler must not be called where it would write over what is below.
  if ((isNested || isEntering) && !isWithin(stack, frame)) return undefined;
  return { frame, area };
}

/**
 * Has the task on the vCPU go on in a signal handler.
 *
 * @param trap the exception that the signal is for, if it is for one
 * @returns false where there is no room for the frame
 */
export function enterHandler(
  parts: FrameParts,
  action: SignalAction,
  { signal, info }: PendingSignal,
  trap?: Trap,
): boolean {
  const { task, registers, user, extended } = parts;
  if (!(action.flags & SA.restorer)) return false;
  if (action.handler >= BigInt(USER_END_VA)) return false;
  const found = place(parts, action);
  if (!found) return false;
  const view = new DataView(new ArrayBuffer(FRAME.bytes));
  const { state } = task;
  view.setBigUint64(FRAME.returnAddress, action.restorer, true);
  view.setBigUint64(FRAME.contextFlags, CONTEXT_FLAGS, true);
  writeStack(view, FRAME.stack, state.signalStack, state.signalStack.flags | 0);
  ORDER.forEach((name, i) =>
    view.setBigUint64(FRAME.registers + i * 8, registers.get(name), true)
  );
  view.setUint16(FRAME.segments, LINUX_SELECTOR.code, true);
  view.setUint16(FRAME.segments + 6, LINUX_SELECTOR.stack, true);
  const mask = state.savedMask ?? state.signalMask;
  view.setBigUint64(FRAME.trap, BigInt(trap?.errorCode ?? 0), true);
  view.setBigUint64(FRAME.trap + 8, BigInt(trap?.vector ?? 0), true);
  view.setBigUint64(FRAME.trap + 16, mask, true);
  view.setBigUint64(FRAME.trap + 24, trap?.address ?? 0n, true);
  view.setBigUint64(FRAME.extended, found.area, true);
  view.setBigUint64(FRAME.mask, mask, true);
  new Uint8Array(view.buffer).set(info, FRAME.info);
  const va = Number(found.frame);
  if (!extended.save(Number(found.area))) return false;
  if (user.writeStruct(va, view) < 0) return false;
  if (state.signalStack.flags & SS.autoDisarm) state.signalStack = noStack();
  registers.set("rdi", BigInt(signal));
  registers.set("rsi", found.frame + BigInt(FRAME.info));
  registers.set("rdx", found.frame + BigInt(FRAME.context));
  registers.set("rax", 0n);
  registers.set("rsp", found.frame);
  registers.set("rip", action.handler);
  registers.setFlags(registers.get("rflags") & ~CLEARED_FLAGS);
  extended.reset();
  return true;
}

/**
 * Takes back what a handler's frame has: rt_sigreturn(2). The program may have
 * written anything into it.
 *
 * @returns false where it cannot be gone on with
 */
export function leaveHandler(
  { task, registers, user, extended }: FrameParts,
): boolean {
  // The handler's return took the return address from the stack.
  const frame = registers.get("rsp") - 8n;
  if (frame < 0n || frame >= BigInt(USER_END_VA)) return false;
  const found = user.readStruct(Number(frame), FRAME.bytes);
  if (!found) return false;
  const view = new DataView(found.buffer.slice(0, FRAME.bytes));
  task.state.signalMask = view.getBigUint64(FRAME.mask, true) & ~UNBLOCKABLE;
  const saved = ORDER.map((name, i): [RegName, bigint] => [
    name,
    view.getBigUint64(FRAME.registers + i * 8, true),
  ]);
  const { rip = 0n, rsp = 0n, rflags = 0n } = Object.fromEntries(saved);
  const code = view.getUint16(FRAME.segments, true) | 3;
  const stack = view.getUint16(FRAME.segments + 6, true) | 3;
  const isStrict = view.getBigUint64(FRAME.contextFlags, true) &
    STRICT_RESTORE_SS;
  for (const [name, value] of saved) {
    if (name !== "rflags") registers.set(name, value);
  }
  registers.setFlags(rflags);
  const area = view.getBigUint64(FRAME.extended, true);
  if (area >= BigInt(USER_END_VA) || !extended.restore(Number(area))) {
    return false;
  }
  setStack(task.state, view, FRAME.stack, rsp);
  if (code !== LINUX_SELECTOR.code) return false;
  if (isStrict && stack !== LINUX_SELECTOR.stack) return false;
  return rip < BigInt(USER_END_VA);
}
