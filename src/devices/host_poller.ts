/**
 * Waiting for descriptors of the host: all that wait, in all VMs, do it by one
 * poll(2) on one thread. There are few threads for calls that take long, and
 * the vCPUs run on the same.
 *
 * @module
 */

import {
  close,
  makeEventFd,
  pollMany,
  readEventFd,
  signalEventFd,
} from "./host_calls.ts";
import { POLL } from "./host_constants.ts";

/** Length of a `struct pollfd` (poll.h). */
const POLLFD_BYTES = 8;

/** After how long what cannot be waited for is looked at again, ms. */
const RETRY_MS = 10;

/** One that waits. */
interface Waiter {
  readonly fd: number;
  /** For which events (poll.h). */
  readonly events: number;
  /** Called when one of them holds, or when it waits no more. */
  readonly resolve: () => void;
  hasLeft: boolean;
}

/** All that wait; whoever has left is here until no poll looks at its file. */
const waiters = new Set<Waiter>();

/** Whether they are polled for, in turns. */
let isPolling = false;

/** Ends the poll that is under way; -1: there is none. */
let wakeFd = -1;
let isWoken = false;

function wake(): void {
  if (wakeFd < 0 || isWoken) return;
  isWoken = true;
  signalEventFd(wakeFd);
}

/**
 * Waits until one of `events` holds for `fd`, or `signal` aborts: the descriptor
 * is looked at no more then. Nothing is read: bytes stay where they are for
 * whoever reads next. It may end without either: look again.
 */
export async function pollUntil(
  fd: number,
  events: number,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiter: Waiter = { fd, events, resolve, hasLeft: false };
  const leave = () => {
    waiter.hasLeft = true;
    wake();
  };
  signal.addEventListener("abort", leave);
  waiters.add(waiter);
  if (isPolling) wake();
  else void pollInTurns();
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** Polls until nobody waits. */
async function pollInTurns(): Promise<void> {
  isPolling = true;
  for (;;) {
    // No poll is under way: nothing looks at their files.
    for (const one of waiters) if (one.hasLeft) finish(one);
    if (waiters.size === 0) break;
    if (wakeFd < 0) wakeFd = makeEventFd();
    const polled = [...waiters];
    const isDone = wakeFd >= 0 && await pollOnce(polled);
    if (!isDone) {
      // No descriptor, or no memory, is left. Who waits looks again.
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      for (const one of polled) finish(one);
    }
  }
  if (wakeFd >= 0) close(wakeFd);
  wakeFd = -1;
  isWoken = false;
  isPolling = false;
}

function finish(waiter: Waiter): void {
  waiters.delete(waiter);
  waiter.resolve();
}

/** Polls once, and tells those that are done; false when it cannot. */
async function pollOnce(polled: readonly Waiter[]): Promise<boolean> {
  const entries = new DataView(
    new ArrayBuffer(POLLFD_BYTES * (polled.length + 1)),
  );
  const set = (at: number, fd: number, events: number) => {
    entries.setInt32(at * POLLFD_BYTES, fd, true);
    entries.setInt16(at * POLLFD_BYTES + 4, events, true);
  };
  set(0, wakeFd, POLL.in);
  polled.forEach(({ fd, events }, i) => set(i + 1, fd, events));
  const isPolled = await pollMany(new Uint8Array(entries.buffer));
  if (isWoken) {
    isWoken = false;
    readEventFd(wakeFd);
  }
  polled.forEach((one, i) => {
    const happened = entries.getInt16((i + 1) * POLLFD_BYTES + 6, true);
    if (isPolled && happened !== 0) finish(one);
  });
  return isPolled;
}
