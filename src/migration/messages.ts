/**
 * What frames say, as CBOR with named fields.
 *
 * @module
 */

import * as v from "valibot";
import { bytes, count } from "../state/mod.ts";

/** The versions of this protocol that are spoken here. */
export const PROTOCOL = { lowest: 1, highest: 1 } as const;

/** How long a session's number is, bytes. */
export const NONCE_BYTES = 16;

/** Most bytes of one component's state in an offer. */
const MAX_STATE_BYTES = 8 * 1024 * 1024;

/** Most reasons that are told of. */
export const MAX_REASONS = 100;

/** Most characters of a reason. */
export const MAX_TEXT_LENGTH = 4096;

const text = v.pipe(v.string(), v.maxLength(MAX_TEXT_LENGTH));
const name = v.pipe(v.string(), v.maxLength(64));
const version = v.pipe(count, v.minValue(1));
const nonce = v.pipe(bytes(NONCE_BYTES), v.length(NONCE_BYTES));

/** Says who speaks. The nonce is new for each move: nothing can be replayed. */
export const helloMessage = v.object({
  lowest: version,
  highest: version,
  creator: name,
  nonce,
});

/** Says what the VM needs. */
export const offerMessage = v.object({
  /** The destination's nonce. */
  nonce,
  /** Whether it is only asked, and no VM comes. */
  isQuestion: v.boolean(),
  formatVersion: version,
  architecture: name,
  components: v.pipe(
    v.array(v.object({ kind: name, id: name, version })),
    v.maxLength(4096),
  ),
  state: v.pipe(
    v.array(v.object({
      kind: name,
      id: name,
      version,
      part: count,
      payload: bytes(MAX_STATE_BYTES),
    })),
    v.maxLength(4096),
  ),
});

/** Says whether the destination can take it; no reasons: it can. */
export const answerMessage = v.object({
  /** The source's nonce. */
  nonce,
  reasons: v.pipe(v.array(text), v.maxLength(MAX_REASONS)),
});

/** Says that the image is complete. */
export const endMessage = v.object({
  totalBytes: count,
  /** The image's digest, hex digits. */
  digest: v.pipe(v.string(), v.length(64)),
});

/** Says that the VM is ready, or changes hands: both nonces name the session. */
export const sessionMessage = v.object({ source: nonce, destination: nonce });

/** Says why it failed. */
export const failedMessage = v.object({ reason: text });
