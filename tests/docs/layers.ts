/**
 * Which file may import which: the layers of ARCHITECTURE.md.
 *
 * @module
 */

/** What each layer may import of the others. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  "src/kvm": [],
  "src/state": [],
  "src/vmm": ["src/kvm", "src/state"],
  "src/devices": ["src/kvm", "src/state", "src/vmm"],
  "src/linux": ["src/kvm", "src/state", "src/vmm", "src/devices"],
  "src/testing": ["src/kvm", "src/state", "src/vmm", "src/devices"],
};

/** Folders that use the library as anyone would: through mod.ts alone. */
const USERS: readonly string[] = ["src/cli", "scripts", "plugins"];

/** What builds the guest programs; not part of the library. */
const GUEST_BUILD = "guest/build.ts";

/** The layer or other folder that a path is in. */
function folderOf(path: string): string {
  const [first, second] = path.split("/");
  if (!path.includes("/")) return path;
  return first === "src" ? `${first}/${second}` : first;
}

/** The specifiers that a source imports or exports from. */
export function importsOf(source: string): string[] {
  const code = source.split("\n")
    .filter((line) => !/^\s*(\*|\/\/|\/\*)/.test(line))
    .join("\n");
  const found = code.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g);
  return [...found].map(([, specifier]) => specifier);
}

/** Why a file may not import another; `undefined` when it may. */
function whyNot(from: string, to: string): string | undefined {
  const layer = folderOf(from);
  const target = folderOf(to);
  if (layer === target) return undefined;
  if (USERS.includes(layer)) {
    if (to === "mod.ts" || to === GUEST_BUILD) return undefined;
    return `${layer} may import mod.ts alone`;
  }
  if (from === "mod.ts") {
    if (target in BELOW && to === `${target}/mod.ts`) return undefined;
    return "mod.ts may import the layers' mod.ts alone";
  }
  if (layer in BELOW) {
    if (to === "deno.json") return undefined; // the version
    if (!BELOW[layer].includes(target)) {
      return `${target} is not below ${layer}`;
    }
    return to === `${target}/mod.ts`
      ? undefined
      : `${target} has a public face: its mod.ts`;
  }
  return undefined;
}

/** What is wrong with the imports of the file `path`, a line each. */
export function violations(path: string, source: string): string[] {
  const wrong: string[] = [];
  for (const specifier of importsOf(source)) {
    if (!specifier.startsWith(".")) continue;
    const to = new URL(specifier, `file:///${path}`).pathname.slice(1);
    const why = whyNot(path, to);
    if (why !== undefined) wrong.push(`${path} imports ${to}: ${why}`);
  }
  return wrong;
}
