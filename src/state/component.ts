/**
 * The contract between whatever has state that travels and the image.
 *
 * @module
 */

/** One piece of a component's state that is saved in pieces. */
export interface Part {
  /** What CBOR can hold: plain objects with named fields, bytes, bigints. */
  readonly value: unknown;
  /**
   * Bulk bytes, stored one after the other and aligned in the image; for memory
   * they are whole pages. At most `MAX_DATA_BYTES` together. They are
   * read until the image is written, or the part after the next is asked for.
   */
  readonly data?: readonly Uint8Array[];
  /**
   * What the data is aligned to in the image: a power of two, from 4096 (where
   * nothing is said) to 2 MiB, with which a file system that has large pages in
   * its cache can map them as such.
   */
  readonly dataAlignBytes?: number;
}

/** What a component answers when it is asked for its state. */
export type Dump =
  /** It cannot be saved now, and why: "it waits for a reply". */
  | { readonly answer: "cannot"; readonly why: string }
  /** It has no state. */
  | { readonly answer: "nothing" }
  /** Its state is one value. */
  | { readonly answer: "payload"; readonly value: unknown }
  /** Its state is made of at least one part, in an order that matters. */
  | { readonly answer: "many"; readonly parts: Iterable<Part> };

/**
 * Anything whose state travels in an image.
 *
 * There is no `load`: restore constructs a new object from saved state, it
 * never loads into a live one, so that a failed restore leaves nothing behind.
 */
export interface Component {
  /** Its name, unique among all of its kind: 1 to 48 ASCII characters. */
  readonly id: string;
  /** What it is, such as "clock": 1 to 24 ASCII characters, not "index". */
  readonly kind: string;
  /** The version of what {@linkcode Component.dump} gives, from 1. */
  readonly version: number;
  /**
   * Its state. Called only while the machine is paused; the answer's bytes are
   * read until the image is written.
   */
  dump(): Dump | Promise<Dump>;
}

/** What is wrong with a value, and where in it. */
export interface ShapeIssue {
  /** What is wrong. */
  readonly message: string;
  /** The keys that lead there. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[];
}

/** A value in shape, or what is wrong with it. */
export type ShapeResult<S> =
  | { readonly value: S; readonly issues?: undefined }
  | { readonly issues: readonly ShapeIssue[] };

/**
 * A schema: what its makers agreed on as Standard Schema, version 1. Ours are
 * valibot's.
 */
export interface StateShape<S> {
  /** The part that all makers of schemas have in common. */
  readonly "~standard": {
    /** Who made it, such as "valibot". */
    readonly vendor: string;
    /** Checks a value. One that answers later cannot be used for state. */
    readonly validate: (
      value: unknown,
    ) => ShapeResult<S> | Promise<ShapeResult<S>>;
  };
}

/** How the state of one kind of component looks, for reading it again. */
export interface StateSchema<S> {
  /** The kind of component. */
  readonly kind: string;
  /** The version that `schema` describes. */
  readonly version: number;
  /** What the state must be, and what it becomes. */
  readonly schema: StateShape<S>;
  /**
   * From each older version to the one after it: `upgrades[1]` takes state of
   * version 1 and gives state of version 2. Pure functions. Of state in many
   * parts each is upgraded, and `part` is its number, from 0.
   */
  readonly upgrades?: Readonly<
    Record<number, (old: unknown, part: number) => unknown>
  >;
}

/** The state of one component, or one part of it, as found in an image. */
export interface StateSection {
  /** The kind of component. */
  readonly kind: string;
  /** The component's name. */
  readonly id: string;
  /** The version of the state. */
  readonly version: number;
  /** Which part this is, from 0. */
  readonly part: number;
  /** The state, as CBOR. */
  readonly payload: Uint8Array;
}
