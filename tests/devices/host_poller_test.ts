import { assert, assertEquals } from "@std/assert";
import {
  close,
  makeEventFd,
  signalEventFd,
} from "../../src/devices/host_calls.ts";
import { POLL } from "../../src/devices/host_constants.ts";
import { pollUntil } from "../../src/devices/host_poller.ts";
import { resources } from "../support.ts";

/** More than there are threads for calls that take long. */
const MANY = 100;

/** The names of this process's threads. */
function threads(): number {
  return [...Deno.readDirSync("/proc/self/task")].length;
}

Deno.test("host_poller: however many wait, one thread does, and each is told", async () => {
  const before = resources().fds;
  const fds = Array.from({ length: MANY }, makeEventFd);
  const stop = new AbortController();
  const told: number[] = [];
  const threadsBefore = threads();
  const waits = fds.map(async (fd, i) => {
    await pollUntil(fd, POLL.in, stop.signal);
    told.push(i);
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert(threads() <= threadsBefore + 1);
  assertEquals(told, []);
  signalEventFd(fds[70]);
  await waits[70];
  assertEquals(told, [70]);
  // One more, while the others are looked at.
  const late = pollUntil(fds[70], POLL.in, stop.signal);
  await late;
  stop.abort();
  await Promise.all(waits);
  assertEquals(told.length, MANY);
  fds.forEach(close);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(resources().fds, before);
});

Deno.test("host_poller: who waits no more is looked at no more, and others wait on", async () => {
  const [left, stays] = [makeEventFd(), makeEventFd()];
  const stop = new AbortController();
  const never = new AbortController();
  const leaving = pollUntil(left, POLL.in, stop.signal);
  let isTold = false;
  const staying = pollUntil(stays, POLL.in, never.signal)
    .then(() => isTold = true);
  stop.abort();
  await leaving;
  close(left);
  assert(!isTold);
  signalEventFd(stays);
  await staying;
  close(stays);
  // Aborted before it begins.
  await pollUntil(0, POLL.in, stop.signal);
});
