/**
 * Sequences of system calls, as sequence.c reads them.
 *
 * What is left out is what may differ between two runs on Linux, waits, takes
 * for ever, or harms the machine it runs on.
 *
 * @module
 */

import fc from "fast-check";
import {
  buffer,
  dropped,
  fd,
  flags,
  folderFd,
  length,
  mapped,
  mappedSome,
  mode,
  numbers,
  offset,
  orBad,
  orWrong,
  page,
  pagePlace,
  path,
  place,
  vectors,
  type Words,
  words,
} from "./arguments.ts";

function line(name: string, ...args: Words[]): Words {
  return fc.tuple(...args).map((all) => [name, ...all].join(" "));
}

const O_NONBLOCK = 0x800;
const O_PATH = 0x20_0000;
const AT = { noFollow: 0x100, removeDir: 0x200, follow: 0x400, empty: 0x1000 };

const openFlags: Words = fc.tuple(
  fc.constantFrom(0, 1, 2, 2, 2, 3),
  // O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC
  fc.subarray([0x40, 0x40, 0x80, 0x200, 0x400, 0x1_0000, 0x2_0000, 0x8_0000]),
  fc.constantFrom(0, 0, 0, 0, 0, 0, O_PATH, 0x41_0000),
).map(([access, some, more]) =>
  String(some.reduce((sum, bit) => sum | bit, access | more | O_NONBLOCK))
);

/** Opening is what all else needs. */
const opening: Words = fc.oneof(
  line("open", path, numbers(0x842, 0x842, 0x840 | 2 | 0x400), mode),
  line("open", path, openFlags, mode),
  line("openat", folderFd, path, openFlags, mode),
  line("pipe2", orBad(words(numbers(0))), numbers(O_NONBLOCK, 0x8_0800)),
  line("creat", path, mode),
);

const descriptors: Words = fc.oneof(
  line("close", fd),
  line(
    "close_range",
    numbers(3, 4, 5, 8, 9, -1),
    numbers(3, 6, 7, -1, 2 ** 32),
    numbers(0, 4, 4, 8),
  ),
  line("dup", fd),
  line("dup2", fd, orWrong(numbers(3, 4, 5, 6, 7, 8, 9), -1, 1023, 1024)),
  line(
    "dup3",
    fd,
    orWrong(numbers(3, 4, 5, 6, 7, 8, 9), -1, 1023, 1024),
    numbers(0, 0x8_0000, 1, O_NONBLOCK),
  ),
  line("fcntl", fd, numbers(0, 1030), numbers(3, 5, 9, 1023, 1024, -1)),
  line("fcntl", fd, numbers(1, 3), numbers(0)),
  line("fcntl", fd, numbers(2), numbers(0, 1, 2, -1)),
  line("fcntl", fd, numbers(4), numbers(0x800, 0xc00, 0xfff | 0x4_0000, 0x801)),
  line(
    "fcntl",
    fd,
    numbers(1031, 1032),
    numbers(0, 1, 4096, 4097, 8192, 65_536, 2 ** 30, -1),
  ),
  line(
    "fcntl",
    fd,
    numbers(5, 6, 36, 37),
    orBad(
      words(
        numbers(0, 1, 2, 3, 0x1_0000, 0x2_0001),
        offset,
        offset,
        numbers(0, 0, 5),
      ),
    ),
  ),
  line(
    "ioctl",
    fd,
    numbers(0x541b, 0x5421, 0x5450, 0x5451, 0x5401, 0x5413, 0, -1),
    orBad(words(numbers(1))),
  ),
  line("flock", fd, numbers(4, 5, 6, 8, 12, 7, 0x15)),
);

const io: Words = fc.oneof(
  line("read", fd, buffer, length),
  line("write", fd, buffer, length),
  line("pread64", fd, buffer, length, offset),
  line("pwrite64", fd, buffer, length, offset),
  line("readv", fd, vectors),
  line("writev", fd, vectors),
  line("preadv", fd, vectors, offset, numbers(0, 0, 1)),
  line("pwritev", fd, vectors, offset, numbers(0, 0, 1)),
  line(
    "preadv2",
    fd,
    vectors,
    offset,
    numbers(0, 0, 1),
    numbers(0, 0, 1, 0x8000_0000),
  ),
  line(
    "pwritev2",
    fd,
    vectors,
    orWrong(offset, -1),
    numbers(0, 0, -1),
    numbers(0, 0, 1, 0x8000_0000),
  ),
  line("lseek", fd, offset, orWrong(numbers(0, 1, 2, 3, 4), 5, -1)),
  line(
    "copy_file_range",
    fd,
    orBad(fc.oneof(words(offset), numbers(0))),
    fd,
    orBad(fc.oneof(words(offset), numbers(0))),
    numbers(0, 1, 100, 4096, 70_000),
    numbers(0, 0, 0, 1),
  ),
);

