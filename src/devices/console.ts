/**
 * The program's standard input, output and error.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { fstat, lseek, move, moveNoWait, pollNow } from "./host_calls.ts";
import { O, POLL, READABLE, S_IF, WRITABLE } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { giveBackNonBlocking, takeNonBlocking } from "./non_blocking.ts";
import { OpenFile, writeSpecialStat } from "./open_file.ts";
import {
  hostTerminal,
  readTimeoutNs,
  ScriptTerminal,
  type Terminal,
  type TerminalSize,
  terminalStat,
  TERMIOS_BYTES,
  TTY,
} from "./terminal.ts";
import { pollUntil } from "./host_poller.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** How much may be written to a file that can wait without asking it again. */
const SAFE_WRITE_BYTES = 4096;

/** One of the VMM's own three descriptors. */
export class HostStream extends OpenFile {
  readonly type = "console";
  /** 0, 1 or 2. */
  readonly stream: number;
  readonly #canWait: boolean;
  readonly #isDevice: boolean;
  /** A descriptor of its own that does not wait; -1: there can be none. */
  #nonBlocking: number | undefined;
  #moves = 0;

  /** @param stream 0, 1 or 2 @param flags O_* flags the program sees */
  constructor(stream: number, flags: number) {
    super(flags);
    this.stream = stream;
    const stat = new Uint8Array(144);
    const known = fstat(stream, stat) >= 0;
    const kind = new DataView(stat.buffer).getUint32(24, true) & S_IF.mask;
    this.#canWait = known && kind !== S_IF.regular;
    this.#isDevice = kind === S_IF.character;
  }

  override get hostFd(): number {
    return this.stream;
  }

  override get isWatchable(): boolean {
    return this.#canWait;
  }

  /** Who moved bytes may have emptied it, or filled: what holds then is new. */
  override get edges(): number {
    return this.#moves;
  }

  override read(io: IoVector): number {
    this.#moves++;
    if (this.#canWait && pollNow(this.stream, POLL.in) === 0) {
      return -ERRNO.EAGAIN;
    }
    return this.#move(io);
  }

  override write(io: IoVector): number {
    this.#moves++;
    return this.#move(io);
  }

