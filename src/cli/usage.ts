/**
 * What `vm --help` says.
 *
 * @module
 */

import { VERSION } from "../../mod.ts";
import { STATUS } from "./report.ts";
import { writeLine } from "./text.ts";

/** How to use the command line. */
export const USAGE: string =
  `vm ${VERSION}: run a Linux program in a VM, freeze it, thaw it

  vm run [OPTIONS] [--] PROGRAM [ARGS…]   run a program: a path, or a name that
                                          is looked for in PATH
  vm restore [OPTIONS] IMAGE              go on with a program that was saved
  vm receive [OPTIONS] URL                go on with programs that are sent here
  vm inspect [--json] IMAGE               show what an image holds

Options of run, restore and receive:
  --allow-read=PATHS    what the program may read (default: @system,. that is
                        the system's programs and libraries, and this folder)
  --allow-write=PATHS   what it may write (default: this folder)
  --root=FOLDER         what is / for the program (default: /)
  --device=PATH[:VALUES]  a device of your own: ./plugins/counter.ts:step=2;
                        id=NAME among its values names it; may be repeated
  --on-save=URL         where SAVE() saves to (default: file:vm.img): a file, -,
                        https:; or moves to, where vm receive listens: tcp:,
                        tls:, unix:
  --continue            go on after a save (default: stop)
  --quiesce-timeout=SECONDS
                        how long a device may take before a save (default: 5)
  --compress            pack the memory of an image
  --carry-files         put the content of open files into an image
  --trace               show each file operation, on stderr
  --trace-to=STREAM     the same, on stdout or stderr
  --strict              end at the first system call that is not supported
  --timeout=SECONDS     how long a connection may stand still (default: 30)
  --tls-cert=FILE       our certificate, --tls-key=FILE its private key,
  --tls-ca=FILE         and who vouches for the other side
  --verbose             show where an error came from
Options of run:
  --memory=SIZE         memory of the VM: 512M, 4G (default: 1G)
  --env=NAME=VALUE      a variable for the program; --env=NAME passes it on
Options of restore and receive:
  --files=POLICY        files that are not as they were: check (refuse),
                        trust, rollback (cut back), carry (from the image)
Options of restore:
  --dry-run             only say whether it can be restored here, or why not
  --verify=WHEN         memory is checked first, in the background, or none
                        (default: first up to 8 MiB, background above)
Options of receive:
  --count=N             how many programs to take, one after the other
                        (default: 1); --forever: no end
  --memory=SIZE         most memory that one may have (default: this machine's)

SIGUSR2 saves a running VM, or the next that vm receive gets. Exit status: the
program's own; 128 + N when signal N ended it; 1 failure, 2 usage, 3
incompatible, 4 damaged image, 5 no KVM, 130 interrupted.`;

/** Prints {@linkcode USAGE} on stdout; returns the exit status. */
export function showUsage(): number {
  writeLine(Deno.stdout, USAGE);
  return STATUS.ok;
}