const sizes: Words = fc.oneof(
  line("truncate", path, offset),
  line("ftruncate", fd, offset),
  line(
    "fallocate",
    fd,
    numbers(0, 0, 1, 2, 3, 8, 16, 32, 64),
    orWrong(numbers(0, 1, 4096, 8192), -1),
    orWrong(numbers(1, 4096, 10_000), 0, -1, 2n ** 63n - 1n),
  ),
  line("fsync", fd),
  line("fdatasync", fd),
  line("sync_file_range", fd, offset, offset, numbers(0, 7, 8)),
  line("fadvise64", fd, offset, offset, numbers(0, 3, 5, 6, -1)),
  line("readahead", fd, offset, numbers(0, 10)),
);

const names: Words = fc.oneof(
  ...["stat", "lstat"].map((name) => line(name, path, dropped)),
  line("fstat", fd, dropped),
  line(
    "newfstatat",
    folderFd,
    path,
    fc.constant("S"),
    flags(AT.noFollow, AT.empty, 0x800),
  ),
  line(
    "statx",
    folderFd,
    path,
    numbers(0, AT.noFollow, AT.empty, 0x6000, 1),
    numbers(0x7ff, 0, 0x8000_0000),
    dropped,
  ),
  line("access", path, numbers(0, 1, 2, 4, 7, 8, -1)),
  line("faccessat", folderFd, path, numbers(0, 1, 2, 4, 7, 8, -1)),
  line(
    "faccessat2",
    folderFd,
    path,
    numbers(0, 1, 2, 4, 7, 8),
    flags(AT.noFollow, AT.removeDir, AT.empty),
  ),
  line("mkdir", path, mode),
  line("mkdirat", folderFd, path, mode),
  line("rmdir", path),
  line("unlink", path),
  line("unlinkat", folderFd, path, numbers(0, AT.removeDir, 1)),
  line("rename", path, path),
  line("renameat", folderFd, path, folderFd, path),
  line("renameat2", folderFd, path, folderFd, path, numbers(0, 1, 2, 3, 8)),
  line("link", path, path),
  line("linkat", folderFd, path, folderFd, path, numbers(0, AT.follow, 1)),
  line(
    "symlink",
    fc.constantFrom('"f0', '"d0', '"l0', '"none', '"', "0"),
    path,
  ),
  line("symlinkat", fc.constantFrom('"f0', '"d0', '"l0'), folderFd, path),
  line("readlink", path, fc.constant("S"), numbers(0, 1, 100, -1)),
  line("readlinkat", folderFd, path, fc.constant("S"), numbers(0, 1, 100, -1)),
  line("chmod", path, mode),
  line("fchmodat", folderFd, path, mode),
  line("umask", numbers(0, 0o22, 0o77, 0o7777, -1)),
  line("chdir", path),
  line("fchdir", fd),
  line("getdents64", fd, fc.constant("S"), numbers(4096)),
  line("getdents64", fd, buffer, numbers(0, 1, 20, -1)),
  line(
    "utimensat",
    folderFd,
    path,
    orBad(
      words(
        numbers(1, -1),
        numbers(0, 999_999_999, 1_000_000_000, 0x3fff_ffff, 0x3fff_fffe, -1),
        numbers(1),
        numbers(0, 0x3fff_fffe),
      ),
    ),
    numbers(0, AT.noFollow, 1),
  ),
);

const prot: Words = orWrong(
  numbers(0, 1, 2, 3, 3, 4, 5, 7),
  8,
  16,
  0x0100_0000,
  0x0200_0000,
  -1,
);
const ANONYMOUS = 0x20;
const FIXED = 0x10;

