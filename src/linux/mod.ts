/**
 * The Linux personality, and VMs that run Linux programs.
 *
 * @module
 */

export { ProgramError, type ProgramErrorCode } from "./errors.ts";
export { SIGNAL, signalName } from "./faults.ts";
export type { ExitStatus } from "./linux.ts";
export { lineTracer, type Tracer } from "./trace.ts";
export {
  type RestoreOptions,
  type SaveOptions,
  Vm,
  type VmEnd,
  type VmOptions,
} from "./vm.ts";
