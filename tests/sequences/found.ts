/**
 * Sequences that once were not answered as on Linux, each as short as it could
 * be made.
 *
 * @module
 */

/** By what was wrong. */
export const FOUND: Readonly<Record<string, readonly string[]>> = {
  "open looks at its flags before its path": [
    "open 0 65600 420",
    'openat 7 "f0 65602 420',
    "openat -100 140737488355328 4194306 420",
  ],
  "what is wrong with a new name comes after the old one": [
    'rename "none/f0 -1',
    'open "f0 66 420',
    'renameat 3 "d0 6 "f0',
    'renameat2 -100 "d0/f0 3 "d0 2',
    'link "none -1',
    'linkat -100 "none/f0 999 "f1 0',
  ],
  "a folder's own name is looked for in it": ['creat "d0/. 493'],
  "socketpair says which they are before it looks at their kind": [
    "socketpair 1 2057 0 {0}",
    "socketpair 99 2049 0 {0}",
    "socketpair 2 2049 0 {0}",
    "socketpair 2 2057 0 {0}",
    "socketpair 1 0 0 @-4096",
  ],
  "flags of preadv2 come last": [
    "preadv2 3 {@0,10} 1 0 0 2147483648",
    "pipe2 {0} 2048",
    "preadv2 3 {@0,10} 1 4096 0 2147483648",
    'open "f0 66 420',
    "preadv2 5 {@0,10} 1 -2 0 2147483648",
    "preadv2 5 {@0,0} 1 0 0 2147483648",
  ],
  "what has no offset is refused before its buffer": [
    "socketpair 1 2049 0 {0}",
    "pread64 3 -1 4096 5",
    "pwrite64 4 @-4096 10 100",
    "eventfd2 1 2048",
    "pread64 5 -1 8 0",
    "sendfile 999 3 {0} 10",
  ],
  "FIONREAD counts to the end of a file": [
    'open "f0 66 420',
    "write 3 @0 100",
    "lseek 3 30 0",
    "ioctl 3 21531 {1}",
    "ioctl 3 21531 -1",
    'open ". 65536 0',
    "ioctl 4 21531 {1}",
  ],
  "ioctl takes no descriptor of a path": [
    'open "f0 66 420',
    'open "f0 2097152 0',
    "ioctl 4 21585 {1}",
  ],
  "CPU clocks of the process and its thread, by number": [
    "clock_gettime -6 S",
    "clock_gettime -2 S",
    "clock_gettime -1 S",
    "clock_getres -6 S",
    "clock_gettime 11 S",
    "clock_gettime 11 -1",
  ],
  "madvise beyond all memory finds none": [
    "madvise 140737488351232 9223372036854775808 15",
    "madvise @0 -4096 15",
    "madvise @0 -1 15",
    "madvise @69632 8192 9",
    "madvise @0 4096 9",
    "madvise @0 4096 24",
    "peek @0",
    "madvise @65536 28672 24",
  ],
  "mmap looks at its type after its place": [
    "mmap 140737488347136 2101248 -1 48 -1 0",
    "mmap @0 4096 3 48 -1 0",
    "mmap @0 4096 3 51 -1 0",
  ],
  "bits of mprotect beside those of pages": [
    "mprotect @0 4096 8",
    "poke @0 1",
    "mprotect @-4096 2101248 8",
    "mprotect @4096 4096 16777217",
    "mprotect @-8192 4096 16777217",
    "mprotect @4096 4096 33554433",
    "mprotect @4096 4096 50331649",
    "mprotect @4096 4096 16",
    "mprotect @4096 4096 4294967297",
  ],
  "mremap shrinks over what is not there": [
    "mremap @32768 2101248 8192 1 @32768",
    "peek @36864",
    "peek @40960",
  ],
  "mremap to its own place is refused before it is looked for": [
    "mremap @49152 2097152 4097 3 @57344",
    "mremap @4096 4096 8192 3 @16384",
    "peek @16385",
    "peek @4096",
  ],
  "the end of sync_file_range is an offset too": [
    'open "f0 66 420',
    "sync_file_range 3 8000 9223372036854775807 0",
    "sync_file_range 3 0 9223372036854775807 0",
  ],
  "only a folder's entries have a length that can be wrong": [
    'open "f0 66 420',
    "getdents64 3 S -1",
    'open ". 65536 0',
    "getdents64 4 S -1",
  ],
  "mincore looks at where it writes first": ["mincore @65536 2097152 -1"],
  "what is no folder holds no names": [
    'open "f0 66 420',
    'unlink "f0',
    'statx 3 "f2 0 0 S',
    'openat 3 "f2 66 420',
  ],
  "an empty path is found to be so before its folder": [
    'open "f0 66 420',
    'openat 3 " 0 0',
    'openat 999 " 0 0',
    'mkdirat 999 " 493',
    'unlinkat 3 " 0',
    'faccessat 999 " 0',
    'readlinkat 3 " S 10',
    'readlinkat 999 " S 10',
    'readlinkat -100 " S 10',
  ],
  "utimensat has nothing to do where both times stay": [
    'utimensat -100 "none {1,1073741822,1,1073741822} 1',
    "utimensat 999 0 {1,1073741822,1,1073741822} 0",
  ],
  "what cannot be written says so before it looks at the buffer": [
    "timerfd_create 0 2048",
    "write 3 @-8192 511",
    "writev 3 @-8192 1",
    "epoll_create1 0",
    "write 4 @-8192 511",
    "read 4 @-8192 511",
  ],
  "what is left out by mremap ends where addresses do": [
    "mmap @61440 4096 3 50 -1 0",
    "mremap @61440 140737488355328 4096 0 @0",
    "time 0",
  ],
};
