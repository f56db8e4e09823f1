/**
 * Constants of the host's system calls, which are also those of the program's.
 *
 * @module
 */

/** Bits of poll(2). */
export const POLL = {
  in: 1,
  pri: 2,
  out: 4,
  err: 8,
  hup: 16,
  nval: 32,
  readNormal: 0x40,
  readBand: 0x80,
  writeNormal: 0x100,
  writeBand: 0x200,
  readHup: 0x2000,
} as const;

/** What holds where something can be read, or written. */
export const READABLE = POLL.in | POLL.readNormal;
/** See {@linkcode READABLE}. */
export const WRITABLE = POLL.out | POLL.writeNormal;

/** Flags of the *at calls (fcntl.h). */
export const AT_EMPTY_PATH = 0x1000;
/** Do not follow the last symbolic link. */
export const AT_SYMLINK_NOFOLLOW = 0x100;
/** Follow the last symbolic link, where a call does not by itself. */
export const AT_SYMLINK_FOLLOW = 0x400;
/** The current folder. */
export const AT_FDCWD = -100;

/** Flags of open(2), x86-64 (asm-generic/fcntl.h). */
export const O = {
  accessMode: 0o3,
  readOnly: 0,
  writeOnly: 1,
  readWrite: 2,
  create: 0o100,
  exclusive: 0o200,
  noControllingTerminal: 0o400,
  truncate: 0o1000,
  append: 0o2000,
  nonBlock: 0o4000,
  dataSync: 0o10000,
  direct: 0o40000,
  largeFile: 0o100000,
  directory: 0o200000,
  noFollow: 0o400000,
  noAccessTime: 0o1000000,
  closeOnExec: 0o2000000,
  path: 0o10000000,
  temporary: 0o20200000,
} as const;

/** File types of st_mode (stat.h). */
export const S_IF = {
  mask: 0o170000,
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  regular: 0o100000,
  link: 0o120000,
  socket: 0o140000,
} as const;
