/**
 * Why a vCPU left the guest, as an object.
 *
 * @module
 */

import { KVM_EXIT } from "./constants.ts";
import { RUN } from "./layout.ts";
import type { KvmRun } from "./run.ts";

/** Why a vCPU left the guest. */
export type Exit =
  | {
    readonly kind: "io";
    readonly direction: "in" | "out";
    readonly port: number;
    readonly sizeBytes: number;
    readonly count: number;
    /** The bytes on their way, in place. */
    readonly data: Uint8Array;
  }
  | {
    readonly kind: "mmio";
    readonly gpa: number;
    readonly isWrite: boolean;
    /** The bytes on their way, in place. */
    readonly data: Uint8Array;
  }
  | { readonly kind: "hypercall"; readonly number: bigint }
  | { readonly kind: "debug" }
  | { readonly kind: "hlt" }
  | { readonly kind: "intr" }
  | { readonly kind: "shutdown" }
  | { readonly kind: "system-event"; readonly type: number }
  | { readonly kind: "fail-entry"; readonly reason: bigint }
  | {
    readonly kind: "internal-error";
    readonly suberror: number;
    readonly data: readonly bigint[];
  }
  | { readonly kind: "unsupported"; readonly reason: number };

/** The exit that KVM_RUN has just returned with. */
export function decodeExit(run: KvmRun): Exit {
  const { view } = run;
  const reason = run.exitReason;
  switch (reason) {
    case KVM_EXIT.KVM_EXIT_IO: {
      const sizeBytes = run.ioSizeBytes;
      const count = run.ioCount;
      const at = run.ioDataOffset;
      return {
        kind: "io",
        direction: run.ioDirection === 1 ? "out" : "in",
        port: run.ioPort,
        sizeBytes,
        count,
        data: run.u8.subarray(at, at + sizeBytes * count),
      };
    }
    case KVM_EXIT.KVM_EXIT_MMIO:
      return {
        kind: "mmio",
        gpa: run.mmioGpa,
        isWrite: run.mmioIsWrite,
        data: run.mmioData,
      };
    case KVM_EXIT.KVM_EXIT_HYPERCALL:
      return {
        kind: "hypercall",
        number: view.getBigUint64(RUN.hypercall_nr, true),
      };
    case KVM_EXIT.KVM_EXIT_DEBUG:
      return { kind: "debug" };
    case KVM_EXIT.KVM_EXIT_HLT:
      return { kind: "hlt" };
    case KVM_EXIT.KVM_EXIT_INTR:
      return { kind: "intr" };
    case KVM_EXIT.KVM_EXIT_SHUTDOWN:
      return { kind: "shutdown" };
    case KVM_EXIT.KVM_EXIT_SYSTEM_EVENT:
      return {
        kind: "system-event",
        type: view.getUint32(RUN.system_event_type, true),
      };
    case KVM_EXIT.KVM_EXIT_FAIL_ENTRY:
      return {
        kind: "fail-entry",
        reason: view.getBigUint64(RUN.fail_entry_reason, true),
      };
    case KVM_EXIT.KVM_EXIT_INTERNAL_ERROR: {
      const count = Math.min(view.getUint32(RUN.internal_ndata, true), 16);
      return {
        kind: "internal-error",
        suberror: view.getUint32(RUN.internal_suberror, true),
        data: Array.from(
          { length: count },
          (_, i) => view.getBigUint64(RUN.internal_data + i * 8, true),
        ),
      };
    }
    default:
      return { kind: "unsupported", reason };
  }
}
