/**
 * An open file of a device that is a plugin.
 *
 * A handler may answer later. The program's call then waits like any other
 * (-EAGAIN, then {@linkcode PluginFile.wait}) and is made again when there is
 * something. What the handler answered meanwhile is kept until the same call
 * takes it ({@linkcode HeldCalls}), and travels with an image, so that nothing
 * is lost or done twice.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import {
  type CallAnswer,
  countAnswer,
  later,
  NOTHING,
  readAnswer,
} from "./device_answers.ts";
import { pluginStat } from "./device_files.ts";
import type { Answer, DeviceCall, DeviceHandle } from "./device_handle.ts";
import { messageOf } from "./errors.ts";
import { type Call, type CallBudget, HeldCalls } from "./held_calls.ts";
import { O, POLL, READABLE, WRITABLE } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { OpenFile } from "./open_file.ts";
import {
  LOWEST_RESULT,
  MAX_CALL_BYTES,
  type Operation,
  type PluginFileState,
} from "./plugin_file_state.ts";
import { refusePromise } from "./promises.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** What a file needs of its device. */
export interface FileOwner extends CallBudget {
  /** The device's id. */
  readonly id: string;
  /** Aborts when the VM ends. */
  readonly signal: AbortSignal;
  /** What a handler threw: the errno for the program; the user is told. */
  errnoOf(what: string, error: unknown): number;
  /** Whether a range of physical addresses is one that the device claims. */
  claims(gpa: number, lengthBytes: number): boolean;
  /** The file was closed. */
  forget(file: PluginFile): void;
}

/** An open file of a device. */
export class PluginFile extends OpenFile {
  readonly type = "plugin";
  /** The path it was opened by. */
  readonly path: string;
  /**
   * The task that makes the next call: two that read at once get an answer each.
   */
  caller = 0;
  /** Aborts when it is closed, or the VM ends. */
  readonly signal: AbortSignal;
  readonly #owner: FileOwner;
  readonly #closing = new AbortController();
  readonly #waiters = new Waiters();
  readonly #calls: HeldCalls;
  #handle: DeviceHandle = {};
  #position: number;
  /** Counts what may end a wait; what was seen of it when a call last waited. */
  #changes = 0;
  #seen = 0;

  /** @param flags O_* flags @param saved what an image says of it */
  constructor(
    owner: FileOwner,
    path: string,
    flags: number,
    saved?: PluginFileState,
  ) {
    super(flags);
    this.path = path;
    this.#owner = owner;
    this.signal = AbortSignal.any([owner.signal, this.#closing.signal]);
    this.#position = saved?.position ?? 0;
    this.#calls = new HeldCalls(owner, saved);
  }

  /** Sets what answers for it; once, before it is used. */
  attach(handle: DeviceHandle): void {
    this.#handle = handle;
  }

  /** Has calls that wait tried again. */
  wake(): void {
    this.#changes++;
    this.#waiters.wake();
  }

  /** What travels, as it is at this moment. @throws {Error} when `dump` does */
  snapshot(): PluginFileState {
    const state: PluginFileState = {
      type: "plugin",
      flags: this.flags,
      device: this.#owner.id,
      path: this.path,
      position: this.#position,
      ...this.#calls.snapshot(),
    };
    // A copy: the device goes on while the image is written.
    if (this.#handle.dump) state.state = this.#dump(this.#handle);
    return state;
  }

  #dump(handle: DeviceHandle): unknown {
    try {
      const given = handle.dump!();
      refusePromise(given, "dump");
      return structuredClone(given);
    } catch (cause) {
      const name = `${this.path} of device "${this.#owner.id}"`;
      throw new Error(`${name}: ${messageOf(cause)}`, { cause });
    }
  }

  // --- system calls ---

  override read(io: IoVector): number {
    const done = this.#read(io, this.#isSeekable ? this.#position : null);
    if (done > 0 && this.#isSeekable) this.#position += done;
    return done;
  }

  override write(io: IoVector): number {
    const done = this.#write(io, this.#isSeekable ? this.#position : null);
    if (done > 0 && this.#isSeekable) this.#position += done;
    return done;
  }

  override pread(io: IoVector, offset: number): number {
    return this.#isSeekable ? this.#read(io, offset) : -ERRNO.ESPIPE;
  }

  override pwrite(io: IoVector, offset: number): number {
    return this.#isSeekable ? this.#write(io, offset) : -ERRNO.ESPIPE;
  }

  /** Whose call is made: nobody's own where a call is given up, not made again. */
  get #caller(): number {
    return (this.flags & O.nonBlock) !== 0 ? 0 : this.caller;
  }

  get #isSeekable(): boolean {
    return this.#handle.size !== undefined;
  }

  #read(io: IoVector, offset: number | null): number {
    const handle = this.#handle;
    if (!handle.read) return -ERRNO.EINVAL;
    if (io.lengthBytes === 0) return 0;
    const most = Math.min(io.lengthBytes, MAX_CALL_BYTES);
    const call: Call = {
      operation: "read",
      caller: this.#caller,
      request: 0,
      offset,
      argument: NOTHING,
    };
    const answer = this.#perform(call, most, (how) =>
      later(
        handle.read!(most, how),
        (given) => readAnswer(given, most),
      ));
    if (!answer) return -ERRNO.EAGAIN;
    if (answer.result < 0) return answer.result;
    io.limit(most);
    const done = io.fill(answer.bytes);
    // A stream was asked for more before than now: the rest is for later.
    if (done < answer.bytes.length && offset === null) {
      this.#calls.keepRest(call, answer.bytes.subarray(done));
    }
    return done;
  }

