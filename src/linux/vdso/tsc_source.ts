/**
 * Whether a program's time-stamp counter can be used to tell the time.
 *
 * @module
 */

import { cpuidEntries, KvmError, type KvmVcpu } from "../../kvm/mod.ts";

/** What this machine's kernel itself tells the time by. */
const CLOCK_SOURCE =
  "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/** Clocks of a hypervisor's that are made of the counter. */
const PARAVIRTUAL = new Set(["kvm-clock", "hyperv_clocksource_tsc_page"]);

/** CPUID leaf 0x80000007, EDX: the counter's rate never changes. */
const POWER_LEAF = 0x8000_0007;
const INVARIANT_TSC = 1 << 8;

function clockSource(): string | undefined {
  try {
    return Deno.readTextFileSync(CLOCK_SOURCE).trim();
  } catch {
    return undefined; // not known, or not to be read: not used
  }
}

function isInvariant(vcpu: KvmVcpu): boolean {
  for (const { leaf, registers } of cpuidEntries(vcpu.getCpuid())) {
    if (leaf === POWER_LEAF) return (registers[3] & INVARIANT_TSC) !== 0;
  }
  return false;
}

/**
 * The rate of a vCPU's time-stamp counter as KVM says, nanoseconds a tick.
 *
 * @returns `undefined` unless the kernel of this machine tells the time by the
 * counter, too: then all CPUs show the same, whatever they do
 */
export function nominalTscRate(vcpu: KvmVcpu): number | undefined {
  const source = clockSource();
  if (source === undefined) return undefined;
  const isTrusted = source === "tsc" ||
    (PARAVIRTUAL.has(source) && isInvariant(vcpu));
  if (!isTrusted) return undefined;
  try {
    const khz = vcpu.getTscKhz();
    return khz > 0 ? 1e6 / khz : undefined;
  } catch (error) {
    if (error instanceof KvmError) return undefined; // it has no constant rate
    throw error;
  }
}
