/**
 * /proc/PID/status, stat, statm and limits.
 *
 * @module
 */

import { pathOf } from "../../devices/mod.ts";
import { PAGE_BYTES } from "../../vmm/mod.ts";
import type { Area } from "../areas.ts";
import type { Linux } from "../linux.ts";
import { STACK_TOP_VA } from "../space_layout.ts";
import { limitOf } from "../syscalls/limits.ts";
import { nameOfTask, signalsOf, taskIds } from "./tasks.ts";

/** What the limits are called, and their units, by number (fs/proc/base.c). */
const LIMITS: readonly (readonly [name: string, unit: string])[] = [
  ["Max cpu time", "seconds"],
  ["Max file size", "bytes"],
  ["Max data size", "bytes"],
  ["Max stack size", "bytes"],
  ["Max core file size", "bytes"],
  ["Max resident set", "bytes"],
  ["Max processes", "processes"],
  ["Max open files", "files"],
  ["Max locked memory", "bytes"],
  ["Max address space", "bytes"],
  ["Max file locks", "locks"],
  ["Max pending signals", "signals"],
  ["Max msgqueue size", "bytes"],
  ["Max nice priority", ""],
  ["Max realtime priority", ""],
  ["Max realtime timeout", "us"],
];

const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;

/** Clock ticks a second: what AT_CLKTCK tells the program. */
const TICKS_PER_SECOND = 100;

/** How much memory the program's areas take, bytes. */
function sizes(linux: Linux) {
  const { areas, blocks } = linux.space;
  const of = (count: (area: Area) => boolean) => areas.totalBytes(count);
  const total = of(() => true);
  const used = linux.memory.sizeBytes - blocks.freeBytes;
  return {
    total,
    resident: Math.min(total, used),
    stack: of(({ kind }) => kind === "stack"),
    code: of(({ prot }) => (prot & 4) !== 0),
    data: of(({ kind, prot }) => kind !== "stack" && (prot & 2) !== 0),
  };
}

/** The name of the program, a character a byte, with what would break a line. */
function shownName(linux: Linux, tid: number): string {
  return nameOfTask(linux, tid).replaceAll("\\", "\\\\")
    .replaceAll("\n", "\\n");
}

function handled(linux: Linux, isIgnored: boolean): bigint {
  let mask = 0n;
  for (const { signal, handler } of linux.process.signalActions.values()) {
    const counts = isIgnored ? handler === 1n : handler > 1n;
    if (counts) mask |= 1n << BigInt(signal - 1);
  }
  return mask;
}

/** The text of /proc/PID/status; of one thread with task/TID/status. */
export function statusOf(linux: Linux, tid: number): string {
  const { pid, umask } = linux.process.state;
  const { uid, gid } = linux.ids;
  const { total, resident, stack, code, data } = sizes(linux);
  const { blocked, pending } = signalsOf(linux, tid);
  const four = (id: number) => Array(4).fill(id).join("\t");
  const kB = (bytes: number) => `${bytes / 1024}`.padStart(8) + " kB";
  const mask = (bits: bigint) => bits.toString(16).padStart(16, "0");
  const descriptors = [...linux.fds.entries()].at(-1)?.[0] ?? 0;
  const capabilities = mask(0n);
  const lines: [string, string | number][] = [
    ["Name", shownName(linux, tid)],
    ["Umask", umask.toString(8).padStart(4, "0")],
    ["State", "R (running)"],
    ["Tgid", pid],
    ["Ngid", 0],
    ["Pid", tid],
    ["PPid", 1],
    ["TracerPid", 0],
    ["Uid", four(uid)],
    ["Gid", four(gid)],
    ["FDSize", Math.max(64, 2 ** Math.ceil(Math.log2(descriptors + 1)))],
    ["Groups", " "],
    ["NStgid", pid],
    ["NSpid", tid],
    ["NSpgid", pid],
    ["NSsid", pid],
    ["VmPeak", kB(total)],
    ["VmSize", kB(total)],
    ["VmLck", kB(0)],
    ["VmPin", kB(0)],
    ["VmHWM", kB(resident)],
    ["VmRSS", kB(resident)],
    ["RssAnon", kB(resident)],
    ["RssFile", kB(0)],
    ["RssShmem", kB(0)],
    ["VmData", kB(data)],
    ["VmStk", kB(stack)],
    ["VmExe", kB(code)],
    ["VmLib", kB(0)],
    ["VmPTE", kB(0)],
    ["VmSwap", kB(0)],
    ["Threads", taskIds(linux).length],
    ["SigQ", "0/0"],
    ["SigPnd", mask(0n)],
    ["ShdPnd", mask(pending)],
    ["SigBlk", mask(blocked)],
    ["SigIgn", mask(handled(linux, true))],
    ["SigCgt", mask(handled(linux, false))],
    ["CapInh", capabilities],
    ["CapPrm", capabilities],
    ["CapEff", capabilities],
    ["CapBnd", capabilities],
    ["CapAmb", capabilities],
    ["NoNewPrivs", 0],
    ["Seccomp", 0],
    ["Cpus_allowed", "1"],
    ["Cpus_allowed_list", "0"],
    ["Mems_allowed", "1"],
    ["Mems_allowed_list", "0"],
    ["voluntary_ctxt_switches", 0],
    ["nonvoluntary_ctxt_switches", 0],
  ];
  return lines.map(([name, value]) => `${name}:\t${value}\n`).join("");
}

