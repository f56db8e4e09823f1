/**
 * Requests of ioctl_tty(2), on the console of a program.
 *
 * @module
 */

import {
  HostStream,
  type OpenFile,
  setsAttributes,
  TERMIOS2_BYTES,
  TERMIOS_BYTES,
  TTY,
  WINSIZE_BYTES,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { CallArguments } from "../trace.ts";

/** Requests that a terminal answers with so many bytes. */
const ANSWERS = new Map<number, number>([
  [TTY.getAttributes, TERMIOS_BYTES],
  [TTY.getAttributes2, TERMIOS2_BYTES],
  [TTY.getSize, WINSIZE_BYTES],
  [TTY.inputBytes, 4],
  [TTY.outputBytes, 4],
]);

/** Requests that ask who has the terminal: the only process does. */
const ASKS_WHO = new Set<number>([TTY.getForeground, TTY.getSession]);

/** Requests whose argument is a number. */
const NUMBERS = new Set<number>([TTY.sendBreak, TTY.flow, TTY.flush]);

/** How many bytes a plugin's file may answer a terminal's request with. */
export function terminalAnswer(request: number): number | undefined {
  const asks = request === TTY.getAttributes || request === TTY.getSize;
  return asks ? ANSWERS.get(request) : undefined;
}

function isTerminal(file: OpenFile): boolean {
  return file.ioctl(TTY.getAttributes, new Uint8Array(TERMIOS_BYTES)) >= 0;
}

/** Makes a group of processes the one in front: there is one process. */
function setForeground(linux: Linux, va: number): number {
  const group = linux.user.readStruct(va, 4);
  if (!group) return -ERRNO.EFAULT;
  const wanted = group.getInt32(0, true);
  if (wanted < 0) return -ERRNO.EINVAL;
  return wanted === linux.process.state.pid ? 0 : -ERRNO.ESRCH;
}

/**
 * Answers a request of terminals; -ENOTTY for any other, and where `file` is
 * none.
 *
 * @returns zero or a negative errno
 */
export function terminalIoctl(
  linux: Linux,
  args: CallArguments,
  file: OpenFile,
): number {
  const request = args.int(1) >>> 0;
  const va = args.u64(2);
  const answerBytes = ANSWERS.get(request);
  if (answerBytes !== undefined) {
    const answer = new Uint8Array(answerBytes);
    const result = file.ioctl(request, answer);
    if (result < 0) return result;
    return linux.user.write(va, answer) ? result : -ERRNO.EFAULT;
  }
  const setBytes = setsAttributes(request);
  if (setBytes > 0 || request === TTY.setSize) {
    if (!isTerminal(file)) return -ERRNO.ENOTTY;
    const wanted = new Uint8Array(
      request === TTY.setSize ? WINSIZE_BYTES : setBytes,
    );
    if (!linux.user.read(va, wanted)) return -ERRNO.EFAULT;
    return file.ioctl(request, wanted);
  }
  if (NUMBERS.has(request)) {
    if (!isTerminal(file)) return -ERRNO.ENOTTY;
    // Of a script's terminal nothing is on its way.
    return file instanceof HostStream
      ? file.ioctlNumber(request, args.int(2))
      : 0;
  }
  if (!isTerminal(file)) return -ERRNO.ENOTTY;
  if (ASKS_WHO.has(request)) {
    return linux.user.writeU32(va, linux.process.state.pid);
  }
  switch (request) {
    case TTY.setForeground:
      return setForeground(linux, va);
    case TTY.setControlling: // it is, already
    case TTY.giveUpControlling: // nothing follows from it for one process
      return 0;
  }
  return -ERRNO.ENOTTY;
}
