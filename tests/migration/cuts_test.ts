/**
 * A connection that breaks, or stands still, after every frame of a move and
 * inside every kind: there is one VM that runs on, or one that was kept.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { listenForVms, MigrationError, type Receiver } from "../../mod.ts";
import { FRAME_HEADER } from "../../src/migration/frames.ts";
import { held, moreHeld } from "../cli/held.ts";
import { kvmTest } from "../kvm_gate.ts";
import { Scratch, TestVm } from "../support.ts";
import { type Cut, FrameProxy, type Passed } from "./frame_proxy.ts";
import { tidily } from "./tidy.ts";
import { move, waiting } from "./two_sides.ts";

const EXITED = { kind: "exited", code: 7 } as const;

/** What a cut leaves to run. */
type Left =
  /** The source, as it was: the destination has nothing. */
  | "source"
  /** The destination; the source was kept, and ended. */
  | "destination"
  /** Neither; the source was kept, and ended. */
  | "kept"
  /** The destination, and the source knows: all went well. */
  | "moved";

/** What is left when so much of a frame is passed on, and nothing after. */
function leftBy({ from, name }: Passed, isWhole: boolean): Left {
  if (from === "source") {
    if (name !== "commit") return "source";
    return isWhole ? "destination" : "kept";
  }
  if (name === "done") return isWhole ? "moved" : "destination";
  return name === "prepared" && isWhole ? "kept" : "source";
}

/** One place to cut at. */
interface Place {
  readonly frame: Passed;
  readonly cut: Cut;
  readonly left: Left;
}

/** Before all, and inside and after each of these frames. */
function placesIn(frames: readonly Passed[]): Place[] {
  return frames.flatMap((frame) => {
    const { from, index, sizeBytes } = frame;
    const header = FRAME_HEADER.sizeBytes;
    const middle = header + Math.floor((sizeBytes - header) / 2);
    const counts = [header - 9, header, middle, Infinity];
    if (index === 0) counts.unshift(0);
    return counts.map((passedBytes) => ({
      frame,
      cut: { from, index, passedBytes },
      left: leftBy(frame, passedBytes === Infinity),
    }));
  });
}

/** What a walk works with. */
class Walk implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly proxy: FrameProxy;
  /** The VM to be moved next. */
  source: TestVm | undefined;
  /** How many were moved or kept. */
  gone = 0;

  private constructor(readonly receiver: Receiver) {
    this.proxy = new FrameProxy(receiver.name);
  }

  static async create(): Promise<Walk> {
    return new Walk(await listenForVms("tcp://127.0.0.1:0"));
  }

  get keep(): string {
    return this.scratch.file("keep.img");
  }

  /** Moves the VM through a cut, and checks what is left of it. */
  async step(place: Partial<Place>, timeoutMs?: number): Promise<void> {
    const { left = "moved", cut } = place;
    const { frame } = place;
    const where = `${frame?.from} ${frame?.name} ${JSON.stringify(cut)}`;
    const source = this.source ??= await waiting(this.scratch);
    const { vm } = source;
    const before = vm.state;
    this.proxy.cut = cut;
    const { error, arrived } = await move(vm, this.receiver, {
      to: this.proxy.name,
      source: { keep: this.keep, timeoutMs },
      destination: { timeoutMs },
    });
    await using here = arrived;
    assertEquals(this.proxy.wasCut, cut !== undefined, where);
    const isThere = left === "moved" || left === "destination";
    assertEquals(here.vm?.state, isThere ? "paused" : undefined, where);
    if (left === "source") {
      assertEquals(vm.state, before, where);
      assertLost(error, where);
      assertLost(here.error, where);
      assert(!exists(this.keep), where);
      return;
    }
    assertEquals([vm.state, vm.end], ["stopped", { kind: "saved" }], where);
    if (left === "moved") assertEquals(error, undefined, where);
    else this.#assertUncertain(error, where);
    if (here.vm) {
      here.console.push("\x07");
      assertEquals(await here.vm.run(), EXITED, where);
    } else {
      await using again = await TestVm.restore(this.keep);
      again.console.push("\x07");
      assertEquals(await again.run(), EXITED, where);
    }
    if (left !== "moved") await Deno.remove(this.keep);
    assert(!exists(this.keep), where);
    await source[Symbol.asyncDispose]();
    this.source = undefined;
    this.gone++;
  }

  #assertUncertain(error: unknown, where: string): void {
    if (!(error instanceof MigrationError)) throw error;
    assertEquals(error.code, "MIGRATION_UNCERTAIN", where);
    assertEquals(error.phase, "commit", where);
    assertStringIncludes(error.message, `it was saved to ${this.keep}`);
    assertStringIncludes(error.hint!, `vm restore ${this.keep}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source?.[Symbol.asyncDispose]();
    await this.proxy[Symbol.asyncDispose]();
    await this.receiver[Symbol.asyncDispose]();
    await this.scratch[Symbol.asyncDispose]();
  }
}

function assertLost(error: unknown, where: string): void {
  if (!(error instanceof MigrationError)) throw error;
  assertEquals(error.code, "MIGRATION_DROPPED", `${where}: ${error.message}`);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The first, the middle and the last frame of each kind of a side's. */
function someOf(frames: readonly Passed[]): Passed[] {
  const kinds = Map.groupBy(frames, ({ from, name }) => `${from} ${name}`);
  return [...kinds.values()].flatMap((kind) => [
    ...new Set([kind[0], kind[kind.length >> 1], kind.at(-1)!]),
  ]);
}

kvmTest(
  "migrate: a connection that breaks anywhere leaves exactly one VM to run",
  async () => {
    await tidily(async () => {
      await using walk = await Walk.create();
      await walk.step({});
      const places = placesIn(someOf(walk.proxy.passed));
      walk.source = await waiting(walk.scratch);
      const before = held(walk.keep);
      const early = places.filter(({ left }) => left === "source");
      for (const [i, place] of early.entries()) {
        // One that was paused stays so, one that ran goes on.
        if (i % 2 === 0) await walk.source.vm.pause();
        else walk.source.run().catch(() => {});
        await walk.step(place);
      }
      const { mappings, guestBytes } = moreHeld(before, held(walk.keep));
      assertEquals({ mappings, guestBytes }, {
        mappings: undefined,
        guestBytes: undefined,
      });
      for (const place of places) {
        if (place.left !== "source") await walk.step(place);
      }
      const lefts = new Set(places.map(({ left }) => left));
      assertEquals(lefts.size, 4);
      console.log(`${places.length} places, ${walk.gone} of them final`);
    });
  },
);

kvmTest(
  "migrate: a connection that stands still anywhere is given up likewise",
  async () => {
    await tidily(async () => {
      await using walk = await Walk.create();
      walk.source = await waiting(walk.scratch);
      const started = performance.now();
      await walk.step({});
      // Longer than any step that does not stand still.
      const timeoutMs = 1000 + 2 * (performance.now() - started);
      const kinds = Map.groupBy(
        walk.proxy.passed,
        ({ from, name }) => `${from} ${name}`,
      );
      for (const [frame] of kinds.values()) {
        const { from, index } = frame;
        const isDone = frame.name === "done";
        const passedBytes = isDone ? FRAME_HEADER.sizeBytes : Infinity;
        await walk.step({
          frame,
          cut: { from, index, passedBytes, stalls: true },
          left: leftBy(frame, !isDone),
        }, timeoutMs);
      }
    });
  },
);
