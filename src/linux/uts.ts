/**
 * What uname(2) and /proc say of the system.
 *
 * @module
 */

/** The fields of `struct new_utsname` (linux/utsname.h), in their order. */
export const UTS = {
  systemName: "Linux",
  nodeName: "scratchvm",
  /** The release whose interface is imitated. */
  release: "6.1.0-scratchvm",
  version: "#1 ScratchVM",
  machine: "x86_64",
  domainName: "(none)",
} as const;
