/**
 * The devices that every VM has: descriptors, files, pipes, console, clock.
 *
 * @module
 */

export { Clock, clockState, type ClockStateV1 } from "./clock.ts";
export {
  HostStream,
  isTerminal,
  openTerminal,
  ScriptConsole,
  type ScriptConsoleOptions,
  ScriptStream,
  TERMINAL_NAME,
  TERMINAL_PATH,
  TerminalName,
  terminalOf,
} from "./console.ts";
export {
  ScriptTerminal,
  setsAttributes,
  type Terminal,
  type TerminalSize,
  TERMIOS2_BYTES,
  TERMIOS_BYTES,
  TTY,
  WINSIZE_BYTES,
} from "./terminal.ts";
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
export type { FrozenDevice } from "./device_dump.ts";
export {
  checkConfig,
  type DeviceParts,
  type DeviceSection,
} from "./device_parts.ts";
export { DeviceFile, fillRandom, isDeviceFile } from "./device_files.ts";
export { type Descriptor, FdTable, MAX_DESCRIPTORS } from "./fd_table.ts";
export { EPOLL, EpollFile } from "./epoll_file.ts";
export { EventFile, MAX_EVENT_VALUE } from "./event_file.ts";
export {
  F_LCK,
  type LockState,
  MAX_LOCKS,
  ProcessLocks,
} from "./file_locks.ts";
export { F_OFD, flock, FLOCK_BYTES, recordLock } from "./lock_calls.ts";
export {
  copyFileRange,
  fallocate,
  fstatfs,
  getxattr,
  listxattr,
  memfdWithFlags,
  mknodat,
  removexattr,
  setxattr,
  syncFileRange,
  syncfs,
} from "./space_calls.ts";
export { FilesError, type FilesErrorCode } from "./errors.ts";
export { FilesSaver } from "./files_saver.ts";
export {
  type FilesPart,
  filesState,
  type FilesStateV6,
  type FilesTable,
} from "./files_state.ts";
export {
  addSeals,
  close,
  faccessat2,
  fchmodat,
  fchownat,
  fstat,
  fstatat,
  ftruncate,
  getSeals,
  mkdirat,
  open as openHost,
  openat2,
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
export { pathBytes, pathOf, pathText } from "./path_bytes.ts";
export { HostFile, isInMemory } from "./host_file.ts";
export { isForVmm } from "./reserved_fds.ts";
export { RESOLVE, RootFolder } from "./root_folder.ts";
export { SYSTEM, SYSTEM_FOLDERS, systemFolders } from "./system_folders.ts";
export { type Access, type Allowed, OUTSIDE } from "./allowed_folders.ts";
export {
  HostPaths,
  type HostPathsOptions,
  withoutUmask,
} from "./host_paths.ts";
export { InotifyFile } from "./inotify_file.ts";
export { IoVector } from "./io_vector.ts";
export { LiveDevice, MAX_HELD_BYTES } from "./live_device.ts";
export { BufferVector } from "./buffer_vector.ts";
export { OpenFile, writeSpecialStat } from "./open_file.ts";
export {
  type FutexWait,
  MAX_FUTEXES,
  type PendingCall,
  PendingSaver,
  pendingState,
  type PendingStateV3,
} from "./pending.ts";
export {
  folderContent,
  MAX_ALL_VIRTUAL_BYTES,
  MAX_VIRTUAL_BYTES,
  type VirtualEntry,
  VirtualFile,
  virtualInode,
  type VirtualParts,
} from "./virtual_file.ts";
export { PluginFile } from "./plugin_file.ts";
export type { PluginFileState } from "./plugin_file_state.ts";
export {
  MAX_ALL_PIPES_BYTES,
  MAX_PIPE_BYTES,
  MIN_PIPE_BYTES,
  PIPE_BYTES,
  PipeBuffer,
  PipeEnd,
} from "./pipe.ts";
export type { FilesPolicy } from "./reopen.ts";
export {
  CheckedFiles,
  checkFiles,
  misfits,
  restoreFiles,
} from "./restore_files.ts";
export { SignalFile, type SignalSource } from "./signal_file.ts";
export {
  MAX_SOCKET_BYTES,
  MSG,
  SOCKET_KIND,
  SocketEnd,
  type SocketKind,
} from "./socket_end.ts";
export { MAX_ALL_SOCKETS_BYTES, SocketSpace } from "./socket_space.ts";
export { TimerFile, type TimerSetting } from "./timer_file.ts";
export { Waits } from "./waits.ts";
export { Waiters } from "./waiters.ts";
