/**
 * One side of a move, frame by frame, as a peer could send them that keeps to
 * nothing.
 *
 * @module
 */

import { decodePayload, encodePayload } from "../../src/state/mod.ts";
import {
  FRAME,
  FRAME_HEADER,
  type FrameType,
} from "../../src/migration/frames.ts";

/** "SVMM", little endian. */
const MAGIC = 0x4d4d5653;

/** What of a frame is to be other than it should be. */
export interface Twist {
  readonly magic?: number;
  readonly type?: number;
  readonly sequence?: number;
  readonly lengthBytes?: number;
}

/** A frame that came. */
export interface RawFrame {
  readonly type: FrameType;
  readonly payload: Uint8Array;
}

/** A frame as bytes. */
export function frame(
  type: number,
  payload: Uint8Array,
  sequence: number,
  twist: Twist = {},
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_HEADER.sizeBytes + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(FRAME_HEADER.magic, twist.magic ?? MAGIC, true);
  view.setUint32(FRAME_HEADER.type, twist.type ?? type, true);
  view.setUint32(FRAME_HEADER.sequence, twist.sequence ?? sequence, true);
  view.setUint32(
    FRAME_HEADER.length,
    twist.lengthBytes ?? payload.length,
    true,
  );
  bytes.set(payload, FRAME_HEADER.sizeBytes);
  return bytes;
}

/** Connects to a receiver by its name. */
export function dial(name: string): Promise<Deno.Conn> {
  if (name.startsWith("unix:")) {
    return Deno.connect({ transport: "unix", path: name.slice(5) });
  }
  const { hostname, port } = new URL(name.replace(/^\w+:/, "http:"));
  return Deno.connect({ hostname, port: Number(port) });
}

/** Sends what it is told to, and reads frames. */
export class RawPeer implements Disposable {
  readonly #conn: Deno.Conn;
  #sent = 0;
  #pending: Uint8Array<ArrayBuffer> = new Uint8Array();
  /** All that was sent. */
  readonly recorded: Uint8Array<ArrayBuffer>[] = [];

  /** @param conn closing it is this one's matter now */
  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Sends bytes, as far as the other takes them. */
  async bytes(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.recorded.push(bytes);
    try {
      for (let done = 0; done < bytes.length;) {
        done += await this.#conn.write(bytes.subarray(done));
      }
    } catch {
      // The other has seen enough.
    }
  }

  /** Sends a frame of CBOR, or of bytes as they are. */
  async send(
    type: number,
    value: unknown = {},
    twist: Twist = {},
  ): Promise<void> {
    const payload = value instanceof Uint8Array ? value : encodePayload(value);
    await this.bytes(frame(type, payload, this.#sent++, twist));
  }

  /** The next frame but for those that say that the other is alive. */
  async receive(): Promise<RawFrame | undefined> {
    for (;;) {
      const header = await this.#take(FRAME_HEADER.sizeBytes);
      if (!header) return undefined;
      const view = new DataView(header.buffer, header.byteOffset);
      const type = view.getUint32(FRAME_HEADER.type, true) as FrameType;
      const payload = await this.#take(
        view.getUint32(FRAME_HEADER.length, true),
      );
      if (!payload) return undefined;
      if (type !== FRAME.alive) return { type, payload };
    }
  }

  /** What the next frame says, which must be of this kind. */
  async value(type: FrameType): Promise<Record<string, unknown>> {
    const found = await this.receive();
    if (found?.type !== type) throw new Error(`expected ${type}: ${found}`);
    return decodePayload(found.payload) as Record<string, unknown>;
  }

  /** Says that nothing more comes. */
  async end(): Promise<void> {
    await this.#conn.closeWrite().catch(() => {});
  }

  async #take(count: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const buffer = new Uint8Array(64 * 1024);
    while (this.#pending.length < count) {
      const read = await this.#conn.read(buffer).catch(() => null);
      if (read === null) return undefined;
      const joined = new Uint8Array(this.#pending.length + read);
      joined.set(this.#pending);
      joined.set(buffer.subarray(0, read), this.#pending.length);
      this.#pending = joined;
    }
    const taken = this.#pending.slice(0, count);
    this.#pending = this.#pending.slice(count);
    return taken;
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }
}
