/**
 * The machine that is measured.
 *
 * @module
 */

/** What a figure cannot be read without. */
export interface MachineInfo {
  /** Model name of the CPU. */
  readonly cpu: string;
  /** How many CPUs are online. */
  readonly cpus: number;
  /** Memory, bytes. */
  readonly memoryBytes: number;
  /** Release of the kernel. */
  readonly kernel: string;
  /** Which kind of KVM: "kvm_intel", "kvm_amd", "kvm_pvm", "no KVM". */
  readonly kvm: string;
  /** File system of the folder with the files that are written and read. */
  readonly fileSystem: string;
  /** Transparent huge pages: "always", "madvise" or "never". */
  readonly hugePages: string;
  /** Version of Deno. */
  readonly deno: string;
  /** Load averages of the last 1, 5 and 15 minutes at the start. */
  readonly load: readonly number[];
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function kvmKind(): string {
  try {
    Deno.statSync("/dev/kvm");
  } catch {
    return "no KVM";
  }
  for (const name of ["kvm_pvm", "kvm_intel", "kvm_amd"]) {
    try {
      Deno.statSync(`/sys/module/${name}`);
      return name;
    } catch {
      // Another one, then.
    }
  }
  return "unknown";
}

/** The type of the file system that holds `folder`. */
function fileSystemOf(folder: string): string {
  let found = { point: "", type: "unknown" };
  for (const line of read("/proc/mounts").split("\n")) {
    const [, point, type] = line.split(" ");
    if (point === undefined) continue;
    const holds = point === "/" || folder === point ||
      folder.startsWith(`${point}/`);
    // A later mount at the same place hides the earlier one.
    if (holds && point.length >= found.point.length) found = { point, type };
  }
  return found.type;
}

/** Describes the machine. @param folder where files are written and read */
export function machineInfo(folder: string): MachineInfo {
  const hugePages = read("/sys/kernel/mm/transparent_hugepage/enabled");
  return {
    cpu: /^model name\s*:\s*(.*)$/m.exec(read("/proc/cpuinfo"))?.[1] ??
      "unknown",
    cpus: navigator.hardwareConcurrency,
    memoryBytes: Deno.systemMemoryInfo().total,
    kernel: Deno.osRelease(),
    kvm: kvmKind(),
    fileSystem: fileSystemOf(folder),
    hugePages: /\[(\w+)\]/.exec(hugePages)?.[1] ?? "unknown",
    deno: Deno.version.deno,
    load: Deno.loadavg().map((load) => Math.round(load * 100) / 100),
  };
}

/** The same in two lines. */
export function describeMachine(info: MachineInfo): string[] {
  const memory = (info.memoryBytes / 2 ** 30).toFixed(1);
  return [
    `${info.cpu}, ${info.cpus} CPUs, ${memory} GiB; Linux ${info.kernel}, ${info.kvm}, huge pages ${info.hugePages}`,
    `files on ${info.fileSystem}; Deno ${info.deno}; load ${
      info.load.join(" ")
    }`,
  ];
}
