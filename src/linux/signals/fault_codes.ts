/**
 * What Linux says of each exception in its signal: si_code, and what is in the
 * frame (arch/x86/kernel/traps.c, arch/x86/mm/fault.c).
 *
 * @module
 */

import type { KvmVcpu } from "../../kvm/mod.ts";
import { USER_END_VA } from "../../vmm/mod.ts";
import type { AddressSpace } from "../address_space.ts";
import {
  PAGE_FAULT,
  PAGE_FAULT_ERROR,
  SIGNAL,
  type Signaled,
} from "../faults.ts";
import type { ExceptionFrame } from "../registers.ts";
import type { Fault } from "./delivery.ts";
import { CODE } from "./info.ts";

/** BUS_ADRERR: an address that is not there. */
export const BUS_ADRERR = 2;

/** SEGV_MAPERR and SEGV_ACCERR: nothing is there, or it is not allowed. */
const SEGV = { notMapped: 1, notAllowed: 2 } as const;

/** Codes of the exceptions that always have the same. */
const CODES: Readonly<Record<number, number>> = {
  0: 1, // FPE_INTDIV
  1: 2, // TRAP_TRACE
  6: 2, // ILL_ILLOPN
  17: 1, // BUS_ADRALN
};

/** Vectors of floating-point exceptions. */
const X87 = 16;
const SIMD = 19;

/** Where x87's control and status words and MXCSR are in an XSAVE area. */
const XSAVE = { control: 0, status: 2, mxcsr: 24 } as const;

/** Exceptions of x87 and MXCSR, and the code of each (FPE_*). */
const FLOAT_CODES: readonly (readonly [bits: number, code: number])[] = [
  [0x01, 7], // FPE_FLTINV
  [0x04, 3], // FPE_FLTDIV
  [0x08, 4], // FPE_FLTOVF
  [0x12, 5], // FPE_FLTUND
  [0x20, 6], // FPE_FLTRES
];

/** The code of a floating-point exception. */
function floatCode(vcpu: KvmVcpu, vector: number): number {
  const view = new DataView(vcpu.getXsave().buffer);
  const mxcsr = view.getUint32(XSAVE.mxcsr, true);
  const raised = vector === SIMD
    ? mxcsr & ~(mxcsr >>> 7)
    : view.getUint16(XSAVE.status, true) &
      ~view.getUint16(XSAVE.control, true);
  return FLOAT_CODES.find(([bits]) => raised & bits)?.[1] ?? 0;
}

/** An exception, as the CPU told of it. */
export interface Exception {
  /** Its vector. */
  readonly vector: number;
  /** What the CPU pushed. */
  readonly frame: ExceptionFrame;
  /** CR2. */
  readonly faultAddress: bigint;
}

/** What the program is told of an exception. */
export function faultOf(
  { vcpu, space }: { readonly vcpu: KvmVcpu; readonly space: AddressSpace },
  signaled: Signaled,
  { vector, frame, faultAddress }: Exception,
): Fault {
  const isPage = vector === PAGE_FAULT;
  let { errorCode } = frame;
  // No entry has reserved bits: where it is set, it is KVM's own affair.
  if (isPage) errorCode &= ~PAGE_FAULT_ERROR.reserved;
  // What is behind the program's addresses is not for it to find out.
  if (isPage && faultAddress >= BigInt(USER_END_VA)) {
    errorCode |= PAGE_FAULT_ERROR.present;
  }
  const trap = { vector, errorCode, address: isPage ? faultAddress : 0n };
  const fault = (code: number) => ({ signaled, code, trap });
  if (isPage && signaled.signal === SIGNAL.SIGBUS) return fault(BUS_ADRERR);
  if (isPage) {
    const isThere = faultAddress < BigInt(USER_END_VA) &&
      space.areas.find(Number(faultAddress)) !== undefined;
    return fault(isThere ? SEGV.notAllowed : SEGV.notMapped);
  }
  if (vector === X87 || vector === SIMD) {
    return fault(floatCode(vcpu, vector));
  }
  return fault(CODES[vector] ?? CODE.kernel);
}
