/**
 * An open file of a device that is a plugin.
 *
 * A handler may answer later. The program's call then waits like any other
 * (-EAGAIN, then {@linkcode PluginFile.wait}) and is made again when there is
 * something. What the handler answered meanwhile is kept until the same call
 * takes it, and travels with an image, so that nothing is lost or done twice.
 *
 * @module
 */

import * as v from "valibot";
import { ERRNO } from "../kvm/mod.ts";
import { bytes, count, u32 } from "../state/mod.ts";
import type { Answer, DeviceCall, DeviceHandle } from "./device_handle.ts";
import { pluginStat } from "./device_files.ts";
import { O, POLL, READABLE, WRITABLE } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { OpenFile } from "./open_file.ts";
import { refusePromise } from "./promises.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** Most bytes that one call moves; reads and writes may be cut. */
export const MAX_CALL_BYTES = 256 * 1024;

const operation = v.picklist(["read", "write", "ioctl"]);

/** A handler of which one call at a time is under way. */
type Operation = v.InferOutput<typeof operation>;

/** Lowest result of a system call. */
const LOWEST_RESULT = -4095;

/** Most calls that were answered and not taken: one a task and operation. */
const MAX_ANSWERS = 3 * 1024;

const answered = v.object({
  operation,
  /** The task whose call it is; 0: whoever makes it, of calls that do not wait. */
  caller: v.optional(count, 0),
  /** Of an ioctl: its number. */
  request: u32,
  /** Where it reads or writes, if the file has an offset. */
  offset: v.nullable(count),
  /** What the program passed. */
  argument: bytes(MAX_CALL_BYTES),
  /** What the system call gives. */
  result: v.pipe(
    v.number(),
    v.integer(),
    v.minValue(LOWEST_RESULT),
    v.maxValue(0x7fff_ffff),
  ),
  /** What the program gets. */
  bytes: bytes(MAX_CALL_BYTES),
});

/** How an open file of a device travels. */
export const pluginFile = v.object({
  type: v.literal("plugin"),
  flags: v.pipe(v.number(), v.integer()),
  /** The device's id. */
  device: v.pipe(v.string(), v.maxLength(48)),
  path: v.pipe(v.string(), v.startsWith("/"), v.maxLength(4096)),
  /** The file offset; 0 of one that has none. */
  position: count,
  /** What the device's own `dump` of this file gave; absent: it has none. */
  state: v.exactOptional(v.unknown()),
  /** Calls that were answered, and whose answer the program has not taken. */
  answers: v.pipe(v.array(answered), v.maxLength(MAX_ANSWERS)),
  /** Calls that were under way without an answer. */
  underWay: v.pipe(v.array(operation), v.maxLength(3)),
});

/** What an image knows of an open file of a device. */
export type PluginFileState = v.InferOutput<typeof pluginFile>;

/** What a call is, so that one made again is known. */
interface Call {
  readonly operation: Operation;
  readonly caller: number;
  readonly request: number;
  readonly offset: number | null;
  readonly argument: Uint8Array;
}

/** What a call is answered with. */
interface CallAnswer {
  readonly result: number;
  readonly bytes: Uint8Array;
}

/** A call that is under way, or was answered and not taken. */
interface HeldCall extends Call {
  answer?: CallAnswer;
  /** How much of what the device may keep it takes. */
  heldBytes: number;
}

/** What a file needs of its device. */
export interface FileOwner {
  /** The device's id. */
  readonly id: string;
  /** Aborts when the VM ends. */
  readonly signal: AbortSignal;
  /** What a handler threw: the errno for the program; the user is told. */
  errnoOf(what: string, error: unknown): number;
  /** Whether a range of physical addresses is one that the device claims. */
  claims(gpa: number, lengthBytes: number): boolean;
  /** Whether so many bytes may be kept for a call; the user is told if not. */
  mayHold(lengthBytes: number): boolean;
  /** So many bytes more are kept, or fewer. */
  held(lengthBytes: number): void;
  /** The file was closed. */
  forget(file: PluginFile): void;
}

