/**
 * The files of the standard streams, opened once more without waiting.
 *
 * An open file description that came with a stream is shared with whoever
 * started this process, and must not get O_NONBLOCK. A terminal takes no
 * RWF_NOWAIT either, and what poll says of it holds for one byte only: whoever
 * writes more waits for a reader, with all else that is to be done here.
 *
 * @module
 */

import { close, fstat, getFlags, ioctl, open } from "./host_calls.ts";
import { O, S_IF } from "./host_constants.ts";
import { TERMIOS_BYTES, TTY } from "./terminal.ts";

/** /dev/ptmx (devices.txt): opening it makes another terminal. */
const PTMX_DEVICE = 5 << 8 | 2;

/** A descriptor of ours, and how many use it. */
interface Shared {
  readonly fd: number;
  users: number;
}

/** By stream; however often a program opens its terminal, it is one. */
const opened = new Map<number, Shared>();

/**
 * A descriptor of the same terminal or pipe that does not wait; to be given
 * back.
 *
 * @param stream the descriptor that there is
 * @returns -1 for another kind of file, or where it may not be opened: the
 * terminal of another user
 */
export function takeNonBlocking(stream: number): number {
  let shared = opened.get(stream);
  if (!shared) {
    const fd = isToOpen(stream) ? openAgain(stream) : -1;
    if (fd < 0) return -1;
    opened.set(stream, shared = { fd, users: 0 });
  }
  shared.users++;
  return shared.fd;
}

/** Gives back what {@linkcode takeNonBlocking} gave for a stream, if not -1. */
export function giveBackNonBlocking(stream: number): void {
  const shared = opened.get(stream);
  if (!shared || --shared.users > 0) return;
  opened.delete(stream);
  close(shared.fd);
}

/** Whether opening it does no more than that: other devices do what they like. */
function isToOpen(stream: number): boolean {
  const stat = new Uint8Array(144);
  if (fstat(stream, stat) < 0) return false;
  const view = new DataView(stat.buffer);
  const kind = view.getUint32(24, true) & S_IF.mask;
  if (kind !== S_IF.character) return kind === S_IF.fifo;
  const termios = new Uint8Array(TERMIOS_BYTES);
  return ioctl(stream, TTY.getAttributes, termios) >= 0 &&
    view.getBigUint64(40, true) !== BigInt(PTMX_DEVICE);
}

/** Opens what a descriptor leads to, for what that one is open for. */
function openAgain(stream: number): number {
  const flags = getFlags(stream);
  if (flags < 0) return flags;
  const ours = O.nonBlock | O.noControllingTerminal | O.closeOnExec;
  return open(`/proc/self/fd/${stream}`, flags & O.accessMode | ours);
}