  #write(io: IoVector, offset: number | null): number {
    const handle = this.#handle;
    if (!handle.write) return -ERRNO.EINVAL;
    io.limit(MAX_CALL_BYTES);
    const argument = new Uint8Array(io.lengthBytes);
    let at = 0;
    io.forEach((piece) => {
      argument.set(piece, at);
      at += piece.length;
    });
    const call: Call = {
      operation: "write",
      caller: this.#caller,
      request: 0,
      offset,
      argument,
    };
    const answer = this.#perform(call, 0, (how) =>
      later(
        handle.write!(argument.slice(), how),
        (taken) => countAnswer(taken ?? at, at),
      ));
    return answer ? answer.result : -ERRNO.EAGAIN;
  }

  /** Bytes at the argument of an ioctl whose number does not say; 0: none. */
  ioctlBytes(request: number): number {
    const sizes = this.#handle.ioctlBytes ?? {};
    const size = Object.hasOwn(sizes, request) ? sizes[request] : 0;
    if (Number.isInteger(size) && size >= 0 && size <= MAX_CALL_BYTES) {
      return size;
    }
    const wrong = new RangeError(`ioctlBytes[${request}] is ${size}`);
    this.#owner.errnoOf(`ioctl of ${this.path}`, wrong);
    return 0;
  }

  /** @param argument in and out @param raw the third argument as it is */
  override ioctl(
    request: number,
    argument: Uint8Array<ArrayBuffer>,
    raw = 0n,
  ): number {
    const handle = this.#handle;
    if (!handle.ioctl) return -ERRNO.ENOTTY;
    const call: Call = {
      operation: "ioctl",
      // One of these waits whatever O_NONBLOCK says.
      caller: this.caller,
      request,
      offset: null,
      argument: argument.slice(),
    };
    const data = argument.slice();
    const answer = this.#perform(call, data.length, (how) =>
      later(
        handle.ioctl!(request, data, { ...how, argument: raw }),
        (given) => ({ ...countAnswer(given ?? 0), bytes: data.slice() }),
      ));
    if (!answer) return -ERRNO.EAGAIN;
    argument.set(answer.bytes.subarray(0, argument.length));
    return answer.result;
  }

  override seek(offset: number, whence: number): number {
    const { size } = this.#handle;
    if (!size) return -ERRNO.ESPIPE;
    const from = whence === 0
      ? 0
      : whence === 1
      ? this.#position
      : whence === 2
      ? this.#guarded("size", () => size.call(this.#handle))
      : -ERRNO.EINVAL;
    if (from < 0) return from;
    const to = from + offset;
    if (!(to >= 0 && to < Number.MAX_SAFE_INTEGER)) return -ERRNO.EINVAL;
    return this.#position = to;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return pluginStat(stat);
  }

  override poll(events: number): number {
    this.#seen = this.#changes;
    const handle = this.#handle;
    let holds = this.#free("read", READABLE) | this.#free("write", WRITABLE);
    if (handle.poll) {
      const given = this.#guarded("poll", () => handle.poll!(events));
      // What was answered already can be read, whatever the device says.
      holds = given < 0
        ? POLL.err
        : given | (this.#calls.hasReadAnswer ? READABLE : 0);
    }
    return holds & (events | POLL.err | POLL.hup);
  }

  /** `events` unless a call of this kind would have to wait. */
  #free(operation: Operation, events: number): number {
    return this.#calls.isUnderWay(operation) ? 0 : events;
  }

  override async wait(_events: number, signal: AbortSignal): Promise<void> {
    if (this.#seen === this.#changes) await this.#waiters.changed(signal);
  }

  override get isWatchable(): boolean {
    return true;
  }

  override watch(watcher: Watcher): () => void {
    return this.#waiters.watch(watcher);
  }

  /** The physical address that a mapping leads to, or a negative errno. */
  mmap(offset: number, lengthBytes: number): number {
    const handle = this.#handle;
    if (!handle.mmap) return -ERRNO.ENODEV;
    return this.#guarded("mmap", () => {
      const gpa = handle.mmap!(offset, lengthBytes);
      refusePromise(gpa, "it");
      if (gpa < 0 && gpa >= LOWEST_RESULT) return gpa;
      if (gpa % 4096 === 0 && this.#owner.claims(gpa, lengthBytes)) return gpa;
      throw new RangeError(
        `it gave gpa 0x${gpa.toString(16)}, which the device does not claim`,
      );
    });
  }

  override giveUp(caller: number, hasEnded: boolean): void {
    if (this.#calls.giveUp(caller, hasEnded)) this.wake();
  }

  override close(): void {
    this.#closing.abort();
    this.#owner.forget(this);
    this.#calls.clear();
    this.#guarded("close", () => {
      const given: unknown = this.#handle.close?.();
      // It is not waited for; but what it fails with must not get lost.
      Promise.resolve(given).catch((error) =>
        this.#owner.errnoOf(`close of ${this.path}`, error)
      );
      return 0;
    });
  }

  // --- calls ---

  /**
   * Answers a call, if it can be answered now: by what the same call was
   * answered before, or by calling the handler.
   *
   * @param mostBytes how much an answer may hold
   */
  #perform(
    call: Call,
    mostBytes: number,
    handler: (how: DeviceCall) => Answer<CallAnswer>,
  ): CallAnswer | undefined {
    this.#seen = this.#changes;
    const before = this.#calls.take(call);
    if (before === "under way") return undefined;
    if (before) return before;
    const { operation } = call;
    const failed = (error: unknown): CallAnswer => ({
      result: this.signal.aborted
        ? -ERRNO.EINTR
        : this.#owner.errnoOf(`${operation} of ${this.path}`, error),
      bytes: NOTHING,
    });
    // Before the device does anything: what it then answers must be kept.
    if (!this.#owner.mayHold(call.argument.length + mostBytes)) {
      return { result: -ERRNO.ENOBUFS, bytes: NOTHING };
    }
    let answer: Answer<CallAnswer>;
    try {
      answer = handler({
        offset: call.offset ?? undefined,
        nonBlock: (this.flags & O.nonBlock) !== 0,
        isAgain: this.#calls.takeAgain(operation),
        signal: this.signal,
      });
    } catch (error) {
      return failed(error);
    }
    if (!(answer instanceof Promise)) return answer;
    this.#calls.keep(call, mostBytes, answer.catch(failed), () => this.wake());
    return undefined;
  }

  /** What a handler gives at once; the errno when it fails or is async. */
  #guarded(what: string, run: () => number): number {
    try {
      const given = run();
      refusePromise(given, "it");
      return given;
    } catch (error) {
      return this.#owner.errnoOf(`${what} of ${this.path}`, error);
    }
  }
}
