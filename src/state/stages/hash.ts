/**
 * The digest of what passes.
 *
 * @module
 */

import { nodeCrypto } from "../node_builtins.ts";
import { makeStage, type Stage } from "./stage.ts";

/** A digest that {@linkcode hash} can take. */
export type HashAlgorithm = "SHA-256" | "SHA-384" | "SHA-512";

/** A stage that takes a digest. */
export interface HashStage extends Stage {
  /**
   * The digest of all that passed, in hex digits as `sha256sum` prints it, once
   * the stream has ended. Rejects when the pipeline fails; nobody has to look.
   */
  readonly digest: Promise<string>;
}

/** How node:crypto calls the algorithms. */
const NODE_NAMES: Readonly<Record<HashAlgorithm, string>> = {
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
};

/**
 * Takes the digest of the bytes that pass, and hands them on unchanged.
 *
 * @example
 * ```ts
 * import { hash } from "@scratchvm/scratchvm";
 *
 * const sum = hash();
 * await ReadableStream.from([new TextEncoder().encode("abc")])
 *   .pipeThrough(sum).pipeTo(new WritableStream());
 * console.log(await sum.digest);
 * ```
 *
 * @param algorithm which digest
 * @throws {RangeError} when there is no such algorithm
 */
export function hash(algorithm: HashAlgorithm = "SHA-256"): HashStage {
  if (!Object.hasOwn(NODE_NAMES, algorithm)) {
    throw new RangeError(
      `Cannot hash: no algorithm is called ${JSON.stringify(algorithm)}`,
    );
  }
  const digest = nodeCrypto().createHash(NODE_NAMES[algorithm]);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  promise.catch(() => {});
  const stage = makeStage((emit) => ({
    write(chunk) {
      digest.update(chunk);
      return emit(chunk);
    },
    close: () => resolve(digest.digest("hex")),
    fail: reject,
  }), { chunksAhead: 0 });
  return { ...stage, digest: promise };
}