  /** Moves what can be moved without waiting. */
  #move(io: IoVector): number {
    if (!this.#canWait) return move(this.stream, io);
    if (this.#nonBlocking === undefined || this.#nonBlocking < 0) {
      // Of a device it may read less than there is (/dev/zero).
      const asks = !io.into || !this.#isDevice;
      const done = asks ? moveNoWait(this.stream, io) : -ERRNO.EOPNOTSUPP;
      if (done !== -ERRNO.EOPNOTSUPP) return done;
      this.#nonBlocking ??= takeNonBlocking(this.stream);
    }
    if (this.#nonBlocking >= 0) return move(this.#nonBlocking, io);
    // Somebody else's terminal, or another device.
    if (pollNow(this.stream, io.into ? POLL.in : POLL.out) === 0) {
      return -ERRNO.EAGAIN;
    }
    if (!io.into) io.limit(SAFE_WRITE_BYTES);
    return move(this.stream, io);
  }

  override seek(offset: number, whence: number): number {
    return lseek(this.stream, offset, whence);
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return this.isTerminal ? terminalStat(stat) : fstat(this.stream, stat);
  }

  /** Whether it is a terminal. */
  get isTerminal(): boolean {
    const scratch = new Uint8Array(TERMIOS_BYTES);
    return hostTerminal.ioctl(this.stream, TTY.getAttributes, scratch) >= 0;
  }

  override poll(events: number): number {
    return pollNow(this.stream, events);
  }

  override wait(events: number, signal: AbortSignal): Promise<void> {
    return pollUntil(this.stream, events, signal);
  }

  override ioctl(request: number, argument: Uint8Array<ArrayBuffer>): number {
    return hostTerminal.ioctl(this.stream, request, argument);
  }

  /** The stream itself is the VMM's. */
  override close(): void {
    if ((this.#nonBlocking ?? -1) >= 0) giveBackNonBlocking(this.stream);
    this.#nonBlocking = undefined;
  }

  override get readTimeoutNs(): number | undefined {
    return readTimeoutOf(this);
  }

  /** Device control with a number: of a terminal. */
  ioctlNumber(request: number, argument: number): number {
    return hostTerminal.ioctlNumber(this.stream, request, argument);
  }
}

/** After how long a read of a terminal gives nothing, as that was set; ns. */
function readTimeoutOf(file: OpenFile): number | undefined {
  const attributes = new Uint8Array(TERMIOS_BYTES);
  const isTerminal = file.ioctl(TTY.getAttributes, attributes) >= 0;
  return isTerminal ? readTimeoutNs(attributes) : undefined;
}

/** Where a script's console writes go. */
export interface ScriptConsoleOptions {
  /** Called with each piece of standard output; the bytes are its own. */
  readonly stdout?: (bytes: Uint8Array) => void;
  /** Called with each piece of standard error. */
  readonly stderr?: (bytes: Uint8Array) => void;
  /** Makes it a terminal of this size; default: it is none. */
  readonly terminal?: TerminalSize;
}

/** Standard input, output and error in the hands of a script. */
export class ScriptConsole {
  #input: Uint8Array[] = [];
  #ended = false;
  readonly #waiters = new Waiters();
  readonly #options: ScriptConsoleOptions;
  /** The terminal that it is, if it is one. */
  readonly terminal: ScriptTerminal | undefined;

  /**
   * A console without input.
   *
   * @param options where output goes; dropped where nothing is given
   */
  constructor(options: ScriptConsoleOptions = {}) {
    this.#options = options;
    this.terminal = options.terminal && new ScriptTerminal(options.terminal);
  }

  /** Gives the program more to read. */
  push(bytes: Uint8Array | string): void {
    const data = typeof bytes === "string"
      ? new TextEncoder().encode(bytes)
      : bytes.slice();
    if (data.length > 0) this.#input.push(data);
    this.#waiters.wake();
  }

  /** Ends the input: the program reads 0 bytes when it has had the rest. */
  end(): void {
    this.#ended = true;
    this.#waiters.wake();
  }

  /** What was pushed and not read yet. */
  unread(): Uint8Array {
    const bytes = new Uint8Array(this.#input.reduce((n, b) => n + b.length, 0));
    let at = 0;
    for (const part of this.#input) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Whether the input has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Moves input into `io`; -EAGAIN when there is none yet.
   *
   * @internal
   */
  read(io: IoVector): number {
    let done = 0;
    io.forEach((piece) => {
      while (piece.length > 0 && this.#input.length > 0) {
        const head = this.#input[0].subarray(0, piece.length);
        piece.set(head);
        piece = piece.subarray(head.length);
        done += head.length;
        if (head.length === this.#input[0].length) this.#input.shift();
        else this.#input[0] = this.#input[0].subarray(head.length);
      }
    });
    if (done > 0 || io.lengthBytes === 0 || this.#ended) return done;
    return -ERRNO.EAGAIN;
  }

  /**
   * Hands output to the script.
   *
   * @internal
   */
  write(stream: number, io: IoVector): number {
    const take = stream === 2 ? this.#options.stderr : this.#options.stdout;
    if (take) io.forEach((piece) => take(piece.slice()));
    return io.lengthBytes;
  }

  /**
   * Whether there is something to read.
   *
   * @internal
   */
  get hasInput(): boolean {
    return this.#input.length > 0;
  }

  /**
   * Whether a read would not wait.
   *
   * @internal
   */
  get isReadable(): boolean {
    return this.#input.length > 0 || this.#ended;
  }

  /**
   * Resolves when there is more input, or when `signal` aborts.
   *
   * @internal
   */
  changed(signal: AbortSignal): Promise<void> {
    return this.#waiters.changed(signal);
  }

  /**
   * Calls `watcher` when there is more input.
   *
   * @internal
   */
  watch(watcher: Watcher): () => void {
    return this.#waiters.watch(watcher);
  }
}

/** One of the three streams of a {@linkcode ScriptConsole}. */
export class ScriptStream extends OpenFile {
  readonly type = "console";
  /** 0, 1 or 2. */
  readonly stream: number;
  readonly #console: ScriptConsole;

  /** @param stream 0, 1 or 2 */
  constructor(script: ScriptConsole, stream: number) {
    const access = stream === 0 ? O.readOnly : O.writeOnly;
    super(script.terminal ? O.readWrite : access);
    this.stream = stream;
    this.#console = script;
  }

  /** Whether it is a terminal. */
  get isTerminal(): boolean {
    return this.#console.terminal !== undefined;
  }

  override read(io: IoVector): number {
    return this.#console.read(io);
  }

  override write(io: IoVector): number {
    return this.#console.write(this.stream, io);
  }

  override readFault(): number {
    if (!this.#console.isReadable) return -ERRNO.EAGAIN;
    return this.#console.hasInput ? super.readFault() : 0;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    if (!this.#console.terminal) {
      return writeSpecialStat(stat, S_IF.fifo | 0o600, 1 + this.stream);
    }
    return terminalStat(stat);
  }

  override ioctl(request: number, argument: Uint8Array<ArrayBuffer>): number {
    const { terminal } = this.#console;
    if (request === TTY.inputBytes) {
      const view = new DataView(argument.buffer, argument.byteOffset);
      view.setInt32(0, this.#console.unread().length, true);
      return 0;
    }
    return terminal?.ioctl(request, argument) ?? -ERRNO.ENOTTY;
  }

  override poll(events: number): number {
    const reads = this.stream === 0 || this.#console.terminal !== undefined;
    const writes = this.stream !== 0 || this.#console.terminal !== undefined;
    const ready = (writes ? WRITABLE : 0) |
      (reads && this.#console.isReadable ? READABLE : 0);
    return events & ready;
  }

  override get isWatchable(): boolean {
    return true;
  }

  override get readTimeoutNs(): number | undefined {
    return readTimeoutOf(this);
  }

  override watch(watcher: Watcher): () => void {
    if (this.stream !== 0) return super.watch(watcher);
    return this.#console.watch(watcher);
  }

  override wait(_events: number, signal: AbortSignal): Promise<void> {
    return this.#console.changed(signal);
  }
}

/** The path that opens the terminal of a program. */
export const TERMINAL_PATH = "/dev/tty";

/** The name that the terminal of a program has. */
export const TERMINAL_NAME = "/dev/pts/0";

/** A terminal by its name, to look at. */
export class TerminalName extends OpenFile {
  readonly type = "terminal";
  readonly #isAlias: boolean;

  /** @param path TERMINAL_PATH or TERMINAL_NAME */
  constructor(path: string) {
    super(O.path);
    this.#isAlias = path === TERMINAL_PATH;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return terminalStat(stat, this.#isAlias);
  }
}

/** Whether a file is the terminal of a program. */
export function isTerminal(file: OpenFile): boolean {
  if (file instanceof ScriptStream) return file.isTerminal;
  return file instanceof HostStream && file.isTerminal;
}

/** The terminal that a VM's program has: a script's, if it is one, or ours. */
export function terminalOf(script?: ScriptConsole): Terminal | undefined {
  return script ? script.terminal : hostTerminal;
}

/**
 * Opens the terminal of a program once more, as /dev/tty does.
 *
 * @param script whose it is; absent: the VMM's own
 * @param flags O_* flags the program sees
 * @returns -ENXIO where there is none
 */
export function openTerminal(
  script: ScriptConsole | undefined,
  flags: number,
): OpenFile | number {
  if (script) {
    if (!script.terminal) return -ERRNO.ENXIO;
    const file = new ScriptStream(script, 0);
    file.flags = flags;
    return file;
  }
  const { stream } = hostTerminal;
  return stream < 0 ? -ERRNO.ENXIO : new HostStream(stream, flags);
}
