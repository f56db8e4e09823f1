/**
 * The terminal that a program has: how it is set, how large it is.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { ioctl, ioctlNumber } from "./host_calls.ts";
import { S_IF } from "./host_constants.ts";
import { writeSpecialStat } from "./open_file.ts";

/** Requests of ioctl_tty(2) (asm-generic/ioctls.h). */
export const TTY = {
  getAttributes: 0x5401, // TCGETS
  setAttributes: 0x5402, // TCSETS
  setAttributesDrain: 0x5403, // TCSETSW
  setAttributesFlush: 0x5404, // TCSETSF
  sendBreak: 0x5409, // TCSBRK
  flow: 0x540a, // TCXONC
  flush: 0x540b, // TCFLSH
  setControlling: 0x540e, // TIOCSCTTY
  getForeground: 0x540f, // TIOCGPGRP
  setForeground: 0x5410, // TIOCSPGRP
  outputBytes: 0x5411, // TIOCOUTQ
  getSize: 0x5413, // TIOCGWINSZ
  setSize: 0x5414, // TIOCSWINSZ
  inputBytes: 0x541b, // FIONREAD
  giveUpControlling: 0x5422, // TIOCNOTTY
  getSession: 0x5429, // TIOCGSID
  getAttributes2: 0x802c_542a, // TCGETS2
  setAttributes2: 0x402c_542b, // TCSETS2
  setAttributesDrain2: 0x402c_542c, // TCSETSW2
  setAttributesFlush2: 0x402c_542d, // TCSETSF2
} as const;

/** What {@linkcode TTY.flow} does with output (asm-generic/termbits.h). */
const FLOW = { stop: 0, start: 1 } as const;

/** Length of the kernel's `struct termios` (asm-generic/termbits.h). */
export const TERMIOS_BYTES = 36;

/** Length of `struct termios2`: that, and both speeds as numbers. */
export const TERMIOS2_BYTES = 44;

/** Length of `struct winsize`: rows, columns, and pixels of both. */
export const WINSIZE_BYTES = 8;

/** Where c_cflag is, and how long: the line's speed and form. */
const CFLAG = { offset: 8, bytes: 4 } as const;

/**
 * How long the attributes are that a request sets: a `struct termios`, or
 * `termios2`; 0 where it sets none.
 */
export function setsAttributes(request: number): number {
  if (request >= TTY.setAttributes && request <= TTY.setAttributesFlush) {
    return TERMIOS_BYTES;
  }
  const isNew = request >= TTY.setAttributes2 &&
    request <= TTY.setAttributesFlush2;
  return isNew ? TERMIOS2_BYTES : 0;
}

/** What the name of a terminal leads to in a `struct stat`: major and minor. */
const PTS_DEVICE = 136 << 8;
/** /dev/tty: whichever terminal a program has. */
const TTY_DEVICE = 5 << 8;

/**
 * Fills a `struct stat` of 144 bytes for a terminal: by whichever descriptor or
 * name, it is the one that the program has.
 *
 * @param isAlias whether it is /dev/tty that is looked at
 */
export function terminalStat(
  stat: Uint8Array<ArrayBuffer>,
  isAlias = false,
): number {
  return isAlias
    ? writeSpecialStat(stat, S_IF.character | 0o666, 9, TTY_DEVICE)
    : writeSpecialStat(stat, S_IF.character | 0o620, 3, PTS_DEVICE);
}

/** What a VM knows of the terminal of its program. */
export interface Terminal {
  /**
   * What the program set, a `struct termios`; absent while it has set nothing.
   */
  readonly attributes: Uint8Array<ArrayBuffer> | undefined;
  /** Takes over what a program had set that goes on here. */
  adopt(attributes: Uint8Array<ArrayBuffer>): void;
  /** The program runs: what it set holds. */
  enter(): void;
  /**
   * The program stands, or has ended: what the terminal was before holds.
   *
   * @param isOver whether it has ended, so that what it set is forgotten
   */
  leave(isOver?: boolean): void;
}

/** The requests that set the same at once, and whether input goes. */
const AT_ONCE: Readonly<
  Record<number, readonly [at: number, flushes: boolean]>
