/**
 * /proc/sys: what programs ask of the kernel's settings.
 *
 * @module
 */

import { MAX_DESCRIPTORS, PIPE_BYTES } from "../../devices/mod.ts";
import { UTS } from "../uts.ts";
import { fixed, folder, text } from "./node.ts";

/** A random UUID, version 4 (RFC 9562). */
function uuid(): string {
  return `${crypto.randomUUID()}\n`;
}

/** /proc/sys. */
export const settingsFolder = folder({
  fs: folder({
    "file-max": fixed(`${MAX_DESCRIPTORS}\n`),
    nr_open: fixed(`${MAX_DESCRIPTORS}\n`),
    "pipe-max-size": fixed(`${PIPE_BYTES}\n`),
    inotify: folder({
      max_queued_events: fixed("16384\n"),
      max_user_instances: fixed("128\n"),
      max_user_watches: fixed("8192\n"),
    }),
  }),
  kernel: folder({
    cap_last_cap: fixed("40\n"),
    core_pattern: fixed("core\n"),
    domainname: fixed(`${UTS.domainName}\n`),
    hostname: fixed(`${UTS.nodeName}\n`),
    ngroups_max: fixed("65536\n"),
    osrelease: fixed(`${UTS.release}\n`),
    ostype: fixed(`${UTS.systemName}\n`),
    overflowgid: fixed("65534\n"),
    overflowuid: fixed("65534\n"),
    pid_max: fixed("32768\n"),
    random: folder({
      entropy_avail: fixed("256\n"),
      poolsize: fixed("256\n"),
      uuid: text(uuid),
    }),
    randomize_va_space: fixed("0\n"),
    "threads-max": fixed("1024\n"),
    version: fixed(`${UTS.version}\n`),
  }),
  vm: folder({
    max_map_count: fixed("65530\n"),
    mmap_min_addr: fixed("65536\n"),
    overcommit_memory: fixed("0\n"),
    overcommit_ratio: fixed("50\n"),
    swappiness: fixed("60\n"),
  }),
});

/** The text of /proc/version. */
export const VERSION_TEXT =
  `${UTS.systemName} version ${UTS.release} ${UTS.version}\n`;
