import { assert, assertEquals } from "@std/assert";
import { printable } from "../../src/state/mod.ts";

Deno.test("printable: what a terminal would act on is escaped, and nothing else", () => {
  assertEquals(printable("a ~é…日本 🚀\\"), "a ~é…日本 🚀\\");
  assertEquals(
    printable("\x1b[2J\x9b31m\r\n\t\0\x7f"),
    "\\u001b[2J\\u009b31m\\u000d\\u000a\\u0009\\u0000\\u007f",
  );
  assertEquals(printable("\u202etxt.exe\u2066"), "\\u202etxt.exe\\u2066");
  for (let code = 0; code < 0x1_0000; code++) {
    const text = String.fromCharCode(code);
    // Unicode's own classes: control characters, and separators of lines.
    if (/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(text)) {
      assert(printable(text).startsWith("\\u"), code.toString(16));
    }
  }
});
