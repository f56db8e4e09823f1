/**
 * docs/migration.md against the code.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  FRAME,
  type FrameType,
  MAX_PAYLOAD_BYTES,
} from "../../src/migration/frames.ts";
import {
  answerMessage,
  endMessage,
  failedMessage,
  helloMessage,
  offerMessage,
  sessionMessage,
} from "../../src/migration/messages.ts";
import { readText } from "../docs/repository.ts";

const TEXT = readText("docs/migration.md");

/** The cells of the rows whose first cell fits. */
function rows(first: RegExp): string[][] {
  return TEXT.split("\n")
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))
    .filter(([cell]) => cell !== undefined && first.test(cell));
}

/** What the frames say that say something. */
const MESSAGES: Readonly<Record<string, { entries: object }>> = {
  hello: helloMessage,
  offer: offerMessage,
  answer: answerMessage,
  end: endMessage,
  prepared: sessionMessage,
  commit: sessionMessage,
  done: sessionMessage,
  failed: failedMessage,
};

Deno.test("docs/migration.md: its frames are those that there are", () => {
  const units = { KiB: 1024, MiB: 1024 ** 2 };
  const found = rows(/^\d+ `\w+`$/).map(([kind, , longest, fields]) => {
    const [number, name] = kind.replaceAll("`", "").split(" ");
    const [size, unit] = longest.split(" ");
    const bytes = Number(size) * units[unit as keyof typeof units];
    const names = [...fields.matchAll(/`(\w+)`/g)].map(([, field]) => field);
    const message = MESSAGES[name];
    assertEquals(names, message ? Object.keys(message.entries) : [], name);
    return [name, Number(number), bytes];
  });
  const expected = Object.entries(FRAME).map(([name, type]) => [
    name,
    type,
    MAX_PAYLOAD_BYTES[type as FrameType],
  ]);
  assertEquals(found, expected);
});

Deno.test("docs/migration.md: its error codes are those that there are", () => {
  const source = readText("src/migration/errors.ts");
  const codes = [...source.matchAll(/\| "(MIGRATION_\w+)"/g)]
    .map(([, code]) => code);
  assert(codes.length > 0);
  assertEquals(
    rows(/^`MIGRATION_\w+`$/).map(([cell]) => cell.replaceAll("`", "")),
    codes,
  );
});
