import { assert, assertEquals } from "@std/assert";
import { POLL } from "../../src/devices/mod.ts";
import { SharedPolls } from "../../src/devices/shared_polls.ts";
import { libc } from "../../src/kvm/mod.ts";
import { delay } from "../support.ts";

const SYS_eventfd2 = 290;

function openFiles(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

Deno.test("polls: however many wait for one descriptor, it is polled once", async () => {
  const fd = Number(libc.syscall(SYS_eventfd2, 0, 0, 0));
  const polls = new SharedPolls(fd);
  const before = openFiles();
  const stops = Array.from({ length: 100 }, () => new AbortController());
  let ended = 0;
  const waits = stops.map(async ({ signal }) => {
    await polls.wait(POLL.in, signal);
    ended++;
  });
  await delay(5);
  assert(
    openFiles() <= before + 1,
    `${openFiles() - before} files were opened`,
  );
  stops[0].abort();
  await waits[0];
  assertEquals(ended, 1);
  for (const stop of stops) stop.abort();
  await Promise.all(waits);
  assertEquals(openFiles(), before);
  libc.close(fd);
});

Deno.test("polls: all that wait go on when it is ready, and may wait again", async () => {
  const fd = Number(libc.syscall(SYS_eventfd2, 1, 0, 0));
  const polls = new SharedPolls(fd);
  const { signal } = new AbortController();
  for (let i = 0; i < 3; i++) {
    await Promise.all([
      polls.wait(POLL.in, signal),
      polls.wait(POLL.in, signal),
      polls.wait(POLL.out, signal),
    ]);
  }
  libc.close(fd);
});
