/**
 * The two directions of a move's connection, frame by frame.
 *
 * @module
 */

import * as v from "valibot";
import {
  type Connection,
  decodePayload,
  encodePayload,
  printable,
  REFUSAL,
  TransportError,
  within,
} from "../state/mod.ts";
import { MigrationError, type Phase } from "./errors.ts";
import {
  decodeFrameHeader,
  encodeFrameHeader,
  FRAME,
  FRAME_HEADER,
  type FrameHeader,
  frameName,
  type FrameType,
  MAX_DATA_BYTES,
} from "./frames.ts";
import { failedMessage, MAX_TEXT_LENGTH } from "./messages.ts";

/** How often a side that works says that it is alive, ms. */
const ALIVE_MS = 3000;

/** How long a peer has to take the last frame and go, ms. */
const GOODBYE_MS = 1000;

/** From so many bytes on a read goes straight to where they belong. */
const DIRECT_BYTES = 64 * 1024;

/**
 * How much is read to learn what comes: a header, and a short payload. Were it
 * much more, most of the image would be read with it, and copied.
 */
const LOOK_BYTES = 4096;

/** A frame that came: its kind, and what it says. */
export interface Frame {
  /** The kind. */
  readonly type: FrameType;
  /** The payload. */
  readonly payload: Uint8Array;
}

/** Sends frames and takes them; whatever fails is a {@linkcode MigrationError}. */
export class Wire implements AsyncDisposable {
  /** How far the move has come, for errors. */
  phase: Phase = "hello";
  /** How errors call the peer. */
  readonly peer: string;
  readonly #connection: Connection;
  readonly #header = new DataView(new ArrayBuffer(FRAME_HEADER.sizeBytes));
  #sent = 0;
  #received = 0;
  readonly #look = new Uint8Array(LOOK_BYTES);
  /** What came and was not taken. */
  #chunk: Uint8Array = new Uint8Array();
  /** The last write: frames must not mix. */
  #writing: Promise<void> = Promise.resolve();
  #isOpen = true;

  /** @param connection closed when this is disposed of */
  constructor(connection: Connection) {
    this.#connection = connection;
    this.peer = connection.guard.name;
    connection.guard.onCancel(() => void connection.link.close());
  }

  /** Sends a frame that says something. */
  async send(type: FrameType, value: unknown = {}): Promise<void> {
    const payload = encodePayload(value);
    await this.#put({ type, lengthBytes: payload.length }, payload);
  }

