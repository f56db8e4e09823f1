/**
 * System calls that put another program in the place of this one.
 *
 * @module
 */

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  close,
  faccessat2,
  O,
  pathText,
} from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import { USER_END_VA } from "../../vmm/mod.ts";
import { ProgramError } from "../errors.ts";
import { SIGNAL } from "../faults.ts";
import { checkProgram, loadProgram, MAX_ARGUMENT_BYTES } from "../loader.ts";
import { hwcapOf } from "../hwcap.ts";
import { KEPT } from "../call_results.ts";
import type { Linux } from "../linux.ts";
import type { Registers } from "../registers.ts";
import { Task } from "../task.ts";
import { TaskRegisters } from "../task_registers.ts";
import type { PartlyTable, SyscallTable } from "./mod.ts";
import { openFollowing, READ, type UserPath, userPath } from "./paths.ts";

/** Longest argument (linux/binfmts.h's MAX_ARG_STRLEN). */
const MAX_WORD_BYTES = 32 * 4096;

/** What must be left of the room for words: what is beside them there. */
const SPARE_BYTES = 64 * 1024;

/** The right to execute (unistd.h). */
const X_OK = 1;

/** Below which handlers are none: SIG_DFL and SIG_IGN (signal(7)). */
const FIRST_HANDLER = 2n;

/**
 * Reads argv or envp.
 *
 * @param room how many bytes it may take
 * @returns its words and how many bytes they take, or a negative errno
 */
function readWords(
  linux: Linux,
  va: number,
  room: number,
): { words: Uint8Array[]; lengthBytes: number } | number {
  const words: Uint8Array[] = [];
  let lengthBytes = 0;
  for (let at = va; at !== 0; at += 8) {
    const pointer = linux.user.readStruct(at, 8)?.getBigUint64(0, true);
    if (pointer === undefined) return -ERRNO.EFAULT;
    if (pointer === 0n) break;
    const word = linux.user.readString(Number(pointer), MAX_WORD_BYTES);
    if (word === -ERRNO.ENAMETOOLONG) return -ERRNO.E2BIG;
    if (typeof word === "number") return word;
    lengthBytes += word.length + 1 + 8;
    if (lengthBytes > room) return -ERRNO.E2BIG;
    words.push(word);
  }
  return { words, lengthBytes };
}

/** What a program is started with that is named by a call. */
interface Wish {
  /** Where it is. */
  readonly where: UserPath;
  /** The flags of `open` beside those of every program. */
  readonly flags: number;
  readonly argvVa: number;
  readonly environmentVa: number;
}

/** Opens a program's file, which must be one that may be executed. */
function openProgram(linux: Linux, where: UserPath, flags: number): number {
  const fd = openFollowing(linux, where, READ, flags | O.readOnly);
  if (fd < 0) return fd;
  const may = faccessat2(fd, "", X_OK, AT_EMPTY_PATH);
  if (may === 0) return fd;
  close(fd);
  return may;
}

/** What execve answers, of why a program cannot be loaded. */
function errnoOf(error: ProgramError): number {
  if (error.errno !== undefined) return -error.errno;
  if (error.code !== "PROGRAM_INTERPRETER") return -ERRNO.ENOEXEC;
  const { cause } = error;
  if (!(cause instanceof ProgramError)) return -ERRNO.ENOEXEC;
  return cause.errno === undefined ? -ERRNO.ELIBBAD : -cause.errno;
}

function execute(linux: Linux, wish: Wish): number {
  const { where } = wish;
  const path = pathText(where.path);
  if (path === undefined) {
    return linux.unsupported(
      "execve",
      "a path that is not UTF-8",
      -ERRNO.EINVAL,
    );
  }
  const first = openProgram(linux, where, wish.flags);
  if (first < 0) return first;
  close(first);
  const room = MAX_ARGUMENT_BYTES - SPARE_BYTES;
  const argv = readWords(linux, wish.argvVa, room);
  if (typeof argv === "number") return argv;
  const left = room - argv.lengthBytes;
  const environment = readWords(linux, wish.environmentVa, left);
  if (typeof environment === "number") return environment;
  const start = {
    root: {
      open: (path: string, flags: number) =>
        openProgram(linux, { cwd: "/", path }, flags),
      nameOf: (fd: number) => linux.paths.nameOf(fd),
    },
    path,
    cwd: where.cwd,
    // A program has a name of its own, whatever it was given (execve(2)).
    argv: argv.words.length > 0 ? argv.words : [""],
    environment: environment.words,
    ...linux.ids,
    hwcap: hwcapOf(linux.cpuid()),
  };
  try {
    checkProgram(start);
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    return errnoOf(error);
  }
  becomeOnlyTask(linux);
  forget(linux);
  try {
    const loaded = loadProgram(linux.space, linux.user, start);
    begin(linux, loaded.entry, loaded.stackPointer);
    name(linux, where, loaded.executable, loaded.argv);
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    // There is nothing any more to return to.
    linux.warnOnce(error.message);
    return linux.kill({
      signal: SIGNAL.SIGSEGV,
      what: error.message,
      rip: linux.registers.rip,
    });
  }
  return KEPT;
}

