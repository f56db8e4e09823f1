/**
 * `vm inspect`: shows what an image holds.
 *
 * @module
 */

import { ImageFile } from "../../mod.ts";
import { OPTIONS, parse } from "./options.ts";
import { STATUS, UsageError } from "./report.ts";
import { printable, writeLine } from "./text.ts";
import { showUsage } from "./usage.ts";

/** Prints header and sections of an image, after checking all of it. */
export async function inspectCommand(args: string[]): Promise<number> {
  const parsed = parse(args, OPTIONS.inspect);
  if (parsed.options.help) return showUsage();
  const [path, ...rest] = parsed.rest;
  if (path === undefined || rest.length > 0) {
    throw new UsageError("inspect needs one IMAGE");
  }
  using image = await ImageFile.open(path);
  await image.verifyData();
  const sections = image.sections.map(({ payload: _, ...section }) => section);
  if (parsed.options.json) {
    const { header, summary } = image;
    writeLine(
      Deno.stdout,
      JSON.stringify({ header, summary, sections }, null, 2),
    );
    return STATUS.ok;
  }
  const { header, summary } = image;
  const lines = [
    `${path}: ${header.creator}, format ${header.formatVersion}, ${header.architecture}, ${summary.totalBytes} bytes`,
  ];
  const rows = sections.map((s) => [
    `${s.offset}`,
    s.kind,
    s.id,
    `${s.version}`,
    `${s.payloadBytes}`,
    `${s.dataBytes}`,
  ]);
  const head = ["offset", "kind", "id", "version", "payload", "data"];
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i].length))
  );
  for (const row of [head, ...rows]) {
    const cells = row.map((cell, i) =>
      i === 1 || i === 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])
    );
    lines.push(cells.join("  "));
  }
  for (const line of lines) {
    if (!writeLine(Deno.stdout, printable(line))) break;
  }
  return STATUS.ok;
}
