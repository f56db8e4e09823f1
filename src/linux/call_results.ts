/**
 * What a handler of a system call answers where that is no result.
 *
 * @module
 */

/**
 * What a handler answers instead of a result when the call has to wait; it has
 * called `Linux.waitFor` before. No result has this value: errno
 * values end at -4095.
 */
export const WAITING = -0x1_0000_0001;

/** What a handler answers when the program has ended, or asked for a save. */
export const LEFT = -0x1_0000_0002;

/** What a handler answers when the task has ended, and the program goes on. */
export const GONE = -0x1_0000_0003;

/** What a handler answers when another task is to have the vCPU: 0. */
export const YIELDED = -0x1_0000_0004;

/** What a handler answers when the registers are as they are to be. */
export const KEPT = -0x1_0000_0005;
