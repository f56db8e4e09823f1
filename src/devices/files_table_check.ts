/**
 * What an image says of descriptors and open files, checked against itself.
 *
 * @module
 */

import { MAX_INTERESTS, MAX_NESTS, MAX_SET_INTERESTS } from "./epoll_file.ts";
import type { FilesTable } from "./files_state.ts";
import { malformed } from "./restore_errors.ts";

/**
 * Checks that everything in a table leads to a file that is in it, and is there
 * once.
 *
 * @throws {FilesError}
 */
export function checkTable(table: FilesTable): void {
  const { files } = table;
  const seen = new Set<number>();
  for (const { fd, file } of table.descriptors) {
    if (!files[file] || seen.has(fd)) {
      throw malformed(`descriptor ${fd} is out of place`);
    }
    seen.add(fd);
  }
  checkConnections(files);
  const held = new Set<number>();
  for (const { gpa, file } of table.held) {
    if (!files[file] || held.has(gpa)) {
      throw malformed(`the file mapped at gpa ${gpa} is out of place`);
    }
    held.add(gpa);
  }
  const kept = new Set<string>();
  for (const { tid, fd, file } of table.kept) {
    if (!files[file] || kept.has(`${tid} ${fd}`)) {
      throw malformed(
        `the file that thread ${tid} waits for is out of place`,
      );
    }
    kept.add(`${tid} ${fd}`);
  }
}

/** The lowest descriptor that points to a file; -1 where it is only mapped, or kept. */
export function descriptorOf(table: FilesTable, index: number): number {
  const isElsewhere = [...table.held, ...table.kept]
    .some(({ file }) => file === index);
  const fd = table.descriptors.find((d) => d.file === index)?.fd ??
    (isElsewhere ? -1 : undefined);
  if (fd === undefined) throw malformed(`nothing points to file ${index}`);
  return fd;
}

/** Checks what files say of one another. @throws {FilesError} */
function checkConnections(files: FilesTable["files"]): void {
  const counts = new Map<number, number>();
  for (const [index, state] of files.entries()) {
    if (state.type === "socket" && state.peer !== null) {
      const peer = files[state.peer];
      const isMutual = peer?.type === "socket" && peer.peer === index &&
        peer.kind === state.kind && state.peer !== index;
      if (!isMutual) throw malformed(`socket ${index} has no other end`);
    }
    if (state.type !== "epoll") continue;
    if (nestsOf(files, index) > MAX_NESTS) {
      throw malformed(`set ${index} is nested too deep`);
    }
    const seen = new Set<string>();
    for (const { fd, file } of state.interests) {
      const count = (counts.get(file) ?? 0) + 1;
      counts.set(file, count);
      const isSet = files[file]?.type === "epoll";
      if (count > (isSet ? MAX_SET_INTERESTS : MAX_INTERESTS)) {
        throw malformed(`too many sets wait for file ${file}`);
      }
      const key = `${fd} ${file}`;
      if (!files[file] || seen.has(key)) {
        throw malformed(`an interest of set ${index} is out of place`);
      }
      seen.add(key);
    }
  }
}

/** How many sets are below one, one in another; too many of one in itself. */
function nestsOf(files: FilesTable["files"], index: number): number {
  let level = new Set([index]);
  for (let nests = 0; nests <= MAX_NESTS; nests++) {
    const below = new Set<number>();
    for (const set of level) {
      const state = files[set];
      if (state.type !== "epoll") continue;
      for (const { file } of state.interests) {
        if (files[file]?.type === "epoll") below.add(file);
      }
    }
    if (below.size === 0) return nests;
    level = below;
  }
  return MAX_NESTS + 1;
}