/** The text of /proc/PID/stat (proc_pid_stat(5)): 52 fields. */
export function statOf(linux: Linux, tid: number): string {
  const { pid } = linux.process.state;
  const name = nameOfTask(linux, tid);
  const { total, resident } = sizes(linux);
  const { blocked, pending } = signalsOf(linux, tid);
  const ticks = Math.floor(linux.cpuNs() / 1e9 * TICKS_PER_SECOND);
  const low = (bits: bigint) => bits & 0x7fff_ffffn;
  const code = linux.space.areas.all.filter(({ kind }) => kind === "program");
  const fields: (number | bigint | string)[] = [
    tid,
    `(${name})`,
    "R",
    1, // ppid
    pid, // process group
    pid, // session
    0, // terminal
    -1, // its process group
    0x40_0000, // flags
    ...[0, 0, 0, 0], // page faults
    ticks,
    0, // system time
    0,
    0, // of children
    20 + linux.process.state.nice, // priority
    linux.process.state.nice,
    taskIds(linux).length,
    0,
    0, // when it started
    total,
    resident / PAGE_BYTES,
    RLIM_INFINITY,
    code[0]?.start ?? 0,
    code.at(-1)?.end ?? 0,
    STACK_TOP_VA,
    0, // esp
    0, // eip
    low(pending),
    low(blocked),
    low(handled(linux, true)),
    low(handled(linux, false)),
    ...[0, 0, 0], // where it waits
    17, // exit signal
    0, // CPU
    ...Array(13).fill(0),
  ];
  return `${fields.join(" ")}\n`;
}

/** The text of /proc/PID/statm: pages. */
export function statmOf(linux: Linux): string {
  const { total, resident, code, data, stack } = sizes(linux);
  const pages = [total, resident, 0, code, 0, data + stack, 0]
    .map((bytes) => bytes / PAGE_BYTES);
  return `${pages.join(" ")}\n`;
}

/** The text of /proc/PID/limits. */
export function limitsOf(linux: Linux): string {
  const line = (name: string, soft: string, hard: string, unit: string) =>
    `${name.padEnd(25)} ${soft.padEnd(20)} ${hard.padEnd(20)} ${
      unit.padEnd(10)
    }\n`;
  const shown = (limit: bigint) =>
    limit === RLIM_INFINITY ? "unlimited" : `${limit}`;
  return line("Limit", "Soft Limit", "Hard Limit", "Units") +
    LIMITS.map(([name, unit], which) => {
      const [soft, hard] = limitOf(linux, which);
      return line(name, shown(soft), shown(hard), unit);
    }).join("");
}

/** The text of /proc/PID/comm, a character a byte. */
export function commOf(linux: Linux, tid: number): string {
  return `${nameOfTask(linux, tid)}\n`;
}

/** The path of the program, a character a byte. */
export function executableOf(linux: Linux): string {
  return pathOf(linux.process.state.executable);
}