const memory: Words = fc.oneof(
  line(
    "mmap",
    page,
    mapped,
    prot,
    numbers(
      0x22,
      0x32,
      0x32,
      0x21,
      0x31,
      0x10_0022,
      0x10_0032,
      0x4032,
      0x8032,
      0x23,
      0x20,
      0x24,
    ),
    numbers(-1, -1, 3),
    numbers(0, 0, 4096, 1, -4096),
  ),
  line(
    "mmap",
    page,
    mapped,
    prot,
    numbers(1, 2, 3, 0x11, 0x12, 0x12, 0x11, 0x13, 0x10_0001, 0),
    fd,
    numbers(0, 0, 4096, 65_536, 1, -4096),
  ),
  line(
    "mmap",
    numbers(0x7fff_ffff_e000, 0x7fff_ffff_f000, 0x8000_0000_0000, -4096),
    mapped,
    prot,
    flags(2, ANONYMOUS, FIXED),
    numbers(-1),
    numbers(0),
  ),
  line("munmap", page, mapped),
  line("mprotect", page, mapped, prot),
  // Of more pages, kernels differ in what is unmapped before it is refused.
  line("mremap", pagePlace, numbers(4096), mappedSome, numbers(3), page),
  line(
    "mremap",
    page,
    mapped,
    mappedSome,
    numbers(0, 1, 1, 2, 8, -1),
    page,
  ),
  line(
    "madvise",
    page,
    // No length that reaches the stack: some kernels clear what is on the way.
    orWrong(mappedSome, 0, 2n ** 63n, -1, -4096, 0xffff_ffff_ffff_f001n),
    numbers(
      0,
      1,
      2,
      3,
      4,
      4,
      4,
      9,
      10,
      11,
      14,
      15,
      16,
      17,
      20,
      22,
      23,
      24,
      99,
      -1,
    ),
  ),
  line("msync", page, mapped, numbers(0, 1, 2, 4, 5, 6, 8)),
  line("mincore", page, mapped, dropped),
  line("brk", numbers(0, 1, -1, 2n ** 47n)),
  line("peek", place),
  line("poke", place, numbers(1, 77)),
  line("peek", pagePlace),
  line("poke", pagePlace, numbers(2, 78)),
);

const files: Words = fc.oneof(
  line(
    "socketpair",
    numbers(1, 1, 2, 99),
    numbers(0x801, 0x802, 0x805, 0, 9),
    numbers(0),
    orBad(words(numbers(0))),
  ),
  line("shutdown", fd, numbers(0, 1, 2, 3, -1)),
  line(
    "eventfd2",
    numbers(0, 1, 0xffff_ffff),
    numbers(0x800, 0x801, 0x8_0800, 0x802),
  ),
  line("memfd_create", path, numbers(0, 1, 8192)),
  line(
    "timerfd_create",
    numbers(0, 1, 7, 2, 99, -1),
    numbers(0x800, 0x8_0800, 1),
  ),
  line(
    "timerfd_settime",
    fd,
    numbers(0, 0, 1, 3, 4),
    orBad(
      words(
        numbers(0),
        numbers(0, 5, -1),
        numbers(0, 10_000),
        numbers(0, 1_000_000_000),
      ),
    ),
    numbers(0),
  ),
  line("timerfd_gettime", fd, dropped),
  line(
    "poll",
    orBad(words(
      fd.map(String).map((n) =>
        String(BigInt.asUintN(32, BigInt(n)) | 0x1f_0000_0000n)
      ),
      numbers(0x1_ffff_ffffn, 0xffff_0000_0003n),
    )),
    numbers(0, 1, 2, 1025, -1),
    numbers(0, 1),
  ),
  line("epoll_create1", numbers(0, 0x8_0000, 1)),
  line(
    "epoll_ctl",
    fd,
    numbers(1, 2, 3, 4),
    fd,
    orBad(words(numbers(0x1_0000_0001n, 5, 0x1_8000_0004n), numbers(0))),
  ),
);

const time: Words = fc.oneof(
  fc.constant("monotone"),
  line(
    "nanosleep",
    orBad(words(numbers(0, -1), numbers(0, 1000, 1_000_000_000, -1))),
    orBad(numbers(0)),
  ),
  line(
    "clock_nanosleep",
    numbers(0, 1, 7, 99, -1),
    numbers(0, 1, 2),
    orBad(words(numbers(0, -1), numbers(0, 1000, 1_000_000_000))),
    orBad(numbers(0)),
  ),
  line(
    "clock_gettime",
    numbers(0, 1, 2, 3, 4, 5, 6, 7, 10, 99, -1, -6, 11),
    dropped,
  ),
  line(
    "clock_getres",
    numbers(0, 1, 2, 3, 4, 5, 6, 7, 10, 99, -1),
    dropped,
  ),
  line("gettimeofday", dropped, orBad(numbers(0))),
  line("time", dropped),
  line("times", dropped),
  line("getitimer", numbers(0, 1, 2, 3, -1), dropped),
  line(
    "setitimer",
    numbers(0, 1, 2, 3, -1),
    orBad(
      words(
        numbers(0),
        numbers(0),
        numbers(0, 1000),
        numbers(0, 1_000_000, -1),
      ),
    ),
    dropped,
  ),
);

