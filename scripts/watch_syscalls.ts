/**
 * Counts the system calls of a program by name, and how many of them failed.
 *
 * `deno run -A scripts/watch_syscalls.ts [PROGRAM [ARGS…]]`
 *
 * @module
 */

import { buildGuest } from "../guest/build.ts";
import { syscallName, type Tracer, Vm } from "../mod.ts";

/** How often a call was made, and how often it gave an errno. */
interface Count {
  calls: number;
  failed: number;
}

/** A tracer that counts; what it counted is in `counts`. */
function counting(counts: Map<string, Count>): Tracer {
  return {
    syscall(number, _args, result) {
      const name = syscallName(number);
      const count = counts.get(name) ?? { calls: 0, failed: 0 };
      count.calls++;
      if (result !== undefined && result < 0) count.failed++;
      counts.set(name, count);
    },
  };
}

try {
  const [
    program = (await buildGuest(["primes"])).get("primes")!,
    ...args
  ] = Deno.args;
  const counts = new Map<string, Count>();
  await using vm = await Vm.create({ program, args, tracer: counting(counts) });
  console.log("it ended:", await vm.run());
  for (
    const [name, { calls, failed }] of [...counts].sort(([, a], [, b]) =>
      b.calls - a.calls
    )
  ) console.log(`${calls} ${name}${failed > 0 ? ` (${failed} failed)` : ""}`);
} catch (error) {
  console.error(`vm: ${(error as Error).message}`);
  Deno.exitCode = 1;
}
