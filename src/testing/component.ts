/**
 * What holds for whatever has state that travels.
 *
 * @module
 */

import {
  type Component,
  decodePayload,
  type Dump,
  encodePayload,
  type Part,
  type StateSection,
} from "../state/mod.ts";

/** Registers a test: `Deno.test`, or what a test runner has in its place. */
export type Register = (name: string, fn: () => void | Promise<void>) => void;

/** A section of a component, with its bulk bytes. */
export type TestSection = StateSection & { readonly data: () => Uint8Array };

/** A component to be tested, by what is done to it. */
export interface TestComponent<C> {
  /** What it is called in the names of the tests. */
  readonly name: string;
  /** The kind of its state, and the version. */
  readonly kind: string;
  /** See `kind`. */
  readonly version: number;
  /** Makes a fresh one. */
  make(): C | Promise<C>;
  /** Changes its state. */
  mutate(component: C): void | Promise<void>;
  /** Asks for its state. */
  dump(component: C): Dump | Promise<Dump>;
  /** Makes one from state, as a restore does. */
  restore(sections: readonly TestSection[]): C | Promise<C>;
  /** Whether an error is one that a restore may give. */
  isRefusal(error: unknown): boolean;
  /** Gives it back. */
  dispose?(component: C): void | Promise<void>;
}

/** How often a state is damaged. */
const RUNS = 200;

/**
 * Registers the tests of a component: its state survives a restore; another
 * kind, a newer version and rubbish are refused with an error of a type.
 *
 * @param subject the component
 * @param test registers one test; default `Deno.test`
 */
export function testComponent<C>(
  subject: TestComponent<C>,
  test: Register = Deno.test,
): void {
  const { name } = subject;

  test(`${name}: what is restored is what was saved`, async () => {
    const fresh = await subject.make();
    const before = await sectionsOf(subject, await subject.dump(fresh));
    await subject.mutate(fresh);
    const changed = await sectionsOf(subject, await subject.dump(fresh));
    await subject.dispose?.(fresh);
    check(
      !isEqual(before, changed),
      "the test changes nothing that is saved, and so proves nothing",
    );
    const restored = await subject.restore(changed);
    const again = await sectionsOf(subject, await subject.dump(restored));
    await subject.dispose?.(restored);
    check(isEqual(again, changed), "the state changed on its way");
  });

  test(`${name}: a newer version and another kind are refused`, async () => {
    const sections = await changedSections(subject);
    if (sections.length === 0) return;
    const { kind, version } = subject;
    for (const other of [{ version: version + 1 }, { kind: `not-${kind}` }]) {
      await mustRefuse(subject, sections.map((s) => ({ ...s, ...other })));
    }
  });

  test(`${name}: rubbish is refused, or makes one that can be saved`, async () => {
    const sections = await changedSections(subject);
    const seed = Number(
      Deno.env.get("SCRATCHVM_SEED") ?? Math.floor(Math.random() * 2 ** 31),
    );
    const random = generator(seed);
    for (let run = 0; run < RUNS; run++) {
      const damaged = sections.map((section) => damage(section, random));
      try {
        await tryRestore(subject, damaged);
      } catch (cause) {
        throw new Error(`with SCRATCHVM_SEED=${seed}, run ${run}`, { cause });
      }
    }
  });
}

/** @throws {Error} unless it holds */
export function check(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}

/** The sections that an answer is written as. */
export function sectionsOf(
  { name, kind, version }: Pick<Component, "kind" | "version"> & {
    name: string;
  },
  dump: Dump,
): TestSection[] {
  check(dump.answer !== "cannot", `${name} cannot be saved`);
  if (dump.answer === "nothing") return [];
  const parts: Iterable<Part> = dump.answer === "payload"
    ? [{ value: dump.value }]
    : dump.parts;
  return [...parts].map(({ value, data = [] }, part) => {
    const bytes = new Uint8Array(data.flatMap((piece) => [...piece]));
    const payload = encodePayload(value);
    return { id: name, kind, version, part, payload, data: () => bytes };
  });
}

/** Whether two states are the same, byte by byte. */
export function isEqual(
  a: readonly TestSection[],
  b: readonly TestSection[],
): boolean {
  const same = (x: Uint8Array, y: Uint8Array) =>
    x.length === y.length && x.every((byte, i) => byte === y[i]);
  return a.length === b.length &&
    a.every((s, i) =>
      same(s.payload, b[i].payload) && same(s.data(), b[i].data())
    );
}

async function changedSections<C>(
  subject: TestComponent<C>,
): Promise<TestSection[]> {
  const component = await subject.make();
  await subject.mutate(component);
  const sections = sectionsOf(subject, await subject.dump(component));
  await subject.dispose?.(component);
  return sections;
}

/** Restores; returns whether it was refused. @throws what is no refusal */
async function tryRestore<C>(
  subject: TestComponent<C>,
  sections: readonly TestSection[],
): Promise<boolean> {
  let component: C;
  try {
    component = await subject.restore(sections);
  } catch (error) {
    if (subject.isRefusal(error)) return true;
    throw error;
  }
  sectionsOf(subject, await subject.dump(component));
  await subject.dispose?.(component);
  return false;
}

async function mustRefuse<C>(
  subject: TestComponent<C>,
  sections: readonly TestSection[],
): Promise<void> {
  const { kind, version } = sections[0];
  const isRefused = await tryRestore(subject, sections);
  check(isRefused, `kind ${kind}, version ${version} was not refused`);
}

/** Random numbers from 0 to 1: xorshift32 (Marsaglia, 2003). */
function generator(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Values that have been trouble somewhere. */
const ODD: readonly unknown[] = [
  ...[0, -1, 0.5, NaN, Infinity, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER],
  ...[1n << 63n, "", "x", true, null, [], {}, new Uint8Array(3)],
];

/** A section with a few bytes changed, or with another value somewhere. */
function damage(section: TestSection, random: () => number): TestSection {
  const pick = (count: number) => Math.floor(random() * count);
  if (random() < 0.3) {
    const payload = section.payload.slice();
    for (let i = 0; i <= pick(3); i++) {
      payload[pick(payload.length)] = pick(256);
    }
    return { ...section, payload };
  }
  const change = (value: unknown): unknown => {
    const isNode = typeof value === "object" && value !== null &&
      !(value instanceof Uint8Array);
    const keys = isNode ? Object.keys(value) : [];
    if (keys.length === 0 || random() < 0.2) return ODD[pick(ODD.length)];
    const key = keys[pick(keys.length)];
    const copy = Array.isArray(value) ? [...value] : { ...value as object };
    const fields = copy as Record<string, unknown>;
    if (random() < 0.1) delete fields[key];
    else fields[key] = change(fields[key]);
    return copy;
  };
  try {
    const payload = encodePayload(change(decodePayload(section.payload)));
    return { ...section, payload };
  } catch {
    return section; // no payload can hold it
  }
}
