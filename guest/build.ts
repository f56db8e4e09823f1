/**
 * Builds the guest programs: static, with gcc, and with musl-gcc where it is.
 *
 * `deno task guest [--quiet] [NAMES…]`
 *
 * @module
 */

const FOLDER = new URL(".", import.meta.url).pathname;
const BUILD = `${FOLDER}build`;
const SOURCES = ["", "tests/", "plugins/", "scripts/", "bench/"];
const FLAGS = [
  "-O2",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-std=gnu11",
  `-I${FOLDER}`,
];

/** How one program is built. */
interface Variant {
  readonly suffix: string;
  readonly compiler: string;
  readonly flags: readonly string[];
}

const VARIANTS: readonly Variant[] = [
  { suffix: "", compiler: "gcc", flags: ["-static"] },
  { suffix: "_pie", compiler: "gcc", flags: ["-static-pie", "-fPIE"] },
  { suffix: "_musl", compiler: "musl-gcc", flags: ["-static"] },
];

function modified(path: string): number {
  try {
    return Deno.statSync(path).mtime?.getTime() ?? 0;
  } catch {
    return -1;
  }
}

/** Whether a program of this name can be run on this machine. */
export async function isThere(compiler: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(compiler, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

/** Whether a source says that no other libc has what it uses. */
function needsGlibc(source: string): boolean {
  return Deno.readTextFileSync(source).includes("* Needs glibc: ");
}

/** Source file by program name. */
function sources(): Map<string, string> {
  const found = new Map<string, string>();
  for (const sub of SOURCES) {
    for (const { name } of Deno.readDirSync(`${FOLDER}${sub}`)) {
      if (name.endsWith(".c")) {
        found.set(name.slice(0, -2), `${FOLDER}${sub}${name}`);
      }
    }
  }
  return found;
}

/** When the youngest of the headers was changed. */
function headersModified(): number {
  let youngest = 0;
  for (const sub of SOURCES) {
    for (const { name } of Deno.readDirSync(`${FOLDER}${sub}`)) {
      if (!name.endsWith(".h")) continue;
      youngest = Math.max(youngest, modified(`${FOLDER}${sub}${name}`));
    }
  }
  return youngest;
}

async function compile(
  source: string,
  output: string,
  { compiler, flags }: Variant,
): Promise<void> {
  // A name of its own, then renamed: another process may build the same.
  const scratch = `${output}.${Deno.pid}`;
  const { success, stderr } = await new Deno.Command(compiler, {
    args: [...FLAGS, ...flags, "-o", scratch, source],
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(
      `Cannot build ${source}: ${new TextDecoder().decode(stderr)}`,
    );
  }
  await Deno.rename(scratch, output);
}

/**
 * Builds programs that are older than their source.
 *
 * @param names which, as `app`, `hello_pie` or `hello_musl`; none: all
 * that each compiler can build
 * @returns the path of each, by name; musl ones are left out where there is no
 * musl-gcc
 */
export async function buildGuest(
  names: readonly string[] = [],
): Promise<Map<string, string>> {
  if (!await isThere("gcc")) {
    throw new Error(
      "Cannot build guest programs: no C compiler; install gcc and the static libc (Debian: apt-get install gcc libc6-dev)",
    );
  }
  const hasMusl = await isThere("musl-gcc");
  await Deno.mkdir(BUILD, { recursive: true });
  const all = sources();
  const wanted = names.length > 0
    ? names
    : [...all].flatMap(([name, source]) =>
      VARIANTS.filter(({ compiler }) =>
        compiler !== "musl-gcc" || !needsGlibc(source)
      ).map(({ suffix }) => name + suffix)
    );
  const header = headersModified();
  const built = new Map<string, string>();
  for (const name of wanted) {
    const variant = VARIANTS.findLast((v) =>
      name.endsWith(v.suffix) &&
      all.has(name.slice(0, name.length - v.suffix.length))
    );
    if (!variant) throw new Error(`Cannot build ${name}: it has no source`);
    if (variant.compiler === "musl-gcc" && !hasMusl) continue;
    const source = all.get(name.slice(0, name.length - variant.suffix.length))!;
    const output = `${BUILD}/${name}`;
    if (modified(output) < Math.max(header, modified(source))) {
      await compile(source, output, variant);
    }
    built.set(name, output);
  }
  return built;
}

if (import.meta.main) {
  try {
    const names = Deno.args.filter((word) => word !== "--quiet");
    const built = await buildGuest(names);
    const isQuiet = names.length < Deno.args.length;
    if (!isQuiet) { for (const path of built.values()) console.error(path); }
  } catch (error) {
    console.error((error as Error).message);
    Deno.exit(1);
  }
}
