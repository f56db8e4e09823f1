/**
 * Where fields are in the kernel's structures: bytes from their start, x86-64.
 * From linux/kvm.h and asm/kvm.h; a test compares them with the header's.
 *
 * @module
 */

/** Sizes, bytes. */
export const SIZE = {
  kvm_regs: 144,
  kvm_sregs: 312,
  kvm_segment: 24,
  kvm_dtable: 16,
  kvm_vcpu_events: 64,
  kvm_debugregs: 128,
  kvm_xcrs: 392,
  kvm_xcr: 16,
  kvm_mp_state: 4,
  kvm_userspace_memory_region: 32,
  kvm_dirty_log: 16,
  kvm_clear_dirty_log: 24,
  kvm_enable_cap: 104,
  kvm_msrs: 8,
  kvm_msr_entry: 16,
  kvm_cpuid2: 8,
  kvm_cpuid_entry2: 40,
  kvm_xsave: 4096,
} as const;

/** struct kvm_run. */
export const RUN = {
  immediate_exit: 1,
  exit_reason: 8,
  flags: 14,
  exit: 32,
  io_direction: 32,
  io_size: 33,
  io_port: 34,
  io_count: 36,
  io_data_offset: 40,
  mmio_phys_addr: 32,
  mmio_data: 40,
  mmio_len: 48,
  mmio_is_write: 52,
  internal_suberror: 32,
  internal_ndata: 36,
  internal_data: 40,
  fail_entry_reason: 32,
  hypercall_nr: 32,
  system_event_type: 32,
  kvm_valid_regs: 288,
  kvm_dirty_regs: 296,
  sync_regs: 304,
  sync_sregs: 448,
  sync_events: 760,
} as const;

/** struct kvm_regs, in its order: 64 bits each. */
export const REGS = [
  "rax",
  "rbx",
  "rcx",
  "rdx",
  "rsi",
  "rdi",
  "rsp",
  "rbp",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
  "rip",
  "rflags",
] as const;

/** The name of a general register. */
export type RegName = typeof REGS[number];

/** Index of each register's low half, in 32-bit words. */
export const REG: Readonly<Record<RegName, number>> = Object.fromEntries(
  REGS.map((name, i) => [name, i * 2]),
) as Record<RegName, number>;

/** struct kvm_sregs. */
export const SREGS = {
  cs: 0,
  ds: 24,
  es: 48,
  fs: 72,
  gs: 96,
  ss: 120,
  tr: 144,
  ldt: 168,
  gdt: 192,
  idt: 208,
  cr0: 224,
  cr2: 232,
  cr3: 240,
  cr4: 248,
  cr8: 256,
  efer: 264,
  apic_base: 272,
  interrupt_bitmap: 280,
} as const;

/** struct kvm_segment: base is 64 bits, limit 32, selector 16, the rest 8. */
export const SEGMENT = {
  base: 0,
  limit: 8,
  selector: 12,
  type: 14,
  present: 15,
  dpl: 16,
  db: 17,
  s: 18,
  l: 19,
  g: 20,
  avl: 21,
  unusable: 22,
} as const;

/** struct kvm_vcpu_events, all fields: offset and width in bits. */
export const EVENTS = {
  exception_injected: [0, 8],
  exception_nr: [1, 8],
  exception_has_error_code: [2, 8],
  exception_pending: [3, 8],
  exception_error_code: [4, 32],
  interrupt_injected: [8, 8],
  interrupt_nr: [9, 8],
  interrupt_soft: [10, 8],
  interrupt_shadow: [11, 8],
  nmi_injected: [12, 8],
  nmi_pending: [13, 8],
  nmi_masked: [14, 8],
  sipi_vector: [16, 32],
  flags: [20, 32],
  smi_smm: [24, 8],
  smi_pending: [25, 8],
  smi_smm_inside_nmi: [26, 8],
  smi_latched_init: [27, 8],
  triple_fault_pending: [28, 8],
  exception_has_payload: [55, 8],
  exception_payload: [56, 64],
} as const;

/** struct kvm_debugregs. */
export const DEBUGREGS = { db: 0, dr6: 32, dr7: 40, flags: 48 } as const;

/** struct kvm_xcrs, and struct kvm_xcr in it. */
export const XCRS = {
  nr_xcrs: 0,
  flags: 4,
  xcrs: 8,
  xcr: 0,
  value: 8,
} as const;

/** struct kvm_userspace_memory_region. */
export const REGION = {
  slot: 0,
  flags: 4,
  guest_phys_addr: 8,
  memory_size: 16,
  userspace_addr: 24,
} as const;

/** struct kvm_dirty_log and kvm_clear_dirty_log. */
export const DIRTY_LOG = {
  slot: 0,
  dirty_bitmap: 8,
  clear_num_pages: 4,
  clear_first_page: 8,
  clear_dirty_bitmap: 16,
} as const;

/** struct kvm_msrs, and struct kvm_msr_entry, which follow it. */
export const MSRS = { nmsrs: 0, index: 0, data: 8 } as const;

/** struct kvm_msr_list. */
export const MSR_LIST = { nmsrs: 0, indices: 4 } as const;

/** struct kvm_cpuid2, and struct kvm_cpuid_entry2, which follow it. */
export const CPUID = {
  nent: 0,
  function: 0,
  index: 4,
  flags: 8,
  eax: 12,
  ebx: 16,
  ecx: 20,
  edx: 24,
} as const;

/** struct kvm_enable_cap: `args` are 64 bits each. */
export const ENABLE_CAP = { cap: 0, flags: 4, args: 8 } as const;

/** struct kvm_mp_state. */
export const MP_STATE = { mp_state: 0 } as const;
