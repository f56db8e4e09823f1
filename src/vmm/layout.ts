/**
 * Where things are in a VM's memory: the physical addresses the VMM chooses for
 * its own pages, and the virtual addresses they appear at.
 *
 * @module
 */

/** Bytes in a small page. */
export const PAGE_BYTES = 4096;

/** Bytes in a block: a large page, the unit in which memory is handed out. */
export const BLOCK_BYTES = 2 * 1024 * 1024;

/**
 * Guest physical address from which devices claim MMIO ranges. Memory starts at
 * 0 and ends below, so that it is one slot whatever its size. Ranges end at
 * {@linkcode MMIO_END_GPA}: there are CPUs with 39 bits of physical address.
 */
export const MMIO_GPA = 0x40_0000_0000;

/** From where files that a program shares are: 64 GiB at the end. */
export const FILES_GPA = 0x70_0000_0000;

/** Where they end. */
export const FILES_END_GPA: number = 2 * MMIO_GPA;

/** Where MMIO ranges end; the page behind is the VMM's own. */
export const MMIO_END_GPA: number = FILES_GPA - PAGE_BYTES;

/**
 * Guest physical addresses of the pages of the kernel block: the first block,
 * which the guest program cannot read or write.
 */
export const KERNEL_BLOCK = {
  /** The page with the `syscall` stub. */
  syscallStub: 0x1000,
  /** Root of the page tables (PML4). */
  pml4: 0x2000,
  /** Global descriptor table. */
  gdt: 0x3000,
  /** Interrupt descriptor table. */
  idt: 0x5000,
  /** The page with one stub per exception vector. */
  exceptionStubs: 0x6000,
  /** Two pages of stack for exceptions. */
  stack: 0x8000,
  /** End of the stack: where RSP0 points. */
  stackEnd: 0xa000,
  /** Task state segment with its I/O permission bitmap: three pages. */
  tss: 0xb000,
  /** End of the pages of the task state segment. */
  tssEnd: 0xe000,
  /** From here to the end of the block: page tables. */
  tables: 0x10000,
} as const;

/** Virtual address at which the CPU sees the kernel block. */
export const KERNEL_VA = 0xffff_8000_0000_0000n;

/**
 * Virtual address of the `syscall` stub: the guard page above the highest
 * address a Linux program can map, so that no program ever collides with it.
 * It has to be in the lower half (some KVMs run the stub at CPL3).
 */
export const SYSCALL_STUB_VA = 0x7ffffffff000;

/** First address above what a program may map (Linux: TASK_SIZE_MAX). */
export const USER_END_VA = 0x7fff_ffff_f000;

/** Bytes of a task state segment before its I/O permission bitmap. */
export const TSS_BYTES = 104;

/** Bytes of an I/O permission bitmap: one bit a port, and one byte more. */
export const IO_BITMAP_BYTES = 8193;

/** Port on which the `syscall` stub reports. */
export const SYSCALL_PORT = 0x10;

/** Port on which the stub of exception vector 0 reports; one port a vector. */
export const EXCEPTION_PORT = 0x80;

/** How many exception vectors have a stub. */
export const EXCEPTION_VECTORS = 32;

/** Bytes between two exception stubs. */
export const EXCEPTION_STUB_BYTES = 8;
