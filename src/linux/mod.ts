/**
 * The Linux personality, and VMs that run Linux programs.
 *
 * @module
 */

export { CREATOR, VERSION } from "./creator.ts";
export type { SaveAnswer } from "./dispatcher.ts";
export { ProgramError, type ProgramErrorCode } from "./errors.ts";
export { SIGNAL, type Signaled, signalName } from "./faults.ts";
export type { ExitStatus } from "./linux.ts";
export { type Offer, offerOfImage, reasonsAgainst } from "./preflight.ts";
export { loadDevice } from "./load_device.ts";
export { syscallName } from "./syscall_numbers.ts";
export {
  type CallArguments,
  lineTracer,
  type TracedProgram,
  type Tracer,
} from "./trace.ts";
export { Vm } from "./vm.ts";
export type {
  CommonOptions,
  FrozenVm,
  HoldOptions,
  PreparedVm,
  RestoreOptions,
  SaveOptions,
  StreamSaveOptions,
  VerifyPolicy,
  VmEnd,
  VmOptions,
} from "./vm_options.ts";
