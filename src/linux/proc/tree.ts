/**
 * The folders that the VM answers for itself: /proc, /sys and, of /dev, what
 * every program expects.
 *
 * @module
 */

import { TERMINAL_NAME, TERMINAL_PATH } from "../../devices/mod.ts";
import { cpuInfoOf } from "./cpu_info.ts";
import { settingsFolder, VERSION_TEXT } from "./kernel.ts";
import { memoryInfoOf } from "./memory_info.ts";
import { fileSystemsText } from "./mounts.ts";
import {
  fixed,
  folder,
  type FolderNode,
  link,
  text,
  type VirtualNode,
} from "./node.ts";
import { findProcess } from "./process_folder.ts";
import { systemFolder } from "./system.ts";
import { currentTaskId } from "./tasks.ts";
import { loadOf, statisticsOf, uptimeOf } from "./time_info.ts";

/** What /proc has beside processes. */
const PROC: Readonly<Record<string, VirtualNode>> = {
  cmdline: fixed("\n"),
  cpuinfo: text(cpuInfoOf),
  filesystems: text(fileSystemsText),
  loadavg: text(loadOf),
  meminfo: text(memoryInfoOf),
  mounts: link("self/mounts"),
  self: { kind: "link", target: (linux) => `${linux.process.state.pid}` },
  stat: text(statisticsOf),
  swaps: fixed("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
  sys: settingsFolder,
  "thread-self": {
    kind: "link",
    target: (linux) =>
      `${linux.process.state.pid}/task/${currentTaskId(linux)}`,
  },
  uptime: text(uptimeOf),
  version: fixed(VERSION_TEXT),
};

const procFolder: FolderNode = {
  kind: "folder",
  names: (linux) => [...Object.keys(PROC), `${linux.process.state.pid}`],
  find: (linux, name) =>
    Object.hasOwn(PROC, name) ? PROC[name] : findProcess(linux, name),
};

/** Devices that are as on every Linux. */
const DEVICES = ["full", "null", "random", "urandom", "zero"] as const;

/** The terminal that the program has, if it has one, among those there are. */
const ptsFolder: FolderNode = {
  kind: "folder",
  names: (linux) => linux.hasTerminal ? ["0"] : [],
  find: (linux, name) =>
    name === "0" && linux.hasTerminal
      ? { kind: "terminal", path: TERMINAL_NAME }
      : undefined,
};

const devFolder = folder({
  ...Object.fromEntries(
    DEVICES.map((name): [string, VirtualNode] => [
      name,
      { kind: "device", path: `/dev/${name}` },
    ]),
  ),
  fd: link("/proc/self/fd"),
  pts: ptsFolder,
  stderr: link("/proc/self/fd/2"),
  stdin: link("/proc/self/fd/0"),
  stdout: link("/proc/self/fd/1"),
  tty: { kind: "terminal", path: TERMINAL_PATH },
}, true);

/** What the VM answers for itself, by its name in the root. */
export const VIRTUAL_FOLDERS: Readonly<Record<string, FolderNode>> = {
  dev: devFolder,
  proc: procFolder,
  sys: systemFolder,
};
