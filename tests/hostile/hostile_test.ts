/**
 * Programs that do what they can to harm the VMM: it stands, takes no more of
 * the host than it gives back, and nothing outside of their folder is touched.
 *
 * `deno task fuzz` runs them for long. SCRATCHVM_SEED repeats a run.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "../kvm_gate.ts";
import { guest, native, seeded } from "../support.ts";
import { Cage, contain } from "./cage.ts";

const isFull = Deno.env.get("SCRATCHVM_FULL") === "1";
const CALLS = isFull ? 2_000_000 : 4_000;
const SAVED_CALLS = isFull ? 100_000 : 1_000;
const CALLS_TO_SAVE = isFull ? 2_000 : 400;
const MAPPINGS = isFull ? 200_000 : 1_000;
const ENDLESS_MS = isFull ? 600_000 : 3_000;
const SWAPS = isFull ? 20_000 : 100;

/** How random calls end that have read nothing outside. */
const QUIET = new RegExp(`${CALLS} rounds, 0 outside\\n$`);

function seed(name: string): string {
  return String(Math.floor(seeded(name)() * 2 ** 31));
}

kvmTest(
  "hostile: random calls with random arguments are answered",
  async () => {
    const program = ["hostile_calls", seed("calls"), `${CALLS}`] as const;
    const { end, stdout } = await contain({ program });
    assertMatch(stdout, QUIET);
    assertEquals(end, { kind: "exited", code: 0 });
  },
);

kvmTest(
  "hostile: arguments that a thread changes meanwhile do no harm",
  async () => {
    const name = "calls that race";
    const program = ["hostile_calls", seed(name), `${CALLS}`, "race"] as const;
    const { end, stdout } = await contain({ program });
    assertMatch(stdout, QUIET);
    assertEquals(end, { kind: "exited", code: 0 });
  },
);

kvmTest(
  "hostile: random calls are answered, however often the program is saved",
  async () => {
    const name = "calls of one that is saved";
    const random = seeded(name);
    const program = ["hostile_calls", seed(name), `${SAVED_CALLS}`] as const;
    const callsToSave = () => 1 + Math.floor(random() * CALLS_TO_SAVE);
    const { end, stdout, saves } = await contain({ program, callsToSave });
    assertMatch(stdout, new RegExp(`${SAVED_CALLS} rounds, 0 outside\\n$`));
    assertEquals(end, { kind: "exited", code: 0 });
    assert(saves > 0);
  },
);

kvmTest("hostile: what is read outside would be noticed", async () => {
  const program = ["hostile_calls", "1", "0", "look"] as const;
  const { end, stdout } = await contain({ program, seesOutside: true });
  assertEquals(stdout, "3 outside\n");
  assertEquals(end, { kind: "exited", code: 0 });
});

kvmTest("hostile: what never ends is ended when its time is over", async () => {
  const name = "endless calls";
  const program = ["hostile_calls", seed(name), "1000000000", "race"] as const;
  const { end } = await contain({ program, endlessMs: ENDLESS_MS });
  assert(end.kind === "signaled" && end.signal === 9, Deno.inspect(end));
});

kvmTest(
  "hostile: mappings that come and go under threads that use them do no harm",
  async () => {
    const program = ["hostile_maps", seed("maps"), `${MAPPINGS}`] as const;
    const { end, stdout } = await contain({ program });
    assertMatch(stdout, /^\d+ rounds, [1-9]\d* touched, [1-9]\d* faults\n$/);
    assertEquals(end, { kind: "exited", code: 0 });
  },
);

/** What is made without end, and the errno that ends it on Linux. */
const EXHAUSTED: [what: string, errnos: readonly number[]][] = [
  ["threads", [11]], // EAGAIN
  ["opens", [24]], // EMFILE
  ["pipes", [24]],
  ["filled", [24]],
  ["nests", [24, 22, 40]], // EINVAL, ELOOP
  ["sockets", [24]],
  ["areas", [12]], // ENOMEM
  ["memory", [12]],
  ["timers", [11]],
  ["memfds", [24]],
  ["queue", [11]],
];

for (const [what, errnos] of EXHAUSTED) {
  kvmTest(`hostile: ${what} without end come to one`, async () => {
    const { end, stdout } = await contain({
      program: ["hostile_many", what],
    });
    const [, count, errno] = /^(\d+) made, then (\d+)\n$/.exec(stdout) ?? [];
    assert(Number(count) > 0, stdout);
    assert(errnos.includes(Number(errno)), stdout);
    assertEquals(end, { kind: "exited", code: 0 });
  });
}

kvmTest("hostile: memory that is touched without end ends it", async () => {
  const { end } = await contain({ program: ["hostile_many", "touched"] });
  assert(end.kind === "signaled" && end.signal === 9, Deno.inspect(end));
});

/** Swaps names with links in a folder until `signal` aborts. */
async function swap(folder: string, signal: AbortSignal): Promise<void> {
  const [program] = await guest("hostile_swap");
  const swapper = new Deno.Command(program, { args: ["swap"], cwd: folder })
    .spawn();
  signal.addEventListener("abort", () => swapper.kill("SIGKILL"));
  await swapper.status;
}

Deno.test("hostile: natively, links that are swapped meanwhile lead outside", async () => {
  const [program] = await guest("hostile_swap");
  await using cage = new Cage();
  const stop = new AbortController();
  const swapped = swap(cage.inside, stop.signal);
  const stdout = await native(program, ["use", "500"], cage.inside);
  stop.abort();
  await swapped;
  assertMatch(stdout.stdout, / [1-9]\d* left\n$/);
});

kvmTest(
  "hostile: links that the host swaps meanwhile lead nowhere else",
  async () => {
    const { end, stdout } = await contain({
      program: ["hostile_swap", "use", `${SWAPS}`],
      beside: (cage, signal) => swap(cage.inside, signal),
    });
    assertMatch(stdout, /^[1-9]\d* let in, [1-9]\d* refused, 0 left\n$/);
    assertEquals(end, { kind: "exited", code: 0 });
  },
);
