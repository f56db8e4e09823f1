/**
 * System calls on the process itself.
 *
 * @module
 */

import { fillRandom } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import { MAX_RW_BYTES } from "../user_memory.ts";
import { UTS } from "../uts.ts";
import { limitOf, RLIM_COUNT } from "./limits.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { limitToStep, nextStep } from "./steps.ts";

/** Codes of arch_prctl (asm/prctl.h). */
const ARCH = { setGs: 0x1001, setFs: 0x1002, getFs: 0x1003, getGs: 0x1004 };

/** What personality(2) is asked for (linux/personality.h). */
const PERSONALITY = { linux: 0, ask: 0xffff_ffff } as const;

/** First address that no base may have: the end of the lower half. */
const BASE_END = 0x7fff_ffff_f000n;

/** Length of each field of `struct new_utsname` (linux/utsname.h). */
const UTS_FIELD_BYTES = 65;

/** Size, alignment and flag of a `struct rseq` (rseq(2)). */
const RSEQ = { bytes: 32, unregister: 1 } as const;

const encoder = new TextEncoder();

function writeLimit(linux: Linux, which: number, va: number): number {
  const [soft, hard] = limitOf(linux, which);
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, soft, true);
  view.setBigUint64(8, hard, true);
  return linux.user.writeStruct(va, view);
}

/** Reads a new limit, checks it and sets it. */
function setLimit(linux: Linux, which: number, va: number): number {
  const view = linux.user.readStruct(va, 16);
  if (!view) return -ERRNO.EFAULT;
  if (which >= RLIM_COUNT) return -ERRNO.EINVAL;
  const soft = view.getBigUint64(0, true);
  const hard = view.getBigUint64(8, true);
  if (soft > hard) return -ERRNO.EINVAL;
  // The number of descriptors is the VM's own bound, whoever asks.
  if (hard > limitOf(linux, which)[1]) return -ERRNO.EPERM;
  linux.process.limits.set(which, [soft, hard]);
  return 0;
}

