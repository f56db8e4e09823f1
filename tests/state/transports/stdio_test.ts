import { assertEquals, assertStringIncludes } from "@std/assert";
import { assertSame, endTest, IMAGE } from "./ends.ts";

const PROGRAM = new URL("stdio_process.ts", import.meta.url).pathname;
const CONFIG = new URL("../../../deno.json", import.meta.url).pathname;

const ARGS = [
  "run",
  "-A",
  "--quiet",
  "--no-check",
  "--config",
  CONFIG,
  PROGRAM,
];

/** Starts the program that does `what`. */
function start(what: string) {
  return new Deno.Command(Deno.execPath(), {
    args: [...ARGS, what],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

endTest("-: an image goes from standard input to standard output", async () => {
  const child = start("copy");
  const fed = new Blob([IMAGE]).stream().pipeTo(child.stdin);
  const { stdout, stderr } = await child.output();
  await fed;
  assertEquals(text(stderr), "still open\n");
  assertSame(stdout.subarray(0, -1), IMAGE);
  assertEquals(text(stdout.subarray(-1)), "\n");
});

endTest("-: an image that is given up is not complete", async () => {
  const child = start("give up");
  await child.stdin.close();
  const { stdout } = await child.output();
  assertEquals(text(stdout), "not committe\n");
});

endTest("-: a reader that leaves is an error", async () => {
  const child = start("endless");
  await child.stdin.close();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  const said = await new Response(child.stderr).text();
  await child.status;
  assertStringIncludes(said, "END_DROPPED: Cannot write standard output");
});

endTest("-: a terminal gets no image", async () => {
  // script(1) gives a program a terminal.
  const command = [Deno.execPath(), ...ARGS, "copy"]
    .map((word) => `'${word}'`).join(" ");
  const { stdout } = await new Deno.Command("script", {
    args: ["-qec", command, "/dev/null"],
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
  assertStringIncludes(
    text(stdout),
    "END_IO: Cannot write standard output: it is a terminal",
  );
});
