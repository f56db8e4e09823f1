/**
 * What all sockets of a program hold together.
 *
 * @module
 */

/** From how many bytes on, overhead included, nothing more is sent. */
export const MAX_ALL_SOCKETS_BYTES = 64 * 1024 * 1024;

/** The room that a program's sockets share. */
export class SocketSpace {
  #chargedBytes = 0;
  readonly #sharers = new Set<() => void>();

  /** Whether nothing more may be sent until something is received. */
  get isFull(): boolean {
    return this.#chargedBytes >= MAX_ALL_SOCKETS_BYTES;
  }

  /** Calls `onRoom` each time that there is room again. */
  join(onRoom: () => void): void {
    this.#sharers.add(onRoom);
  }

  /** Calls it no more. */
  leave(onRoom: () => void): void {
    this.#sharers.delete(onRoom);
  }

  /** Takes bytes, or gives them back. @param bytes below zero: given back */
  charge(bytes: number): void {
    const wasFull = this.isFull;
    this.#chargedBytes += bytes;
    if (!wasFull || this.isFull) return;
    for (const onRoom of [...this.#sharers]) onRoom();
  }
}
