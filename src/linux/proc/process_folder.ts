/**
 * /proc/PID: what a program asks about itself.
 *
 * @module
 */

import type { Linux } from "../linux.ts";
import { descriptorFolder, descriptorInfoFolder } from "./descriptors.ts";
import { mapsOf } from "./maps.ts";
import { mountInfoText, mountsText } from "./mounts.ts";
import {
  fixed,
  folder,
  type FolderNode,
  type LinkNode,
  text,
  type VirtualNode,
} from "./node.ts";
import { auxvOf, commandLineOf, environmentOf } from "./start.ts";
import {
  commOf,
  executableOf,
  limitsOf,
  statmOf,
  statOf,
  statusOf,
} from "./status.ts";
import { taskIds } from "./tasks.ts";

/** A link into what the program is about. */
function magic(target: LinkNode["target"]): LinkNode {
  return { kind: "link", target, isMagic: true };
}

/** The current folder; where it was removed, it has no name to be found by. */
const currentFolder: LinkNode = {
  ...magic((linux) => linux.process.folder.path),
  file: (linux) =>
    linux.process.folder.place === undefined
      ? linux.process.folder.file
      : undefined,
};

/** What is of a thread as of the whole program. */
function shared(tid: number): Record<string, VirtualNode> {
  return {
    auxv: text(auxvOf, 0o400),
    cgroup: fixed("0::/\n"),
    cmdline: text(commandLineOf),
    comm: text((linux) => commOf(linux, tid)),
    cwd: currentFolder,
    environ: text(environmentOf, 0o400),
    exe: { ...magic(executableOf), isOfFile: true },
    fd: descriptorFolder,
    fdinfo: descriptorInfoFolder,
    limits: text(limitsOf),
    maps: text(mapsOf),
    mountinfo: text(mountInfoText),
    mounts: text(mountsText),
    oom_score: fixed("0\n"),
    oom_score_adj: fixed("0\n"),
    personality: fixed("00000000\n"),
    root: magic(() => "/"),
    stat: text((linux) => statOf(linux, tid)),
    statm: text(statmOf),
    status: text((linux) => statusOf(linux, tid)),
  };
}

/** The number of a thread of the program that a name is. */
function taskOf(linux: Linux, name: string): number | undefined {
  return taskIds(linux).find((tid) => `${tid}` === name);
}

/** /proc/PID/task. */
const taskFolder: FolderNode = {
  kind: "folder",
  names: (linux) => taskIds(linux).map(String),
  find(linux, name) {
    const tid = taskOf(linux, name);
    return tid === undefined ? undefined : folder(shared(tid));
  },
};

/** /proc/PID of the program, or of one of its threads. */
export function processFolder(tid: number): FolderNode {
  return folder({ ...shared(tid), task: taskFolder });
}

/** The folder of a process that /proc does have: the program's own. */
export function findProcess(
  linux: Linux,
  name: string,
): FolderNode | undefined {
  const tid = taskOf(linux, name);
  return tid === undefined ? undefined : processFolder(tid);
}
