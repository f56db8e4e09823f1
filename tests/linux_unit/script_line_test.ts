import { assertEquals, assertThrows } from "@std/assert";
import {
  isScript,
  readScriptLine,
  SCRIPT_HEAD_BYTES,
} from "../../src/linux/script_line.ts";

const encoder = new TextEncoder();

/** What Linux would look at of a file with this content. */
function head(content: string): Uint8Array {
  return encoder.encode(content).subarray(0, SCRIPT_HEAD_BYTES);
}

Deno.test("script: the interpreter is what is behind #!, up to a space or tab", () => {
  for (
    const line of [
      "#!/bin/sh\n",
      "#! /bin/sh\n",
      "#!\t/bin/sh \t\n",
      "#!/bin/sh",
    ]
  ) {
    assertEquals(readScriptLine(head(line)), { interpreter: "/bin/sh" }, line);
  }
});

Deno.test("script: all that follows is one argument, its spaces kept", () => {
  assertEquals(readScriptLine(head("#!/bin/awk -f  -v x=1 \t\nBEGIN")), {
    interpreter: "/bin/awk",
    argument: "-f  -v x=1",
  });
});

Deno.test("script: a line that names nothing, or is cut off in its path, is refused", () => {
  for (const line of ["#!\n", "#!   \n", "#!", "#!\0/bin/sh\n"]) {
    assertEquals(readScriptLine(head(line)), undefined, line);
  }
  assertEquals(readScriptLine(head(`#!/${"x".repeat(300)}`)), undefined);
  // The kernel's own buffer ends with a zero: 255 bytes count.
  assertEquals(readScriptLine(head(`#!/${"x".repeat(252)}\n`)), undefined);
  const path = `/${"x".repeat(251)}`;
  assertEquals(readScriptLine(head(`#!${path}\n`)), { interpreter: path });
});

Deno.test("script: an argument that goes on behind what is looked at is cut off", () => {
  const argument = "y".repeat(300);
  const found = readScriptLine(head(`#!/bin/sh ${argument}\n`));
  assertEquals(found?.argument, argument.slice(0, 255 - "#!/bin/sh ".length));
});

Deno.test("script: a line that is not UTF-8 is an error, and no other file is a script", () => {
  const bytes = Uint8Array.of(0x23, 0x21, 0x2f, 0xff, 0x0a);
  assertThrows(() => readScriptLine(bytes), TypeError);
  assertEquals(isScript(bytes), true);
  assertEquals(isScript(encoder.encode("#")), false);
  assertEquals(isScript(encoder.encode("# !")), false);
});
