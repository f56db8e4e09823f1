/**
 * The devices that every VM has: descriptors, files, pipes, console, clock.
 *
 * @module
 */

export { Clock, clockState, type ClockStateV1 } from "./clock.ts";
export {
  HostStream,
  ScriptConsole,
  type ScriptConsoleOptions,
  ScriptStream,
} from "./console.ts";
export {
  type ConfigInput,
  defineDevice,
  type DeviceContext,
  type DeviceDefinition,
  type DeviceDump,
  type DeviceInstance,
  type DeviceOptions,
  type DeviceSpec,
  isDeviceDefinition,
  RESERVED_KINDS,
  type SavedPart,
} from "./define_device.ts";
export {
  ConfigValues,
  type NamedValues,
  type NumberRange,
  parseNamedValues,
} from "./device_config.ts";
export {
  type Answer,
  type DeviceCall,
  DeviceErrno,
  type DeviceFileContext,
  type DeviceHandle,
  type IoctlCall,
  type OpenDeviceFile,
} from "./device_handle.ts";
export { DeviceFile, fillRandom, isDeviceFile } from "./device_files.ts";
export { type Descriptor, FdTable, MAX_DESCRIPTORS } from "./fd_table.ts";
export { FilesError, type FilesErrorCode } from "./errors.ts";
export { FilesSaver } from "./files_saver.ts";
export {
  type FilesPart,
  filesState,
  type FilesStateV3,
  type FilesTable,
} from "./files_state.ts";
export {
  close,
  faccessat2,
  fchmodat,
  fchownat,
  fstat,
  fstatat,
  ftruncate,
  mkdirat,
  pread,
  preadv,
  readlinkat,
  renameat2,
  statx,
  unlinkat,
  utimensat,
} from "./host_calls.ts";
export { linkat, linkDescriptor, symlinkat } from "./link_calls.ts";
export {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  O,
  POLL,
  S_IF,
} from "./host_constants.ts";
export { pathOf, pathText } from "./path_bytes.ts";
export { HostFile } from "./host_file.ts";
export { RootFolder } from "./root_folder.ts";
export { SYSTEM, SYSTEM_FOLDERS, systemFolders } from "./system_folders.ts";
export {
  type Access,
  type Allowed,
  HostPaths,
  type HostPathsOptions,
  withoutUmask,
} from "./host_paths.ts";
export { IoVector } from "./io_vector.ts";
export {
  type DeviceParts,
  type DeviceSection,
  type FrozenDevice,
  LiveDevice,
  MAX_HELD_BYTES,
} from "./live_device.ts";
export { OpenFile, writeSpecialStat } from "./open_file.ts";
export {
  type PendingCall,
  PendingSaver,
  pendingState,
  type PendingStateV2,
} from "./pending.ts";
export { PluginFile, type PluginFileState } from "./plugin_file.ts";
export { PIPE_BYTES, PipeBuffer, PipeEnd } from "./pipe.ts";
export type { FilesPolicy } from "./reopen.ts";
export {
  CheckedFiles,
  checkFiles,
  misfits,
  restoreFiles,
} from "./restore_files.ts";
export { Waits } from "./waits.ts";
export { Waiters } from "./waiters.ts";
