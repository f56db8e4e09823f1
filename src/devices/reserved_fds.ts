/**
 * Descriptors of this process that no program gets: the VMM needs some itself,
 * to save the VM for example.
 *
 * @module
 */

/** How many there are. */
const RESERVED_FDS = 64;

/** From which number on they are the VMM's. */
const FIRST_RESERVED = maxOpenFiles() - RESERVED_FDS;

/** The limit on this process's descriptors (proc(5), /proc/PID/limits). */
function maxOpenFiles(): number {
  const limits = Deno.readTextFileSync("/proc/self/limits");
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? Infinity : Number(soft);
}

/** Whether a descriptor that was opened for a program is one of them. */
export function isForVmm(fd: number): boolean {
  return fd >= FIRST_RESERVED;
}