/** Calls on the process. */
export const processCalls: SyscallTable = {
  personality(linux, args) {
    const wanted = args.uint(0);
    if (wanted === PERSONALITY.ask || wanted === PERSONALITY.linux) return 0;
    const what = `0x${wanted.toString(16)}`;
    return linux.unsupported("personality", what, -ERRNO.EINVAL);
  },
  arch_prctl(linux, args) {
    const code = args.int(0);
    const base = args.big(1);
    switch (code) {
      case ARCH.setFs:
      case ARCH.setGs:
        if (base >= BASE_END) return -ERRNO.EPERM;
        linux.registers.setSegmentBase(code === ARCH.setFs ? "fs" : "gs", base);
        return 0;
      case ARCH.getFs:
      case ARCH.getGs: {
        const view = new DataView(new ArrayBuffer(8));
        const { fsBase, gsBase } = linux.registers;
        view.setBigUint64(0, code === ARCH.getFs ? fsBase : gsBase, true);
        return linux.user.writeStruct(args.u64(1), view);
      }
      default:
        return -ERRNO.EINVAL;
    }
  },
  rseq(linux, args) {
    const { state } = linux.task;
    const address = args.u64(0);
    const flags = args.int(2);
    const signature = args.uint(3);
    const registered = state.rseq.address !== 0;
    if (flags & RSEQ.unregister) {
      if (
        flags !== RSEQ.unregister || address !== state.rseq.address ||
        !registered
      ) {
        return -ERRNO.EINVAL;
      }
      if (args.uint(1) !== RSEQ.bytes) return -ERRNO.EINVAL;
      if (signature !== state.rseq.signature) return -ERRNO.EPERM;
      state.rseq = { address: 0, signature: 0 };
      return 0;
    }
    if (flags !== 0) return -ERRNO.EINVAL;
    if (registered) {
      const same = address === state.rseq.address;
      if (!same || args.uint(1) !== RSEQ.bytes) return -ERRNO.EINVAL;
      return signature === state.rseq.signature ? -ERRNO.EBUSY : -ERRNO.EPERM;
    }
    if (address % 32 !== 0 || args.uint(1) !== RSEQ.bytes) return -ERRNO.EINVAL;
    // cpu_id_start and cpu_id: the only CPU there is.
    if (!linux.user.write(address, new Uint8Array(8))) return -ERRNO.EFAULT;
    state.rseq = { address, signature };
    return 0;
  },
  prlimit64(linux, args) {
    const target = args.int(0);
    const which = args.uint(1);
    const newVa = args.u64(2);
    const oldVa = args.u64(3);
    if (newVa !== 0 && !linux.user.readStruct(newVa, 16)) return -ERRNO.EFAULT;
    if (target !== 0 && !linux.process.tasks.has(target)) return -ERRNO.ESRCH;
    if (which >= RLIM_COUNT) return -ERRNO.EINVAL;
    // The old limit is what it was before the call.
    const old = limitOf(linux, which);
    if (newVa !== 0) {
      const result = setLimit(linux, which, newVa);
      if (result < 0) return result;
    }
    if (oldVa === 0) return 0;
    const view = new DataView(new ArrayBuffer(16));
    view.setBigUint64(0, old[0], true);
    view.setBigUint64(8, old[1], true);
    return linux.user.writeStruct(oldVa, view);
  },
  getrlimit(linux, args) {
    const which = args.uint(0);
    if (which >= RLIM_COUNT) return -ERRNO.EINVAL;
    return writeLimit(linux, which, args.u64(1));
  },
  setrlimit(linux, args) {
    return setLimit(linux, args.uint(0), args.u64(1));
  },
  getrusage(linux, args) {
    const who = args.int(0);
    if (who < -1 || who > 1) return -ERRNO.EINVAL;
    const view = new DataView(new ArrayBuffer(144));
    if (who >= 0) {
      const ns = who === 0 ? linux.cpuNs() : linux.scheduler.cpuNs(linux.task);
      view.setBigInt64(0, BigInt(Math.floor(ns / 1e9)), true);
      view.setBigInt64(8, BigInt(Math.floor(ns % 1e9 / 1000)), true);
    }
    return linux.user.writeStruct(args.u64(1), view);
  },
  uname(linux, args) {
    const fields = Object.values(UTS);
    const bytes = new Uint8Array(fields.length * UTS_FIELD_BYTES);
    fields.forEach((text, i) =>
      bytes.set(encoder.encode(text), i * UTS_FIELD_BYTES)
    );
    return linux.user.write(args.u64(0), bytes) ? 0 : -ERRNO.EFAULT;
  },
  sysinfo(linux, args) {
    // struct sysinfo (sysinfo(2)): 112 bytes.
    const view = new DataView(new ArrayBuffer(112));
    view.setBigUint64(
      0,
      BigInt(Math.floor(linux.clock.monotonicNs() / 1e9)),
      true,
    );
    view.setBigUint64(32, BigInt(linux.memory.sizeBytes), true);
    view.setBigUint64(40, BigInt(linux.space.blocks.freeBytes), true);
    view.setUint16(80, linux.process.tasks.size, true); // procs
    view.setUint32(104, 1, true); // mem_unit
    return linux.user.writeStruct(args.u64(0), view);
  },
  getrandom(linux, args) {
    if (args.uint(2) & ~7) return -ERRNO.EINVAL;
    if ((args.uint(2) & 6) === 6) return -ERRNO.EINVAL;
    const length = Math.min(args.u64(1), MAX_RW_BYTES);
    if (length === 0) return 0;
    const done = linux.resumed?.doneBytes ?? 0;
    const io = linux.user.buffer(args.u64(0), length, true, done);
    if (typeof io === "number") return io;
    if (io.lengthBytes === 0) return done > 0 ? done : -ERRNO.EFAULT;
    const isStep = limitToStep(io);
    io.forEach(fillRandom);
    const total = done + io.lengthBytes;
    return isStep ? nextStep(linux, total) : total;
  },
  getcpu(linux, args) {
    for (const i of [0, 1]) {
      const va = args.u64(i);
      if (va !== 0 && linux.user.writeU32(va, 0) < 0) return -ERRNO.EFAULT;
    }
    return 0;
  },
};

/** What they lack. */
export const processPartly = {
  personality: "all but PER_LINUX (EINVAL)",
  getrusage: "all but the CPU time, which counts as the program's own",
  sysinfo: "loads, shared and buffered memory",
  arch_prctl: "all but the bases of FS and GS (EINVAL)",
  setrlimit: "RLIMIT_NOFILE and RLIMIT_FSIZE alone have an effect",
  prlimit64: "as setrlimit",
} as const satisfies PartlyTable;