/** Ends all other tasks; this one is the process's first from now on. */
function becomeOnlyTask(linux: Linux): void {
  const { process, scheduler, task, futexes } = linux;
  for (const other of [...process.tasks.values()]) {
    if (other === task) continue;
    if (other.call) futexes.remove(other.call);
    scheduler.remove(other);
  }
  process.tasks.delete(task.tid);
  task.state.tid = process.state.pid;
  process.tasks.set(task.tid, task);
}

/** Gives up what does not outlive a program (execve(2)). */
function forget(linux: Linux): void {
  const { process, task, fds, space } = linux;
  linux.guestClock.clear();
  space.unmap(0, USER_END_VA);
  for (const [fd, { closeOnExec }] of [...fds.entries()]) {
    if (closeOnExec) fds.close(fd);
  }
  for (const [signal, action] of process.signalActions) {
    if (action.handler >= FIRST_HANDLER) process.signalActions.delete(signal);
  }
  process.state.timers = [];
  const fresh = Task.initial(task.tid, task.state.name);
  const { clearChildTid, robustList, rseq, signalStack } = fresh;
  Object.assign(task.state, { clearChildTid, robustList, rseq, signalStack });
}

/** Has the vCPU begin at a program's first instruction. */
function begin(linux: Linux, entry: number, stackPointer: number): void {
  const { vcpu } = linux;
  TaskRegisters.first(vcpu.xsaveBytes, entry, stackPointer).put(vcpu);
}

/** Takes the name of the program that was loaded. */
function name(
  linux: Linux,
  where: UserPath,
  executable: string,
  argv: readonly string[],
): void {
  const { state } = linux.process;
  const path = { cwd: where.cwd, path: executable };
  const fd = openFollowing(linux, path, READ, O.path);
  const found = fd < 0 ? undefined : linux.paths.nameOf(fd);
  if (fd >= 0) close(fd);
  state.executable = (found && pathText(found)) ?? executable;
  state.arguments = [...argv];
  const last = where.path.slice(where.path.lastIndexOf("/") + 1);
  linux.task.state.name = last.slice(0, 15);
}

/** The program that execveat names. */
function programAt(linux: Linux, args: Registers): UserPath | number {
  const dirfd = args.int(0);
  const where = userPath(linux, dirfd, args.u64(1));
  if (typeof where === "number" || where.path !== "") return where;
  if ((args.int(4) & AT_EMPTY_PATH) === 0) return -ERRNO.ENOENT;
  if (dirfd === AT_FDCWD) return -ERRNO.EACCES;
  const file = linux.fds.file(dirfd);
  if (!file) return -ERRNO.EBADF;
  const named = file.type === "host" && file.hostFd !== undefined
    ? linux.paths.nameOf(file.hostFd)
    : undefined;
  return { cwd: "/", path: named ?? `/proc/self/fd/${dirfd}` };
}

/** Calls that begin another program. */
export const execCalls: SyscallTable = {
  execve(linux, args) {
    const where = userPath(linux, AT_FDCWD, args.u64(0));
    if (typeof where === "number") return where;
    if (where.path === "") return -ERRNO.ENOENT;
    const [argvVa, environmentVa] = [args.u64(1), args.u64(2)];
    return execute(linux, { where, flags: 0, argvVa, environmentVa });
  },
  execveat(linux, args) {
    const flags = args.int(4);
    const path = linux.user.readString(args.u64(1));
    if (typeof path === "number") return path;
    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) return -ERRNO.EINVAL;
    const where = programAt(linux, args);
    if (typeof where === "number") return where;
    const [argvVa, environmentVa] = [args.u64(2), args.u64(3)];
    return execute(linux, {
      where,
      flags: flags & AT_SYMLINK_NOFOLLOW ? O.noFollow : 0,
      ...{ argvVa, environmentVa },
    });
  },
};

/** What they lack. */
export const execPartly = {
  execve: "set-user-ID bits have no effect; a path that is not UTF-8 (EINVAL)",
  execveat: "as execve",
} as const satisfies PartlyTable;
