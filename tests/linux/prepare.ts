/**
 * What guest programs find in their folder where they cannot make it
 * themselves.
 *
 * @module
 */

/** What folders.c finds: a file, a folder, and symbolic links of each kind. */
export function prepareFolders(folder: string): void {
  Deno.writeTextFileSync(`${folder}/given`, "given");
  Deno.mkdirSync(`${folder}/given-d`);
  Deno.writeTextFileSync(`${folder}/given-d/inside`, "inside");
  Deno.symlinkSync("given", `${folder}/to-file`);
  Deno.symlinkSync("given-d", `${folder}/to-folder`);
  Deno.symlinkSync("not-there", `${folder}/to-none`);
  Deno.symlinkSync("to-self", `${folder}/to-self`);
}
