/**
 * /proc/uptime, loadavg and stat.
 *
 * @module
 */

import type { Linux } from "../linux.ts";
import { taskIds } from "./tasks.ts";

/** Clock ticks a second: what AT_CLKTCK tells the program. */
const TICKS_PER_SECOND = 100;

/** The text of /proc/uptime: since the start, and without work, seconds. */
export function uptimeOf(linux: Linux): string {
  const upNs = linux.clock.monotonicNs();
  const idleNs = Math.max(upNs - linux.cpuNs(), 0);
  const seconds = (ns: number) => (ns / 1e9).toFixed(2);
  return `${seconds(upNs)} ${seconds(idleNs)}\n`;
}

/** The text of /proc/loadavg: there is one program, and it runs. */
export function loadOf(linux: Linux): string {
  const tasks = taskIds(linux);
  return `0.00 0.00 0.00 1/${tasks.length} ${tasks.at(-1)}\n`;
}

/** The text of /proc/stat. */
export function statisticsOf(linux: Linux): string {
  const ticks = (ns: number) => Math.floor(ns / 1e9 * TICKS_PER_SECOND);
  const upNs = linux.clock.monotonicNs();
  const busy = ticks(linux.cpuNs());
  const idle = Math.max(ticks(upNs) - busy, 0);
  linux.clock.readRealtime();
  const started = Math.floor(linux.clock.seconds - upNs / 1e9);
  const cpu = `${busy} 0 0 ${idle} 0 0 0 0 0 0\n`;
  return `cpu  ${cpu}cpu0 ${cpu}intr 0\nctxt 0\nbtime ${started}\n` +
    `processes 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0\n`;
}
