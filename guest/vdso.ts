/**
 * Assembles the vDSO, guest/vdso.S, into src/linux/vdso/code.ts.
 *
 * `deno task vdso`
 *
 * @module
 */

const SOURCE = new URL("vdso.S", import.meta.url).pathname;
const TARGET = new URL("../src/linux/vdso/code.ts", import.meta.url).pathname;

/** Bytes in a line of the file that is written. */
const LINE_BYTES = 32;

/** What the assembler made of the source. */
export interface AssembledVdso {
  /** The machine code, in hexadecimal digits. */
  readonly code: string;
  /** Where each function begins, in bytes from the start. */
  readonly functions: Readonly<Record<string, number>>;
}

async function output(command: string, ...args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(command, {
    args,
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${command} failed`);
  return new TextDecoder().decode(stdout);
}

/** Assembles the source; nothing but a temporary folder is written. */
export async function assembleVdso(): Promise<AssembledVdso> {
  const folder = await Deno.makeTempDir();
  try {
    const object = `${folder}/vdso.o`;
    const binary = `${folder}/vdso.bin`;
    await output("gcc", "-c", SOURCE, "-o", object);
    const only = ["-O", "binary", "--only-section=.text"];
    await output("objcopy", ...only, object, binary);
    const symbols = await output("nm", "--extern-only", object);
    const functions = symbols.trim().split("\n").map((line) => {
      const [offset, , name] = line.split(" ");
      return [name, parseInt(offset, 16)] as const;
    });
    return {
      code: (await Deno.readFile(binary)).toHex(),
      functions: Object.fromEntries(functions),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function sourceOf({ code, functions }: AssembledVdso): string {
  const lines = code.match(new RegExp(`.{1,${2 * LINE_BYTES}}`, "g"))!;
  return `/**
 * The machine code of the vDSO. \`deno task vdso\` makes this file of
 * guest/vdso.S: change that instead.
 *
 * @module
 */

/** The machine code, in hexadecimal digits. */
export const VDSO_CODE: string =
${lines.map((line) => `  "${line}"`).join(" +\n")};

/** Where each function begins, in bytes from the start of the code. */
export const VDSO_FUNCTIONS: Readonly<Record<string, number>> = {
${
    Object.entries(functions)
      .map(([name, offset]) => `  ${name}: 0x${offset.toString(16)},`)
      .join("\n")
  }
};
`;
}

if (import.meta.main) {
  await Deno.writeTextFile(TARGET, sourceOf(await assembleVdso()));
}