const NOTHING = new Uint8Array();

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
  /** By operation and caller, see {@linkcode keyOf}. */
  readonly #calls = new Map<string, HeldCall>();
  readonly #again: Set<Operation>;
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
    this.#again = new Set(saved?.underWay);
    for (const { result, bytes, ...call } of saved?.answers ?? []) {
      // That may be more than a device keeps: it was kept before.
      this.#hold(call, 0, { result, bytes });
    }
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
    const answers: PluginFileState["answers"] = [];
    const underWay: Operation[] = [...this.#again];
    for (const { answer, heldBytes: _, ...call } of this.#calls.values()) {
      if (answer) answers.push({ ...call, ...answer });
      else underWay.push(call.operation);
    }
    const state: PluginFileState = {
      type: "plugin",
      flags: this.flags,
      device: this.#owner.id,
      path: this.path,
      position: this.#position,
      answers,
      underWay,
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
      const why = cause instanceof Error ? cause.message : String(cause);
      const name = `${this.path} of device "${this.#owner.id}"`;
      throw new Error(`${name}: ${why}`, { cause });
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
      const rest = answer.bytes.subarray(done);
      this.#hold({ ...call, caller: 0 }, 0, { result: 0, bytes: rest });
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
      holds = given < 0 ? POLL.err : given | (this.#hasAnswer() ? READABLE : 0);
    }
    return holds & (events | POLL.err | POLL.hup);
  }

  /** `events` unless a call of this kind would have to wait. */
  #free(operation: Operation, events: number): number {
    return this.#isUnderWay(operation) ? 0 : events;
  }

  /** Whether a handler was called that has not answered. */
  #isUnderWay(operation: Operation): boolean {
    for (const call of this.#calls.values()) {
      if (call.operation === operation && !call.answer) return true;
    }
    return false;
  }

  /** Whether what a read gave was not taken. */
  #hasAnswer(): boolean {
    for (const { operation, answer } of this.#calls.values()) {
      if (operation === "read" && answer) return true;
    }
    return false;
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

  override close(): void {
    this.#closing.abort();
    this.#owner.forget(this);
    for (const key of [...this.#calls.keys()]) this.#drop(key);
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
    const { operation } = call;
    const key = keyOf(call);
    // What nobody has for his own is for whoever asks first.
    const before = this.#calls.get(key) ??
      this.#calls.get(keyOf({ ...call, caller: 0 }));
    // A handler is called again once it has answered, whoever asked.
    if (!before?.answer && this.#isUnderWay(operation)) return undefined;
    if (before?.answer) {
      this.#drop(keyOf(before));
      // One that was given up (it was not to wait) is no answer to another.
      if (isSame(before, call)) return before.answer;
    }
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
        isAgain: this.#again.delete(operation),
        signal: this.signal,
      });
    } catch (error) {
      return failed(error);
    }
    if (!(answer instanceof Promise)) return answer;
    const own = this.#hold(call, mostBytes);
    answer.catch(failed).then((value) => {
      // Of a file that was closed nobody takes it.
      if (this.#calls.get(key) !== own) return;
      own.answer = value;
      const spare = mostBytes - value.bytes.length;
      own.heldBytes -= spare;
      this.#owner.held(-spare);
      this.wake();
    });
    return undefined;
  }

  /** Keeps a call, with its answer or room for one. */
  #hold(call: Call, mostBytes: number, answer?: CallAnswer): HeldCall {
    const heldBytes = call.argument.length +
      (answer?.bytes.length ?? mostBytes);
    const own: HeldCall = { ...call, answer, heldBytes };
    this.#calls.set(keyOf(call), own);
    this.#owner.held(heldBytes);
    return own;
  }

  /** Keeps a call no longer. */
  #drop(key: string): void {
    this.#owner.held(-(this.#calls.get(key)?.heldBytes ?? 0));
    this.#calls.delete(key);
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

/** What a call is kept by: one of each kind for each task. */
function keyOf({ operation, caller }: Call): string {
  return `${operation} ${caller}`;
}

/** Whether a call is the one that was made before. */
function isSame(before: Call, call: Call): boolean {
  return before.request === call.request && before.offset === call.offset &&
    before.argument.length === call.argument.length &&
    before.argument.every((byte, i) => byte === call.argument[i]);
}

/** What a handler answered, now or later, in one form. */
function later<T>(
  given: Answer<T>,
  form: (value: T) => CallAnswer,
): Answer<CallAnswer> {
  const isLater = typeof (given as PromiseLike<T> | undefined)?.then ===
    "function";
  return isLater ? Promise.resolve(given).then(form) : form(given as T);
}

function readAnswer(given: Uint8Array | number, most: number): CallAnswer {
  if (typeof given === "number") return countAnswer(given, 0);
  if (!(given instanceof Uint8Array)) {
    throw new TypeError(`it gave ${typeof given}, must be bytes or an errno`);
  }
  if (given.length > most) {
    throw new RangeError(`it gave ${given.length} bytes, must be <= ${most}`);
  }
  return { result: given.length, bytes: given.slice() };
}

function countAnswer(result: number, most = 0x7fff_ffff): CallAnswer {
  if (!Number.isInteger(result) || result < LOWEST_RESULT || result > most) {
    throw new RangeError(
      `it gave ${result}, must be a negative errno, or 0 to ${most}`,
    );
  }
  return { result, bytes: NOTHING };
}
