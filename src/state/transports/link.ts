/**
 * A connection, as ends use it.
 *
 * @module
 */

/** A stream socket, with TLS or without. */
export interface Link {
  /** Bytes that came, the reader's to keep; `undefined` at the end. */
  read(): Promise<Uint8Array | undefined>;
  /**
   * Fills some of `target` without a copy in between, and says how much;
   * `undefined` at the end. The target must stay until this has settled. Absent
   * where the connection cannot.
   */
  readInto?(target: Uint8Array): Promise<number | undefined>;
  /** Sends all of `chunk`, which may be used again then. */
  write(chunk: Uint8Array): Promise<void>;
  /** Says that nothing more will be sent. */
  closeWrite(): Promise<void>;
  /** Closes it; what is under way fails. May be called again. */
  close(): Promise<void>;
}

/** How much is allocated at once for reading. */
const SLAB_BYTES = 1024 * 1024;

/** What must be left of it to read into: a socket rarely has more at once. */
const MIN_READ_BYTES = 64 * 1024;

/** A connection of Deno's own. */
export class DenoLink implements Link {
  readonly #conn: Deno.Conn;
  #slab = new Uint8Array();
  #isClosed = false;

  /** @param conn the connection; closing it is this one's matter now */
  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Bytes that came; `undefined` at the end. */
  async read(): Promise<Uint8Array | undefined> {
    // Large fresh buffers are slow: what a read leaves is used by the next.
    if (this.#slab.length < MIN_READ_BYTES) {
      this.#slab = new Uint8Array(SLAB_BYTES);
    }
    for (;;) {
      const count = await this.#conn.read(this.#slab);
      if (count === null) return undefined;
      if (count === 0) continue;
      const chunk = this.#slab.subarray(0, count);
      this.#slab = this.#slab.subarray(count);
      return chunk;
    }
  }

  /** Fills some of `target`. */
  async readInto(target: Uint8Array): Promise<number | undefined> {
    return await this.#conn.read(target) ?? undefined;
  }

  /** Sends all of `chunk`, without a copy. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length;) {
      done += await this.#conn.write(done ? chunk.subarray(done) : chunk);
    }
  }

  /** Says that nothing more will be sent. */
  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  /** Closes it. */
  close(): Promise<void> {
    if (!this.#isClosed) this.#conn.close();
    this.#isClosed = true;
    return Promise.resolve();
  }
}
