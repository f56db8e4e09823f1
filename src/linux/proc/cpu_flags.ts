/**
 * What the bits of CPUID are called in /proc/cpuinfo.
 *
 * @module
 */

import type { CpuidEntry } from "../../kvm/mod.ts";

/** A word of CPUID, and the names of its bits from 0; empty: none. */
interface FlagWord {
  readonly leaf: number;
  /** 0 to 3: EAX, EBX, ECX, EDX. */
  readonly register: number;
  readonly names: string;
}

/** asm/cpufeatures.h, in the order in which the kernel shows them. */
const WORDS: readonly FlagWord[] = [
  {
    leaf: 1,
    register: 3,
    names:
      "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe",
  },
  {
    leaf: 0x8000_0001,
    register: 3,
    names:
      "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow",
  },
  {
    leaf: 1,
    register: 2,
    names:
      "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor",
  },
  {
    leaf: 0x8000_0001,
    register: 2,
    names:
      "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx",
  },
  {
    leaf: 7,
    register: 1,
    names:
      "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl",
  },
  {
    leaf: 7,
    register: 2,
    names:
      "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg - avx512_vpopcntdq - la57 - - - - - rdpid",
  },
];

/** The names of the bits that are set, in the kernel's order. */
export function cpuFlags(entries: readonly CpuidEntry[]): string[] {
  return WORDS.flatMap(({ leaf, register, names }) => {
    const entry = entries.find((e) => e.leaf === leaf && e.subleaf === 0);
    const word = entry?.registers[register] ?? 0;
    return names.split(" ").filter((name, bit) =>
      name !== "-" && (word >>> bit & 1) !== 0
    );
  });
}