> = {
  [TTY.setAttributesDrain]: [TTY.setAttributes, false],
  [TTY.setAttributesFlush]: [TTY.setAttributes, true],
  [TTY.setAttributesDrain2]: [TTY.setAttributes2, false],
  [TTY.setAttributesFlush2]: [TTY.setAttributes2, true],
};

/** tcflush(3) of input (asm-generic/termbits.h). */
const TCIFLUSH = 0;

/**
 * Sets attributes, without waiting until all output is written: while another
 * process writes to a terminal that stands still, that takes for ever, and no
 * signal ends it.
 */
function set(
  fd: number,
  request: number,
  argument: Uint8Array<ArrayBuffer>,
): number {
  const [at, flushes] = AT_ONCE[request] ?? [request, false];
  if (flushes) ioctlNumber(fd, TTY.flush, TCIFLUSH);
  return ioctl(fd, at, argument);
}

/** The VMM's own terminal, behind its standard streams. */
class HostTerminal implements Terminal {
  #attributes: Uint8Array<ArrayBuffer> | undefined;
  /** What was before the program changed it, and the descriptor to set it by. */
  #before: { fd: number; attributes: Uint8Array<ArrayBuffer> } | undefined;
  /** By which descriptor the program stopped output. */
  #stopped: number | undefined;

  get attributes(): Uint8Array<ArrayBuffer> | undefined {
    return this.#attributes;
  }

  /** The first standard stream that is a terminal; -1 when none is. */
  get stream(): number {
    const scratch = new Uint8Array(TERMIOS_BYTES);
    return [0, 1, 2].find((fd) =>
      ioctl(fd, TTY.getAttributes, scratch) === 0
    ) ?? -1;
  }