  /** Sends bytes of the image, at once or in several frames. */
  async sendData(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length; done += MAX_DATA_BYTES) {
      const piece = chunk.subarray(done, done + MAX_DATA_BYTES);
      await this.#put({ type: FRAME.data, lengthBytes: piece.length }, piece);
    }
  }

  #put(header: FrameHeader, payload: Uint8Array): Promise<void> {
    const put = this.#writing.then(async () => {
      const { link, guard } = this.#connection;
      encodeFrameHeader(this.#header, header, this.#sent++);
      const bytes = new Uint8Array(this.#header.buffer);
      await guard.wait("write", link.write(bytes));
      if (payload.length > 0) await guard.wait("write", link.write(payload));
    }).catch((cause) => {
      throw this.#dropped(cause);
    });
    this.#writing = put.catch(() => {});
    return put;
  }

  /**
   * Takes the next frame, which must be of one of these kinds.
   *
   * @throws as {@linkcode Wire.next} does
   */
  async receive(...types: FrameType[]): Promise<Frame> {
    const { type, lengthBytes } = await this.next(...types);
    const payload = new Uint8Array(lengthBytes);
    await this.take(payload);
    return { type, payload };
  }

  /**
   * Goes to the payload of the next frame, which must be of one of these kinds.
   * Frames that say that the peer is alive are passed over.
   *
   * @throws {MigrationError} MIGRATION_FAILED when the peer says that it failed,
   * MIGRATION_PROTOCOL for any other frame, MIGRATION_DROPPED; the signal's
   * reason
   */
  async next(...types: FrameType[]): Promise<FrameHeader> {
    for (;;) {
      const header = await this.#nextHeader();
      const { type } = header;
      if (types.includes(type)) return header;
      const payload = new Uint8Array(header.lengthBytes);
      await this.take(payload);
      if (type === FRAME.failed) throw this.#failed(payload);
      if (type !== FRAME.alive) {
        const wanted = types.map(frameName).join(" or ") || "nothing";
        throw this.wrong(`it sent ${frameName(type)}, expected ${wanted}`);
      }
    }
  }

  /** The error of a peer that said that it failed. */
  #failed(payload: Uint8Array): MigrationError {
    const { reason } = this.read(failedMessage, payload);
    const { phase } = this;
    return new MigrationError(
      "MIGRATION_FAILED",
      `Cannot move the VM: in phase ${phase} ${this.peer} failed: ${
        printable(reason)
      }`,
      { phase },
    );
  }

  /** What a payload says. @throws {MigrationError} MIGRATION_PROTOCOL */
  read<S extends v.GenericSchema>(
    schema: S,
    payload: Uint8Array,
  ): v.InferOutput<S> {
    try {
      return v.parse(schema, decodePayload(payload), { abortEarly: true });
    } catch (cause) {
      throw this.wrong("what it says is out of shape", cause);
    }
  }

  async #nextHeader(): Promise<FrameHeader> {
    const bytes = new Uint8Array(FRAME_HEADER.sizeBytes);
    await this.take(bytes);
    const header = decodeFrameHeader(
      new DataView(bytes.buffer),
      this.#received++,
    );
    if (typeof header !== "string") return header;
    throw this.#received === 1 && this.#refused(bytes) || this.wrong(header);
  }

  /** The error of a TLS server that says why it turns this side away. */
  #refused(first: Uint8Array): MigrationError | undefined {
    const decoder = new TextDecoder();
    const said = decoder.decode(first, { stream: true }) +
      decoder.decode(this.#chunk.subarray(0, MAX_TEXT_LENGTH));
    if (!said.startsWith(REFUSAL)) return undefined;
    const reason = printable(said.slice(REFUSAL.length).trim());
    return new MigrationError(
      "MIGRATION_REFUSED",
      `Cannot move the VM: ${this.peer} refuses our certificate: ${reason}`,
      {
        phase: this.phase,
        reasons: [reason],
        hint: "give a certificate that the peer's caCerts vouch for",
      },
    );
  }

  /**
   * Fills `target` with what comes next. Whether it succeeds or not, nothing is
   * written there afterwards: it can be memory that is about to go.
   */
  async take(target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length;) {
      const rest = target.subarray(done);
      if (this.#chunk.length === 0) {
        const isDirect = this.#connection.link.readInto !== undefined;
        if (isDirect && rest.length >= DIRECT_BYTES) {
          done += await this.#readInto(rest);
          continue;
        }
        this.#chunk = isDirect
          ? this.#look.subarray(0, await this.#readInto(this.#look))
          : await this.#read();
      }
      const piece = this.#chunk.subarray(0, rest.length);
      rest.set(piece);
      this.#chunk = this.#chunk.subarray(piece.length);
      done += piece.length;
    }
  }

  async #read(): Promise<Uint8Array> {
    const { link, guard } = this.#connection;
    try {
      const chunk = await guard.wait("read", link.read());
      if (chunk) return chunk;
    } catch (cause) {
      throw this.#dropped(cause);
    }
    throw this.#dropped(new Error("it ended the connection"));
  }

  async #readInto(target: Uint8Array): Promise<number> {
    const { link, guard } = this.#connection;
    const reading = link.readInto!(target);
    try {
      const count = await guard.wait("read", reading);
      if (count !== undefined) return count;
    } catch (cause) {
      // The guard has closed the connection, which ends the read.
      await reading.catch(() => {});
      throw this.#dropped(cause);
    }
    throw this.#dropped(new Error("it ended the connection"));
  }

  /**
   * Tells the peer that this side is alive, until `work` is done.
   *
   * @param begun when there is somebody to tell: a peer that does not read, as
   * it sends, would have all that it was told wait in the connection
   */
  async working<T>(
    work: Promise<T>,
    begun: Promise<void> = Promise.resolve(),
  ): Promise<T> {
    let timer: ReturnType<typeof setInterval> | undefined;
    let isDone = false;
    void begun.then(() => {
      if (isDone) return;
      timer = setInterval(() => {
        this.send(FRAME.alive).catch(() => {});
      }, ALIVE_MS);
    });
    try {
      return await work;
    } finally {
      isDone = true;
      clearInterval(timer);
    }
  }

  /** Tells the peer why it failed here, if it can still be told. */
  async fail(error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : `${error}`;
    const reason = message.slice(0, MAX_TEXT_LENGTH);
    await this.sendLast(FRAME.failed, { reason });
  }

  /**
   * Sends a frame after which there is nothing more to say, and waits for the
   * peer to go, but not for long: closing the connection at once can take back
   * what the peer has not read. Whether it was read is not known.
   */
  async sendLast(type: FrameType, value: unknown): Promise<void> {
    const { link } = this.#connection;
    const told = (async () => {
      await this.send(type, value);
      await link.closeWrite();
      while (await link.read() !== undefined);
    })().catch(() => {});
    await within(GOODBYE_MS, told);
  }

  /** The error of a peer that does not keep to the protocol. */
  wrong(what: string, cause?: unknown): MigrationError {
    return new MigrationError(
      "MIGRATION_PROTOCOL",
      `Cannot move the VM: ${this.peer} does not keep to the protocol: ${what}`,
      { phase: this.phase, cause },
    );
  }

  /** The error of a connection that broke; the signal's reason as it is. */
  #dropped(cause: unknown): unknown {
    const isOurs = cause instanceof TransportError || !(
      cause instanceof DOMException || cause instanceof MigrationError
    );
    if (!isOurs) return cause;
    this.#connection.guard.throwIfAborted();
    const why = cause instanceof Error ? cause.message : `${cause}`;
    return new MigrationError(
      "MIGRATION_DROPPED",
      `Cannot move the VM: in phase ${this.phase} the connection with ${this.peer} was lost: ${why}`,
      { phase: this.phase, cause },
    );
  }

  /** Closes the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#connection.link.close();
    this.#connection.guard[Symbol.dispose]();
    await this.#writing;
  }
}
