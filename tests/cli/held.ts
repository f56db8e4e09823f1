/**
 * What VMs hold of the host, told from what else this process holds: V8, Deno
 * and test files that ran before it have descriptors and mappings, too.
 *
 * @module
 */

/** What VMs of this process hold. */
export interface Held {
  /** What every open descriptor leads to, with how many lead there. */
  readonly descriptors: ReadonlyMap<string, number>;
  /** Mappings that only VMs have: vCPUs' shared pages, and images. */
  readonly mappings: number;
  /** Bytes mapped with MADV_HUGEPAGE, as only guest memory is. */
  readonly guestBytes: number;
}

/** What is held now; `image` is a file that VMs may be restored from. */
export function held(image: string): Held {
  const descriptors = new Map<string, number>();
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    let target: string;
    try {
      target = Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      continue; // the descriptor of the listing itself
    }
    // Inodes of pipes and sockets say nothing.
    const kind = target.replace(/^(pipe|socket):.*/, "$1");
    descriptors.set(kind, (descriptors.get(kind) ?? 0) + 1);
  }
  let mappings = 0;
  let guestBytes = 0;
  let lengthBytes = 0;
  // proc(5): a line of addresses and the file's name, then "Name: value" lines.
  for (const line of Deno.readTextFileSync("/proc/self/smaps").split("\n")) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range) {
      lengthBytes = parseInt(range[2], 16) - parseInt(range[1], 16);
      if (line.includes("kvm-vcpu") || line.includes(image)) mappings++;
    } else if (/^VmFlags:.* hg\b/.test(line)) guestBytes += lengthBytes;
  }
  return { descriptors, mappings, guestBytes };
}

/** What is held of each kind in `after` that was not in `before`. */
export function moreHeld(before: Held, after: Held): Record<string, number> {
  const more: Record<string, number> = {};
  const note = (what: string, was: number, is: number) => {
    if (is > was) more[what] = is - was;
  };
  for (const [target, count] of after.descriptors) {
    note(target, before.descriptors.get(target) ?? 0, count);
  }
  note("mappings", before.mappings, after.mappings);
  note("guestBytes", before.guestBytes, after.guestBytes);
  return more;
}