  /** A request of the program, on one of the streams. */
  ioctl(fd: number, request: number, argument: Uint8Array<ArrayBuffer>) {
    if (setsAttributes(request) === 0) return ioctl(fd, request, argument);
    const before = new Uint8Array(TERMIOS_BYTES);
    const looked = ioctl(fd, TTY.getAttributes, before);
    if (looked < 0) return looked;
    const result = set(fd, request, argument);
    if (result < 0) return result;
    this.#before ??= { fd, attributes: before };
    this.#attributes = new Uint8Array(TERMIOS_BYTES);
    ioctl(fd, TTY.getAttributes, this.#attributes);
    return result;
  }

  /** A request whose argument is a number, on one of the streams. */
  ioctlNumber(fd: number, request: number, argument: number): number {
    // It would wait until all output is written, as `set` must not.
    if (request === TTY.sendBreak) return 0;
    const result = ioctlNumber(fd, request, argument);
    if (result === 0 && request === TTY.flow) {
      if (argument === FLOW.stop) this.#stopped = fd;
      if (argument === FLOW.start) this.#stopped = undefined;
    }
    return result;
  }

  adopt(attributes: Uint8Array<ArrayBuffer>): void {
    this.#attributes = attributes.slice();
  }

  enter(): void {
    if (this.#stopped !== undefined) {
      ioctlNumber(this.#stopped, TTY.flow, FLOW.stop);
    }
    if (!this.#attributes || this.#before) return;
    const fd = this.stream;
    const attributes = new Uint8Array(TERMIOS_BYTES);
    if (fd < 0 || ioctl(fd, TTY.getAttributes, attributes) < 0) return;
    const wanted = this.#attributes.slice();
    // Speed and form of the line are this terminal's.
    const line = attributes.subarray(CFLAG.offset, CFLAG.offset + CFLAG.bytes);
    wanted.set(line, CFLAG.offset);
    if (ioctl(fd, TTY.setAttributes, wanted) < 0) return;
    this.#before = { fd, attributes };
  }

  leave(isOver = false): void {
    // What a program stops so, no key starts again.
    if (this.#stopped !== undefined) {
      ioctlNumber(this.#stopped, TTY.flow, FLOW.start);
      if (isOver) this.#stopped = undefined;
    }
    if (isOver) this.#attributes = undefined;
    if (!this.#before) return;
    const { fd, attributes } = this.#before;
    this.#before = undefined;
    ioctl(fd, TTY.setAttributes, attributes);
  }
}

/** The VMM's own terminal: there is one, however many VMs use it. */
export const hostTerminal: HostTerminal = new HostTerminal();

/** How fast a terminal is that is none of wires. */
const STANDARD_BAUD = 38400;

/** How large a terminal is. */
export interface TerminalSize {
  /** Lines. */
  readonly rows: number;
  /** Characters in a line. */
  readonly columns: number;
}

/**
 * What a terminal is set to when nobody has changed it: cooked, 38400 baud, the
 * usual control characters (tty_std_termios, drivers/tty/tty_io.c).
 */
function standardAttributes(): Uint8Array<ArrayBuffer> {
  const attributes = new Uint8Array(TERMIOS_BYTES);
  const view = new DataView(attributes.buffer);
  view.setUint32(0, 0o2400, true); // ICRNL, IXON
  view.setUint32(4, 0o5, true); // OPOST, ONLCR
  view.setUint32(8, 0o277, true); // B38400, CS8, CREAD
  view.setUint32(12, 0o105073, true); // ISIG … IEXTEN
  attributes.set(
    [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22],
    17,
  );
  return attributes;
}

/** Places in a `struct termios` (asm-generic/termbits.h). */
const TERMIOS = { localFlags: 12, time: 17 + 5, min: 17 + 6 } as const;

/** Of the local flags: input comes in lines. */
const ICANON = 0o2;

/**
 * After how long a read gives nothing, nanoseconds; undefined: it waits until
 * there is something (termios(3), "Canonical and noncanonical mode").
 *
 * @param attributes a `struct termios`
 */
export function readTimeoutNs(attributes: Uint8Array): number | undefined {
  const view = new DataView(attributes.buffer, attributes.byteOffset);
  if (view.getUint32(TERMIOS.localFlags, true) & ICANON) return undefined;
  const waits = attributes[TERMIOS.min] > 0;
  return waits ? undefined : attributes[TERMIOS.time] * 1e8;
}

/**
 * A terminal in the hands of a script. It does not edit lines nor echo: the
 * script sends what a program is to read, and gets what it writes. How the
 * program set it is kept, and can be asked for.
 */
export class ScriptTerminal implements Terminal {
  #set: Uint8Array<ArrayBuffer> | undefined;
  #size: TerminalSize;

  /**
   * A terminal as a new one is.
   *
   * @param size how large it is
   */
  constructor(size: TerminalSize) {
    this.#size = size;
  }

  /** What the program set. */
  get attributes(): Uint8Array<ArrayBuffer> | undefined {
    return this.#set;
  }

  /** How large it is; the program learns of a change by SIGWINCH. */
  get size(): TerminalSize {
    return this.#size;
  }

  set size(size: TerminalSize) {
    this.#size = size;
  }

  /** Whether the program reads keys as they come: ICANON is off. */
  get isRaw(): boolean {
    const flags = this.#set ?? standardAttributes();
    const view = new DataView(flags.buffer);
    return (view.getUint32(TERMIOS.localFlags, true) & ICANON) === 0;
  }

  /**
   * A request of the program.
   *
   * @internal
   */
  ioctl(request: number, argument: Uint8Array<ArrayBuffer>): number {
    const view = new DataView(argument.buffer, argument.byteOffset);
    switch (request) {
      case TTY.getAttributes:
        argument.set(this.#set ?? standardAttributes());
        return 0;
      case TTY.getAttributes2:
        argument.set(this.#set ?? standardAttributes());
        view.setUint32(36, STANDARD_BAUD, true);
        view.setUint32(40, STANDARD_BAUD, true);
        return 0;
      case TTY.getSize:
        argument.fill(0);
        view.setUint16(0, this.#size.rows, true);
        view.setUint16(2, this.#size.columns, true);
        return 0;
      case TTY.setSize:
        this.#size = {
          rows: view.getUint16(0, true),
          columns: view.getUint16(2, true),
        };
        return 0;
      case TTY.outputBytes:
        view.setInt32(0, 0, true);
        return 0;
    }
    if (setsAttributes(request) === 0) return -ERRNO.ENOTTY;
    this.#set = argument.slice(0, TERMIOS_BYTES);
    return 0;
  }

  /** Takes over what a program had set. @internal */
  adopt(attributes: Uint8Array<ArrayBuffer>): void {
    this.#set = attributes.slice();
  }

  /** Nothing else uses it. @internal */
  enter(): void {}

  /** Nothing else uses it. @internal */
  leave(): void {}
}
