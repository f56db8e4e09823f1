/**
 * Waiting for what may never come.
 *
 * @module
 */

/**
 * Whether a promise settles in time.
 *
 * @throws what the promise rejects with; the signal's reason
 */
export async function settlesWithin(
  promise: Promise<unknown>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<boolean> {
  signal?.throwIfAborted();
  const late = Promise.withResolvers<false>();
  const onAbort = () => late.reject(signal!.reason);
  const timer = setTimeout(() => late.resolve(false), timeoutMs);
  signal?.addEventListener("abort", onAbort);
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
