/**
 * Getting a vCPU out of KVM_RUN: a timer for the thread that runs JavaScript,
 * a directed signal for a thread of the off-thread pool.
 *
 * @module
 */

import { KVM, libc, unwrap } from "../kvm/mod.ts";

/**
 * The signal that kicks: a real-time one that neither libc (32, 33) nor Deno
 * uses. Not SIGUSR1, which starts Deno's inspector.
 */
const KICK_SIGNAL = 42;

/** From time.h, signal.h and asm/unistd_64.h. */
const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;
const SA_RESTART = 0x1000_0000;
const SYS_gettid = 186;
const SYS_tgkill = 234;
const SYS_ioctl = 16;

let handlerInstalled = false;

/** Makes the kick signal interrupt system calls, and do nothing else. */
function installHandler(): void {
  if (handlerInstalled) return;
  // struct sigaction: handler, 128 bytes of mask, flags, restorer.
  const action = new DataView(new ArrayBuffer(152));
  // SAFETY: libc's abs() takes the signal's number, touches no memory and is
  // async-signal-safe: a handler that does nothing.
  const handler = Deno.UnsafePointer.value(libc.abs);
  action.setBigUint64(0, BigInt(handler), true);
  action.setInt32(136, SA_RESTART, true);
  unwrap(
    "sigaction",
    libc.sigaction(KICK_SIGNAL, new Uint8Array(action.buffer), null),
  );
  handlerInstalled = true;
}

/** Interrupts KVM_RUN on the thread that made it, again and again while armed. */
export class SliceTimer {
  readonly #timer: bigint;
  readonly #armed: Uint8Array<ArrayBuffer>;
  readonly #disarmed = new Uint8Array(32);
  #open = true;

  /** @param sliceMs how long until the first interruption and between two */
  constructor(sliceMs: number) {
    installHandler();
    // struct sigevent: value, signo, notify, thread id; 64 bytes.
    const event = new DataView(new ArrayBuffer(64));
    event.setInt32(8, KICK_SIGNAL, true);
    event.setInt32(12, SIGEV_THREAD_ID, true);
    event.setInt32(16, Number(libc.syscall(SYS_gettid, 0, 0, 0)), true);
    const id = new BigUint64Array(1);
    unwrap(
      "timer_create",
      libc.timer_create(
        CLOCK_MONOTONIC,
        new Uint8Array(event.buffer),
        new Uint8Array(id.buffer),
      ),
    );
    // glibc's timer_t is a pointer-sized handle. It stays a bigint: optimized
    // code takes no number for a 64-bit parameter, and the run loop, which arms
    // the timer, would be thrown back to unoptimized code at each slice.
    this.#timer = id[0];
    // struct itimerspec: interval and value, seconds and nanoseconds each.
    const spec = new BigInt64Array(4);
    const nanoseconds = BigInt(Math.round(sliceMs * 1e6));
    spec[0] = spec[2] = nanoseconds / 1_000_000_000n;
    spec[1] = spec[3] = nanoseconds % 1_000_000_000n;
    this.#armed = new Uint8Array(spec.buffer);
  }

  /** Starts interrupting. */
  arm(): void {
    libc.timer_settime(this.#timer, 0, this.#armed, null);
  }

  /** Stops interrupting. */
  disarm(): void {
    libc.timer_settime(this.#timer, 0, this.#disarmed, null);
  }

  /** Deletes the timer. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    libc.timer_delete(this.#timer);
  }
}

/**
 * Signals the thread of this process that is in KVM_RUN on `vcpuFd`. While it
 * executes guest code the kernel shows it only as running, so every thread that
 * runs is signalled; for the others the signal does nothing. A thread that is
 * not there yet sees `immediate_exit`, which the caller set before.
 */
export function kickThreadsInRun(vcpuFd: number): void {
  installHandler();
  const self = Number(libc.syscall(SYS_gettid, 0, 0, 0));
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    if (Number(name) === self) continue;
    let line: string;
    try {
      line = Deno.readTextFileSync(`/proc/self/task/${name}/syscall`);
    } catch {
      continue; // the thread ended meanwhile
    }
    // proc(5): "running", or the number and the arguments of a system call.
    const [number, fd, request] = line.split(" ");
    const isInRun = Number(number) === SYS_ioctl && Number(fd) === vcpuFd &&
      Number(request) === KVM.KVM_RUN;
    if (isInRun || line.startsWith("running")) {
      libc.syscall(SYS_tgkill, Deno.pid, Number(name), KICK_SIGNAL);
    }
  }
}
