/**
 * A row of lights, drawn where the user can see them.
 *
 * A program writes which are on as text, the leftmost first (`10110000`), or as
 * a number (`0xb0`), a line each, to `/dev/leds`; what it reads there is the
 * text. It can also use an I/O port: `out` sets them, `in` gives them; bit 0 is
 * the rightmost. They are drawn on standard error: in place on a terminal; as a
 * line for each change where that is none, or NO_COLOR is set. A restored VM
 * draws them as they were.
 *
 * Options: `count` (default 8, at most 32), `port` (default 0x520).
 *
 * @module
 */

import { defineDevice, type DeviceDefinition, ERRNO } from "../mod.ts";

/** What the lights are when the VM is saved. */
export interface LedsStateV1 {
  /** Bit 0 is the rightmost. */
  readonly bits: number;
}

/** Shows lights: `text` has a 0 or 1 for each, the leftmost first. */
export type DrawLeds = (id: string, text: string) => void;

/** What a script may choose that a command line cannot. */
export interface LedsOptions {
  /** Draws them, at each change and after a restore; default: on stderr. */
  readonly draw?: DrawLeds;
}

/**
 * Makes the device, for a script that draws the lights itself.
 *
 * @param options how they are drawn
 */
export function makeLeds(
  { draw = drawOnStderr }: LedsOptions = {},
): DeviceDefinition<LedsStateV1, { count: number; port: number }> {
  return defineDevice({
    kind: "leds",
    version: 1,
    contained: true,
    config: (values) => ({
      count: values.number("count", { default: 8, min: 1, max: 32 }),
      port: values.number("port", { default: 0x520, max: 0xffff }),
    }),
    create({ id, config: { count, port }, warn }, saved?: LedsStateV1) {
      const end = 2 ** count;
      let bits = 0;
      const text = () => bits.toString(2).padStart(count, "0");
      const set = (next: number) => {
        if (next === bits) return;
        bits = next;
        try {
          draw(id, text());
        } catch (error) {
          warn(`cannot draw: ${(error as Error).message}`);
        }
      };
      if (saved !== undefined) {
        const { bits: old } = saved;
        if (!(Number.isInteger(old) && old >= 0 && old < end)) {
          throw new RangeError(`its bits are ${old}, must be below ${end}`);
        }
        set(old);
      }
      return {
        ports: [{
          first: port,
          count: 1,
          read: () => bits,
          write: (_port, _sizeBytes, value) => set((value >>> 0) % end),
        }],
        files: {
          "/dev/leds": () => ({
            size: () => count + 1,
            read: (most, { offset = 0 }) =>
              new TextEncoder().encode(`${text()}\n`)
                .slice(offset, offset + most),
            write(bytes) {
              const lines = new TextDecoder().decode(bytes).split("\n")
                .filter((line) => line !== "");
              const all = lines.map((line) => parseLeds(line, count));
              if (all.includes(undefined)) return -ERRNO.EINVAL;
              for (const next of all) set(next!);
            },
          }),
        },
        dump: () => ({ bits }),
      };
    },
  });
}

export default makeLeds();

/** The bits that a line says; `undefined` when it is none. */
function parseLeds(line: string, count: number): number | undefined {
  if (/^[01]+$/.test(line) && line.length === count) return parseInt(line, 2);
  const value = /^0x[0-9a-f]{1,8}$/i.test(line) ? Number(line) : NaN;
  return value < 2 ** count ? value : undefined;
}

/** Draws on standard error. */
function drawOnStderr(id: string, text: string): void {
  // NO_COLOR also says that what is printed should be plain text.
  const isPlain = !Deno.stderr.isTerminal() || Deno.env.get("NO_COLOR");
  Deno.stderr.writeSync(
    new TextEncoder().encode(isPlain ? `${id}: ${text}\n` : inPlace(text)),
  );
}

/**
 * Lights for a terminal: from the start of the line, over those drawn before.
 *
 * @param text a 0 or 1 for each
 */
export function inPlace(text: string): string {
  const on = "\x1b[1;31m●\x1b[0m"; // bright red
  const off = "\x1b[2m○\x1b[0m"; // dim
  const lights = [...text].map((bit) => bit === "1" ? on : off).join(" ");
  return `\r\x1b[K${lights} `;
}
