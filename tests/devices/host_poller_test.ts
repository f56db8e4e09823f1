import { assert, assertEquals } from "@std/assert";
import {
  close,
  makeEventFd,
  signalEventFd,
} from "../../src/devices/host_calls.ts";
import { POLL } from "../../src/devices/host_constants.ts";
import { pollUntil } from "../../src/devices/host_poller.ts";
import { delay, resources } from "../support.ts";

/** More than there are threads for calls that take long. */
const MANY = 100;

const SYS_poll = 7;

/** How many threads are in poll(2) (proc(5), /proc/PID/syscall). */
function inPoll(): number {
  return [...Deno.readDirSync("/proc/self/task")].filter(({ name }) => {
    const call = Deno.readTextFileSync(`/proc/self/task/${name}/syscall`);
    return call.startsWith(`${SYS_poll} `);
  }).length;
}

/** Waits until something holds, or fails after many looks. */
async function until(holds: () => boolean): Promise<void> {
  for (let looks = 0; !holds(); looks++) {
    assert(looks < 10_000, "it never came");
    await delay(1);
  }
}

Deno.test("host_poller: however many wait, one thread does, and each is told", async () => {
  const before = resources().fds;
  const fds = Array.from({ length: MANY }, makeEventFd);
  const stop = new AbortController();
  const told: number[] = [];
  const waits = fds.map(async (fd, i) => {
    await pollUntil(fd, POLL.in, stop.signal);
    told.push(i);
  });
  await until(() => inPoll() > 0);
  await delay(20);
  assertEquals(inPoll(), 1);
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
  await until(() => resources().fds === before);
});

Deno.test("host_poller: one that leaves as soon as it has come ends, though nothing happens", async () => {
  const quiet = makeEventFd();
  const [stop, never] = [new AbortController(), new AbortController()];
  const waiting = pollUntil(quiet, POLL.in, never.signal);
  for (let i = 0; i < 20; i++) {
    const short = new AbortController();
    const one = pollUntil(quiet, POLL.in, short.signal);
    short.abort();
    await one;
  }
  // Both before the poll has its turn.
  const both = [stop, never].map(({ signal }) =>
    pollUntil(quiet, POLL.in, signal)
  );
  stop.abort();
  await both[0];
  never.abort();
  await Promise.all([waiting, ...both]);
  close(quiet);
});

Deno.test("host_poller: who waits again as soon as it is told is not polled for twice", async () => {
  const [ready, quiet] = [makeEventFd(), makeEventFd()];
  signalEventFd(ready);
  const never = new AbortController();
  for (let i = 0; i < 100; i++) {
    // The last that waited is told, and there is another at once.
    await pollUntil(ready, POLL.in, never.signal);
    const stop = new AbortController();
    const waits = [quiet, quiet].map((fd) =>
      pollUntil(fd, POLL.in, stop.signal)
    );
    await delay(1);
    assert(inPoll() <= 1, `${inPoll()} threads poll`);
    stop.abort();
    await Promise.all(waits);
  }
  for (const fd of [ready, quiet]) close(fd);
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
