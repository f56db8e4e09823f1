/**
 * /proc/PID/mounts and mountinfo, /proc/filesystems.
 *
 * @module
 */

/** The file systems that a program sees: one tree of files, and what is virtual. */
const MOUNTS = [
  { type: "ext4", path: "/", source: "root", options: "rw,relatime" },
  { type: "proc", path: "/proc", source: "proc", options: "ro,relatime" },
  { type: "sysfs", path: "/sys", source: "sysfs", options: "ro,relatime" },
  { type: "devtmpfs", path: "/dev", source: "dev", options: "rw,relatime" },
] as const;

/** The text of /proc/PID/mounts (fstab(5)). */
export function mountsText(): string {
  return MOUNTS.map(({ source, path, type, options }) =>
    `${source} ${path} ${type} ${options} 0 0\n`
  ).join("");
}

/** The text of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
export function mountInfoText(): string {
  return MOUNTS.map(({ source, path, type, options }, i) =>
    `${i + 1} ${i === 0 ? 0 : 1} 0:${
      i + 1
    } / ${path} ${options} - ${type} ${source} ${options.split(",")[0]}\n`
  ).join("");
}

/** The text of /proc/filesystems. */
export function fileSystemsText(): string {
  return MOUNTS.map(({ type }) =>
    `${type === "ext4" ? "" : "nodev"}\t${type}\n`
  ).join("");
}