/** A call that gets what the line before opened, as R. */
function opened(call: Words): Words {
  const open = line(
    "open",
    path,
    numbers(0x842, 0x842, 0x800, O_PATH),
    numbers(0o644),
  );
  return fc.tuple(open, call).map((both) => both.join("\n"));
}

/** Who may be made the owner of what one owns: nobody else. */
const uid: Words = numbers(-1, Deno.uid() ?? 0);
const gid: Words = numbers(-1, Deno.gid() ?? 0);
const R: Words = fc.constant("R");

const owners: Words = fc.oneof(
  opened(line("fchmod", R, mode)),
  opened(line("fchown", R, uid, gid)),
  opened(line("fchownat", R, fc.constant('"'), uid, gid, numbers(AT.empty))),
  line("chown", path, uid, gid),
  line("lchown", path, uid, gid),
  line(
    "fchownat",
    folderFd,
    path,
    uid,
    gid,
    flags(AT.noFollow, AT.removeDir),
  ),
);

/** Types of files: none, regular, a FIFO, and those that may not be made. */
const nodes: Words = fc.oneof(
  line("mknod", path, numbers(0o600, 0o10_0644, 0o4_0644, 0o11_0000)),
  line("mknodat", folderFd, path, numbers(0o600, 0o10_0644, 0o4_0644)),
  // It has a name of its own: what opens it would wait.
  line("mknod", fc.constant('"p0'), numbers(0o1_0644, 0o1_0600, 0o10_0644)),
  line("unlink", fc.constant('"p0')),
  line("lstat", fc.constant('"p0'), dropped),
);

/** Flags and permissions: right ones, and any. */
const howOpened: Words = fc.oneof(
  fc.constantFrom("2048,0", "2050,0", "2114,384", "2112,0", "67584,0"),
  fc.constantFrom("2097152,0", "2097152,384", "2048,384", "2114,65536"),
  openFlags.map((flags) => `${flags},0`),
);

const openat2: Words = line(
  "openat2",
  folderFd,
  path,
  orBad(
    words(
      howOpened,
      numbers(0, 0, 0, 0, 1, 2, 4, 8, 0x10, 0xc, 0x18, 0x40),
      numbers(0),
    ),
  ),
  orWrong(numbers(24, 24, 24, 32), 0, 23, 8192),
);

const ATTRIBUTES = fc.constantFrom('"user.a', '"user.b');

/** A name, a value and flags of which something is wrong. */
const wrongAttribute: Words = fc.constantFrom(
  '" C 1 0',
  '"user. C 1 0',
  '"long C 1 0',
  "0 C 1 0",
  '"user.z C 1 8',
  '"user.z C 65537 0',
  '"user.z -1 1 0',
);

/** Each call by path, by path of a link, and by descriptor. */
function eachWay(call: string, ...args: Words[]): Words {
  const descriptor = fc.constantFrom("R", "40", "999");
  return fc.oneof(
    line(call, path, ...args),
    line(`l${call}`, path, ...args),
    opened(line(`f${call}`, descriptor, ...args)),
  );
}

const attributes: Words = fc.oneof(
  ...[1, 2].map(() =>
    eachWay(
      "setxattr",
      ATTRIBUTES,
      fc.constant("C"),
      numbers(0, 1, 10, 100),
      numbers(0, 0, 1, 2),
    )
  ),
  eachWay("setxattr", wrongAttribute),
  eachWay("getxattr", ATTRIBUTES, fc.constant("S"), numbers(0, 5, 100, 200)),
  eachWay("listxattr", fc.constant("S"), numbers(400)),
  eachWay("removexattr", ATTRIBUTES),
);

/**
 * Ends of two pipes that are there from the beginning. No files are spliced
 * into them: Linux would take the pages, and what the file becomes later.
 */
const pipeEnd: Words = numbers(40, 41, 42, 43);
const small: Words = numbers(0, 1, 10, 100);
const spliceFlags: Words = orWrong(numbers(2, 2, 3), 0x10);

const pipes: Words = fc.oneof(
  line("write", numbers(41, 43), buffer, small),
  line("read", numbers(40, 42), place, small),
  line(
    "splice",
    pipeEnd,
    orWrong(numbers(0), 1),
    fc.oneof(pipeEnd, fd),
    orBad(fc.oneof(numbers(0), numbers(0), words(offset))),
    small,
    spliceFlags,
  ),
  line("tee", pipeEnd, fc.oneof(pipeEnd, pipeEnd, fd), small, spliceFlags),
  line(
    "vmsplice",
    numbers(41, 43),
    words(fc.constant("C"), numbers(1, 100, 4097)),
    numbers(1),
    spliceFlags,
  ),
  line("vmsplice", pipeEnd, words(place, small), numbers(0, 1), spliceFlags),
  opened(
    line(
      "sendfile",
      R,
      fc.oneof(fd, pipeEnd),
      orBad(fc.oneof(words(offset), numbers(0))),
      numbers(0, 1, 100, 4096, 70_000),
    ),
  ),
);

