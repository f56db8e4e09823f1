/**
 * What stands between the two sides of a move, and breaks or holds the
 * connection at a byte of a frame.
 *
 * @module
 */

import {
  FRAME,
  FRAME_HEADER,
  frameName,
  type FrameType,
} from "../../src/migration/frames.ts";
import { dial } from "./raw_peer.ts";

/** The side that a frame is from. */
export type Side = "source" | "destination";

/** Where the connection breaks or stands. */
export interface Cut {
  /** Whose frame it is. */
  readonly from: Side;
  /** Which of its frames, from 0; those that say "alive" do not count. */
  readonly index: number;
  /** How many of its bytes are passed on. */
  readonly passedBytes: number;
  /** Whether the connection stays, and nothing goes on. */
  readonly stalls?: boolean;
}

/** A frame that was passed on, or begun. */
export interface Passed {
  readonly from: Side;
  readonly index: number;
  readonly name: string;
  /** Header and payload. */
  readonly sizeBytes: number;
}

/** Takes one connection after the other, and passes frames on. */
export class FrameProxy implements AsyncDisposable {
  /** Where a source connects to. */
  readonly name: string;
  /** What the next connections break at; undefined: nothing. */
  cut: Cut | undefined;
  /** Called with each frame before it is passed on. */
  onFrame: (frame: Passed) => void = () => {};
  /** The frames of the last connection. */
  passed: Passed[] = [];
  /** Whether the last connection was cut. */
  wasCut = false;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #to: string;
  readonly #open = new Set<() => void>();
  readonly #serving: Promise<void>;

  /** @param to the destination's URL */
  constructor(to: string) {
    this.#to = to;
    const { port } = this.#listener.addr as Deno.NetAddr;
    this.name = `tcp://127.0.0.1:${port}`;
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    const under: Promise<void>[] = [];
    for await (const source of this.#listener) {
      under.push(this.#pass(source, await dial(this.#to)));
    }
    await Promise.all(under);
  }

  async #pass(source: Deno.Conn, destination: Deno.Conn): Promise<void> {
    this.passed = [];
    this.wasCut = false;
    const over = Promise.withResolvers<void>();
    const close = () => {
      over.resolve();
      if (!this.#open.delete(close)) return;
      source.close();
      destination.close();
    };
    this.#open.add(close);
    const how = { cut: this.cut, over: over.promise, close };
    await Promise.all([
      this.#pump("source", source, destination, how),
      this.#pump("destination", destination, source, how),
    ]);
    close();
  }

  async #pump(
    from: Side,
    input: Deno.Conn,
    output: Deno.Conn,
    { cut, over, close }: {
      cut: Cut | undefined;
      over: Promise<void>;
      close: () => void;
    },
  ): Promise<void> {
    const header = new Uint8Array(FRAME_HEADER.sizeBytes);
    const view = new DataView(header.buffer);
    try {
      for (let index = 0; await readAll(input, header);) {
        if (this.wasCut) await over;
        const type = view.getUint32(FRAME_HEADER.type, true) as FrameType;
        const payload = new Uint8Array(
          view.getUint32(FRAME_HEADER.length, true),
        );
        if (!await readAll(input, payload)) break;
        const bytes = new Uint8Array([...header, ...payload]);
        if (type === FRAME.alive) {
          await writeAll(output, bytes);
          continue;
        }
        const sizeBytes = bytes.length;
        const frame = { from, index, name: frameName(type), sizeBytes };
        this.passed.push(frame);
        this.onFrame(frame);
        if (cut?.from === from && cut.index === index) {
          this.wasCut = true;
          await writeAll(output, bytes.subarray(0, cut.passedBytes));
          if (!cut.stalls) return close();
          await over;
        }
        await writeAll(output, bytes);
        index++;
      }
      if (this.wasCut) await over;
      await output.closeWrite();
    } catch {
      // One side has left: so does the other.
      close();
    }
  }

  /** Lets go of what is held, by breaking it. */
  release(): void {
    for (const close of [...this.#open]) close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.release();
    await this.#serving.catch(() => {});
  }
}

async function readAll(conn: Deno.Conn, target: Uint8Array): Promise<boolean> {
  for (let done = 0; done < target.length;) {
    const count = await conn.read(target.subarray(done));
    if (count === null) return false;
    done += count;
  }
  return true;
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await conn.write(bytes.subarray(done));
  }
}
