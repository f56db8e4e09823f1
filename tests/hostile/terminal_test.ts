/**
 * Programs that do what they can to harm the terminal they are at: their VM
 * ends all the same, and the terminal is then as it was.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { vmWords } from "../cli/command.ts";
import { Pty } from "../cli/pty.ts";
import { kvmTest } from "../kvm_gate.ts";
import { guest, Scratch, seeded } from "../support.ts";

const isFull = Deno.env.get("SCRATCHVM_FULL") === "1";
const ROUNDS = isFull ? 100_000 : 1_000;

/** How it ends, and the status of a shell's command that ends so. */
const ENDS = [["exit", 3], ["kill", 137]] as const;

/** How the terminal is set before and after a command, and its status. */
const AROUND =
  'stty -g > before; "$@"; echo $? > status; stty -g > after; echo over';

for (const [end, status] of ENDS) {
  kvmTest(`hostile: a terminal is as it was after the ${end}`, async () => {
    const [program] = await guest("hostile_terminal");
    await using scratch = new Scratch();
    const random = seeded(`terminal, ${end}`);
    const seed = `${Math.floor(random() * 2 ** 31)}`;
    const words = vmWords("run", program, seed, `${ROUNDS}`, end);
    await using pty = new Pty(
      ["sh", "-c", AROUND, "sh", ...words],
      scratch.path,
      { rows: 24, columns: 80 },
    );
    await pty.begun();
    // Nobody types: a key could be one that stops the terminal, or whoever is
    // at it, as the program has set it. Nor is output stopped at the end.
    await pty.until(/over/);
    const seen = (name: string) => Deno.readTextFileSync(scratch.file(name));
    assertEquals(seen("status"), `${status}\n`);
    assertEquals(seen("after"), seen("before"));
  });
}