/** The descriptor of a set that is there from the beginning. */
const EPOLL = numbers(44, 44, 44, 44, 44, 3, 999);
const waitedFor: Words = fc.oneof(fd, pipeEnd);
const noTime: Words = orWrong(
  words(numbers(0), numbers(0, 0, 0, -1)),
  8,
  -1,
  0x7fff_ffff_f000,
);

/** Sets of descriptors that may be there: of the first, of the pipes. */
const descriptorSet: Words = fc.oneof(
  numbers(0),
  orBad(
    words(numbers(0, 8, 0x18, 0x38, 0x30n << 36n, 0xf0n << 36n, 1n << 41n)),
  ),
);

/** A mask of signals, and how long it is said to be. */
const signalMask: Words = fc.constantFrom("0 0", "0 8", "{0} 8", "{512} 4");

const waits: Words = fc.oneof(
  ...[1, 2].map(() =>
    line(
      "epoll_ctl",
      EPOLL,
      numbers(1, 1, 1, 2, 3),
      waitedFor,
      fc.tuple(
        // EPOLLIN and EPOLLOUT, also as EPOLLET and EPOLLONESHOT
        fc.constantFrom(1n, 4n, 5n, 0x8000_0005n, 0x4000_0005n, 0n, 0x2019n),
        fc.integer({ min: 1, max: 9 }),
      ).map(([events, data]) => `{${events | BigInt(data) << 32n},7}`),
    )
  ),
  line(
    "epoll_wait",
    EPOLL,
    orBad(words(...Array.from({ length: 6 }, () => numbers(0)))),
    orWrong(numbers(1, 2, 4), 0, -1),
    numbers(0),
  ),
  line(
    "epoll_pwait",
    EPOLL,
    words(...Array.from({ length: 6 }, () => numbers(0))),
    numbers(1, 4),
    numbers(0),
    signalMask,
  ),
  line(
    "epoll_pwait2",
    EPOLL,
    words(...Array.from({ length: 6 }, () => numbers(0))),
    numbers(1, 4),
    words(numbers(0), numbers(0)),
    signalMask,
  ),
  line(
    "select",
    numbers(64, 64, 44, 9, 0, -1),
    descriptorSet,
    descriptorSet,
    descriptorSet,
    noTime,
  ),
  line(
    "pselect6",
    numbers(64, 64, 44, 9, 0, -1),
    descriptorSet,
    descriptorSet,
    descriptorSet,
    noTime,
    orBad(fc.constantFrom("0", "{0,0}", "{0,8}", "{@0,8}", "{@0,4}")),
  ),
  line(
    "ppoll",
    orBad(words(
      ...[1, 2].map(() =>
        fc.tuple(pipeEnd, fc.constantFrom(1n, 4n, 5n, 0x2000n))
          .map(([fd, events]) => String(BigInt(fd) | events << 32n))
      ),
    )),
    numbers(0, 1, 2),
    words(numbers(0), numbers(0, 0, 1_000_000_000)),
    signalMask,
  ),
);

/** One call. */
export const call: Words = fc.oneof(
  { arbitrary: opening, weight: 5 },
  { arbitrary: descriptors, weight: 2 },
  { arbitrary: io, weight: 6 },
  { arbitrary: sizes, weight: 1 },
  { arbitrary: names, weight: 4 },
  { arbitrary: memory, weight: 5 },
  { arbitrary: files, weight: 2 },
  { arbitrary: time, weight: 1 },
  { arbitrary: owners, weight: 1 },
  { arbitrary: nodes, weight: 1 },
  { arbitrary: openat2, weight: 1 },
  { arbitrary: attributes, weight: 2 },
  { arbitrary: pipes, weight: 3 },
  { arbitrary: waits, weight: 3 },
);

/** A sequence of calls, shorter and simpler ones when it is shrunk. */
export const sequence: fc.Arbitrary<string[]> = fc.array(call, {
  minLength: 1,
  maxLength: 40,
  size: "max",
});

/** One that is saved, and goes on in another VM, between two calls. */
export const savedSequence: fc.Arbitrary<string[]> = fc.tuple(
  fc.array(call, { minLength: 3, maxLength: 30, size: "max" }),
  fc.array(call, { minLength: 3, maxLength: 30, size: "max" }),
).map(([before, after]) => [...before, "save", ...after]);
