/**
 * The machine: memory, vCPU, bus, the loop that runs it, and its lifecycle.
 *
 * @module
 */

export { vcpuCpuid } from "./cpuid.ts";
export { BlockAllocator } from "./blocks.ts";
export {
  bootVcpu,
  FIRST_FREE_TABLES,
  USER_CS,
  USER_RFLAGS,
  USER_SS,
  writeBootPages,
} from "./boot.ts";
export { Bus } from "./bus.ts";
export type { Device, MmioClaim, PortClaim } from "./device.ts";
export { GuestError, VmError, type VmErrorCode } from "./errors.ts";
export {
  BLOCK_BYTES,
  FILES_END_GPA,
  FILES_GPA,
  KERNEL_BLOCK,
  KERNEL_VA,
  MMIO_END_GPA,
  MMIO_GPA,
  PAGE_BYTES,
  SYSCALL_PORT,
  SYSCALL_STUB_VA,
  USER_END_VA,
} from "./layout.ts";
export { areImagesMapped, isMappedImage, useImage } from "./image_users.ts";
export { Lifecycle, type VmState } from "./lifecycle.ts";
export { Machine } from "./machine.ts";
export { OUTCOME, type Outcome, type Personality } from "./personality.ts";
export { type FileRun, Memory } from "./memory.ts";
export {
  checkLength,
  checkMemoryParts,
  mapImageFile,
  type MemoryPart,
  type MemorySource,
  type PartInFile,
  placesOf,
  unpackPart,
} from "./memory_image.ts";
export { MemorySaver } from "./memory_saver.ts";
export { type MemoryPartV1, memoryState } from "./memory_state.ts";
export { PageTables, PROT } from "./page_tables.ts";
export { TableAllocator } from "./table_allocator.ts";
export { probeSyscall, type SyscallBehaviour } from "./probe.ts";
export {
  checkSyscall,
  checkVcpuState,
  loadVcpu,
  regsState,
  segmentBase,
  VcpuSaver,
  vcpuState,
  type VcpuStateV1,
} from "./vcpu_state.ts";
export { FileWindow, MAX_FILE_MAPPINGS } from "./file_window.ts";
