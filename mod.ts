/**
 * ScratchVM: run a Linux program in a KVM virtual machine without a guest
 * kernel, freeze it whole, and thaw it elsewhere.
 *
 * @example Run a program and read what it prints
 * ```ts ignore
 * import { ScriptConsole, Vm } from "@scratchvm/scratchvm";
 *
 * const decoder = new TextDecoder();
 * let output = "";
 * const script = new ScriptConsole({
 *   stdout: (bytes) => output += decoder.decode(bytes, { stream: true }),
 * });
 * await using vm = await Vm.create({
 *   program: "guest/build/hello",
 *   args: ["world"],
 *   console: script,
 * });
 * console.log(await vm.run(), output);
 * ```
 *
 * @module
 */

export {
  type Allowed,
  type Answer,
  type ConfigInput,
  ConfigValues,
  defineDevice,
  type DeviceCall,
  type DeviceContext,
  type DeviceDefinition,
  type DeviceDump,
  DeviceErrno,
  type DeviceFileContext,
  type DeviceHandle,
  type DeviceInstance,
  type DeviceOptions,
  type DeviceSpec,
  FilesError,
  type FilesErrorCode,
  type FilesPolicy,
  type IoctlCall,
  type NumberRange,
  type OpenDeviceFile,
  type SavedPart,
  ScriptConsole,
  type ScriptConsoleOptions,
} from "./src/devices/mod.ts";
export {
  ERRNO,
  errnoName,
  KvmError,
  type KvmErrorCode,
} from "./src/kvm/mod.ts";
export {
  type CallArguments,
  type CommonOptions,
  type ExitStatus,
  type FrozenVm,
  type HoldOptions,
  lineTracer,
  loadDevice,
  type Offer,
  offerOfImage,
  type PreparedVm,
  ProgramError,
  type ProgramErrorCode,
  reasonsAgainst,
  type RestoreOptions,
  type SaveAnswer,
  type SaveOptions,
  SIGNAL,
  type Signaled,
  signalName,
  type StreamSaveOptions,
  syscallName,
  type TracedProgram,
  type Tracer,
  type VerifyPolicy,
  VERSION,
  Vm,
  type VmEnd,
  type VmOptions,
} from "./src/linux/mod.ts";
export {
  askMigration,
  listenForVms,
  migrate,
  type MigrateOptions,
  MigrationError,
  type MigrationErrorCode,
  type MigrationProgress,
  type Phase,
  type ReceiveOptions,
  Receiver,
} from "./src/migration/mod.ts";
export {
  type ByteSource,
  decodePayload,
  type Dump,
  type End,
  type EndOptions,
  type FileIdentity,
  gunzip,
  type GunzipOptions,
  gzip,
  type GzipOptions,
  ImageError,
  type ImageErrorCode,
  ImageFile,
  type ImageHeader,
  type ImageOrigin,
  type ImageSink,
  type ImageSummary,
  type ImageTarget,
  type ListenOptions,
  listenOrigin,
  openOrigin,
  openTarget,
  OriginListener,
  parseEnd,
  type Part,
  printable,
  type Section,
  type SectionInfo,
  type ShapeIssue,
  type ShapeResult,
  type Stage,
  StageError,
  type StageErrorCode,
  type StateSection,
  type StateShape,
  streamTarget,
  targetStream,
  type TlsOptions,
  TransportError,
  type TransportErrorCode,
  type VerifyProgress,
  zstdCompress,
  type ZstdCompressOptions,
  zstdDecompress,
  type ZstdDecompressOptions,
} from "./src/state/mod.ts";
export {
  GuestError,
  MMIO_GPA,
  type MmioClaim,
  type PortClaim,
  VmError,
  type VmErrorCode,
  type VmState,
} from "./src/vmm/mod.ts";
