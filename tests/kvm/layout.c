/*
 * Prints what linux/kvm.h says of every constant and every structure that
 * src/kvm has a table for: "TABLE key value…", a line each.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdio.h>

#define CONSTANT(table, name) printf(table " " #name " %lu\n", (unsigned long)name)
#define KVM(name) CONSTANT("KVM", KVM_##name)
#define CAP(name) CONSTANT("KVM_CAP", KVM_CAP_##name)
#define EXIT(name) CONSTANT("KVM_EXIT", KVM_EXIT_##name)
/* Not through CONSTANT, where the name would be expanded first. */
#define ERRNO(name) printf("ERRNO " #name " %d\n", name)
#define SIZE(name) printf("SIZE " #name " %zu\n", sizeof(struct name))
#define AT(table, key, type, field) \
  printf(table " " key " %zu\n", offsetof(struct type, field))
#define RUN(key, field) AT("RUN", key, kvm_run, field)
#define SYNC(key, field)                                      \
  printf("RUN " key " %zu\n",                                 \
         offsetof(struct kvm_run, s.regs) + offsetof(struct kvm_sync_regs, field))
#define REG(name) AT("REG64", #name, kvm_regs, name)
#define SREG(name) AT("SREGS", #name, kvm_sregs, name)
#define SEGMENT(name) AT("SEGMENT", #name, kvm_segment, name)
#define EVENT(key, field)                                     \
  printf("EVENTS " key " %zu %zu\n",                          \
         offsetof(struct kvm_vcpu_events, field),             \
         8 * sizeof(((struct kvm_vcpu_events *)0)->field))

int main(void) {
  CONSTANT("API", KVM_API_VERSION);

  KVM(GET_API_VERSION); KVM(CREATE_VM); KVM(GET_MSR_INDEX_LIST);
  KVM(CHECK_EXTENSION); KVM(GET_VCPU_MMAP_SIZE); KVM(GET_SUPPORTED_CPUID);
  KVM(CREATE_VCPU); KVM(GET_DIRTY_LOG); KVM(SET_USER_MEMORY_REGION);
  KVM(SET_TSS_ADDR); KVM(CLEAR_DIRTY_LOG); KVM(ENABLE_CAP); KVM(RUN);
  KVM(GET_REGS); KVM(SET_REGS); KVM(GET_SREGS); KVM(SET_SREGS);
  KVM(GET_MSRS); KVM(SET_MSRS); KVM(SET_CPUID2); KVM(GET_CPUID2);
  KVM(GET_MP_STATE); KVM(SET_MP_STATE); KVM(GET_VCPU_EVENTS);
  KVM(SET_VCPU_EVENTS); KVM(GET_DEBUGREGS); KVM(SET_DEBUGREGS);
  KVM(SET_TSC_KHZ); KVM(GET_TSC_KHZ); KVM(GET_XSAVE); KVM(SET_XSAVE);
  KVM(GET_XCRS); KVM(SET_XCRS); KVM(GET_XSAVE2);

  CAP(USER_MEMORY); CAP(SET_TSS_ADDR); CAP(EXT_CPUID); CAP(NR_MEMSLOTS);
  CAP(MP_STATE); CAP(VCPU_EVENTS); CAP(DEBUGREGS); CAP(XSAVE); CAP(XCRS);
  CAP(TSC_CONTROL); CAP(GET_TSC_KHZ); CAP(SYNC_REGS); CAP(IMMEDIATE_EXIT);
  CAP(MANUAL_DIRTY_LOG_PROTECT2); CAP(DIRTY_LOG_RING); CAP(XSAVE2);

  EXIT(UNKNOWN); EXIT(EXCEPTION); EXIT(IO); EXIT(HYPERCALL); EXIT(DEBUG);
  EXIT(HLT); EXIT(MMIO); EXIT(SHUTDOWN); EXIT(FAIL_ENTRY); EXIT(INTR);
  EXIT(INTERNAL_ERROR); EXIT(SYSTEM_EVENT);

  printf("KVM_MEM LOG_DIRTY_PAGES %lu\n", (unsigned long)KVM_MEM_LOG_DIRTY_PAGES);
  printf("KVM_MEM READONLY %lu\n", (unsigned long)KVM_MEM_READONLY);
  printf("KVM_SYNC REGS %lu\n", (unsigned long)KVM_SYNC_X86_REGS);
  printf("KVM_SYNC SREGS %lu\n", (unsigned long)KVM_SYNC_X86_SREGS);
  printf("KVM_SYNC EVENTS %lu\n", (unsigned long)KVM_SYNC_X86_EVENTS);

  SIZE(kvm_regs); SIZE(kvm_sregs); SIZE(kvm_segment); SIZE(kvm_dtable);
  SIZE(kvm_vcpu_events); SIZE(kvm_debugregs); SIZE(kvm_xcrs); SIZE(kvm_xcr);
  SIZE(kvm_mp_state); SIZE(kvm_userspace_memory_region); SIZE(kvm_dirty_log);
  SIZE(kvm_clear_dirty_log); SIZE(kvm_enable_cap); SIZE(kvm_msrs);
  SIZE(kvm_msr_entry); SIZE(kvm_cpuid2); SIZE(kvm_cpuid_entry2);
  SIZE(kvm_xsave);

  RUN("immediate_exit", immediate_exit); RUN("exit_reason", exit_reason);
  RUN("flags", flags); RUN("exit", hw); RUN("io_direction", io.direction);
  RUN("io_size", io.size); RUN("io_port", io.port); RUN("io_count", io.count);
  RUN("io_data_offset", io.data_offset);
  RUN("mmio_phys_addr", mmio.phys_addr); RUN("mmio_data", mmio.data);
  RUN("mmio_len", mmio.len); RUN("mmio_is_write", mmio.is_write);
  RUN("internal_suberror", internal.suberror);
  RUN("internal_ndata", internal.ndata); RUN("internal_data", internal.data);
  RUN("fail_entry_reason", fail_entry.hardware_entry_failure_reason);
  RUN("hypercall_nr", hypercall.nr); RUN("system_event_type", system_event.type);
  RUN("kvm_valid_regs", kvm_valid_regs); RUN("kvm_dirty_regs", kvm_dirty_regs);
  SYNC("sync_regs", regs); SYNC("sync_sregs", sregs); SYNC("sync_events", events);

  REG(rax); REG(rbx); REG(rcx); REG(rdx); REG(rsi); REG(rdi); REG(rsp);
  REG(rbp); REG(r8); REG(r9); REG(r10); REG(r11); REG(r12); REG(r13);
  REG(r14); REG(r15); REG(rip); REG(rflags);

  SREG(cs); SREG(ds); SREG(es); SREG(fs); SREG(gs); SREG(ss); SREG(tr);
  SREG(ldt); SREG(gdt); SREG(idt); SREG(cr0); SREG(cr2); SREG(cr3);
  SREG(cr4); SREG(cr8); SREG(efer); SREG(apic_base); SREG(interrupt_bitmap);

  SEGMENT(base); SEGMENT(limit); SEGMENT(selector); SEGMENT(type);
  SEGMENT(present); SEGMENT(dpl); SEGMENT(db); SEGMENT(s); SEGMENT(l);
  SEGMENT(g); SEGMENT(avl); SEGMENT(unusable);

  EVENT("exception_injected", exception.injected);
  EVENT("exception_nr", exception.nr);
  EVENT("exception_has_error_code", exception.has_error_code);
  EVENT("exception_pending", exception.pending);
  EVENT("exception_error_code", exception.error_code);
  EVENT("interrupt_injected", interrupt.injected);
  EVENT("interrupt_nr", interrupt.nr);
  EVENT("interrupt_soft", interrupt.soft);
  EVENT("interrupt_shadow", interrupt.shadow);
  EVENT("nmi_injected", nmi.injected);
  EVENT("nmi_pending", nmi.pending);
  EVENT("nmi_masked", nmi.masked);
  EVENT("sipi_vector", sipi_vector);
  EVENT("flags", flags);
  EVENT("smi_smm", smi.smm);
  EVENT("smi_pending", smi.pending);
  EVENT("smi_smm_inside_nmi", smi.smm_inside_nmi);
  EVENT("smi_latched_init", smi.latched_init);
  EVENT("triple_fault_pending", triple_fault.pending);
  EVENT("exception_has_payload", exception_has_payload);
  EVENT("exception_payload", exception_payload);

  AT("DEBUGREGS", "db", kvm_debugregs, db);
  AT("DEBUGREGS", "dr6", kvm_debugregs, dr6);
  AT("DEBUGREGS", "dr7", kvm_debugregs, dr7);
  AT("DEBUGREGS", "flags", kvm_debugregs, flags);

  AT("XCRS", "nr_xcrs", kvm_xcrs, nr_xcrs);
  AT("XCRS", "flags", kvm_xcrs, flags);
  AT("XCRS", "xcrs", kvm_xcrs, xcrs);
  AT("XCRS", "xcr", kvm_xcr, xcr);
  AT("XCRS", "value", kvm_xcr, value);

  AT("REGION", "slot", kvm_userspace_memory_region, slot);
  AT("REGION", "flags", kvm_userspace_memory_region, flags);
  AT("REGION", "guest_phys_addr", kvm_userspace_memory_region, guest_phys_addr);
  AT("REGION", "memory_size", kvm_userspace_memory_region, memory_size);
  AT("REGION", "userspace_addr", kvm_userspace_memory_region, userspace_addr);

  AT("DIRTY_LOG", "slot", kvm_dirty_log, slot);
  AT("DIRTY_LOG", "dirty_bitmap", kvm_dirty_log, dirty_bitmap);
  AT("DIRTY_LOG", "clear_num_pages", kvm_clear_dirty_log, num_pages);
  AT("DIRTY_LOG", "clear_first_page", kvm_clear_dirty_log, first_page);
  AT("DIRTY_LOG", "clear_dirty_bitmap", kvm_clear_dirty_log, dirty_bitmap);

  AT("MSRS", "nmsrs", kvm_msrs, nmsrs);
  AT("MSRS", "index", kvm_msr_entry, index);
  AT("MSRS", "data", kvm_msr_entry, data);

  AT("MSR_LIST", "nmsrs", kvm_msr_list, nmsrs);
  AT("MSR_LIST", "indices", kvm_msr_list, indices);

  AT("CPUID", "nent", kvm_cpuid2, nent);
  AT("CPUID", "function", kvm_cpuid_entry2, function);
  AT("CPUID", "index", kvm_cpuid_entry2, index);
  AT("CPUID", "flags", kvm_cpuid_entry2, flags);
  AT("CPUID", "eax", kvm_cpuid_entry2, eax);
  AT("CPUID", "ebx", kvm_cpuid_entry2, ebx);
  AT("CPUID", "ecx", kvm_cpuid_entry2, ecx);
  AT("CPUID", "edx", kvm_cpuid_entry2, edx);

  AT("ENABLE_CAP", "cap", kvm_enable_cap, cap);
  AT("ENABLE_CAP", "flags", kvm_enable_cap, flags);
  AT("ENABLE_CAP", "args", kvm_enable_cap, args);

  AT("MP_STATE", "mp_state", kvm_mp_state, mp_state);

  ERRNO(EPERM); ERRNO(ENOENT); ERRNO(ESRCH); ERRNO(EINTR); ERRNO(EIO);
  ERRNO(ENXIO); ERRNO(E2BIG); ERRNO(ENOEXEC); ERRNO(EBADF); ERRNO(ECHILD);
  ERRNO(EAGAIN); ERRNO(ENOMEM); ERRNO(EACCES); ERRNO(EFAULT); ERRNO(ENOTBLK);
  ERRNO(EBUSY); ERRNO(EEXIST); ERRNO(EXDEV); ERRNO(ENODEV); ERRNO(ENOTDIR);
  ERRNO(EISDIR); ERRNO(EINVAL); ERRNO(ENFILE); ERRNO(EMFILE); ERRNO(ENOTTY);
  ERRNO(ETXTBSY); ERRNO(EFBIG); ERRNO(ENOSPC); ERRNO(ESPIPE); ERRNO(EROFS);
  ERRNO(EMLINK); ERRNO(EPIPE); ERRNO(EDOM); ERRNO(ERANGE); ERRNO(EDEADLK);
  ERRNO(ENAMETOOLONG); ERRNO(ENOLCK); ERRNO(ENOSYS); ERRNO(ENOTEMPTY);
  ERRNO(ELOOP); ERRNO(ENOMSG); ERRNO(EIDRM); ERRNO(ECHRNG); ERRNO(EL2NSYNC);
  ERRNO(EL3HLT); ERRNO(EL3RST); ERRNO(ELNRNG); ERRNO(EUNATCH); ERRNO(ENOCSI);
  ERRNO(EL2HLT); ERRNO(EBADE); ERRNO(EBADR); ERRNO(EXFULL); ERRNO(ENOANO);
  ERRNO(EBADRQC); ERRNO(EBADSLT); ERRNO(EBFONT); ERRNO(ENOSTR); ERRNO(ENODATA);
  ERRNO(ETIME); ERRNO(ENOSR); ERRNO(ENONET); ERRNO(ENOPKG); ERRNO(EREMOTE);
  ERRNO(ENOLINK); ERRNO(EADV); ERRNO(ESRMNT); ERRNO(ECOMM); ERRNO(EPROTO);
  ERRNO(EMULTIHOP); ERRNO(EDOTDOT); ERRNO(EBADMSG); ERRNO(EOVERFLOW);
  ERRNO(ENOTUNIQ); ERRNO(EBADFD); ERRNO(EREMCHG); ERRNO(ELIBACC);
  ERRNO(ELIBBAD); ERRNO(ELIBSCN); ERRNO(ELIBMAX); ERRNO(ELIBEXEC);
  ERRNO(EILSEQ); ERRNO(ERESTART); ERRNO(ESTRPIPE); ERRNO(EUSERS);
  ERRNO(ENOTSOCK); ERRNO(EDESTADDRREQ); ERRNO(EMSGSIZE); ERRNO(EPROTOTYPE);
  ERRNO(ENOPROTOOPT); ERRNO(EPROTONOSUPPORT); ERRNO(ESOCKTNOSUPPORT);
  ERRNO(EOPNOTSUPP); ERRNO(EPFNOSUPPORT); ERRNO(EAFNOSUPPORT);
  ERRNO(EADDRINUSE); ERRNO(EADDRNOTAVAIL); ERRNO(ENETDOWN); ERRNO(ENETUNREACH);
  ERRNO(ENETRESET); ERRNO(ECONNABORTED); ERRNO(ECONNRESET); ERRNO(ENOBUFS);
  ERRNO(EISCONN); ERRNO(ENOTCONN); ERRNO(ESHUTDOWN); ERRNO(ETOOMANYREFS);
  ERRNO(ETIMEDOUT); ERRNO(ECONNREFUSED); ERRNO(EHOSTDOWN); ERRNO(EHOSTUNREACH);
  ERRNO(EALREADY); ERRNO(EINPROGRESS); ERRNO(ESTALE); ERRNO(EUCLEAN);
  ERRNO(ENOTNAM); ERRNO(ENAVAIL); ERRNO(EISNAM); ERRNO(EREMOTEIO);
  ERRNO(EDQUOT); ERRNO(ENOMEDIUM); ERRNO(EMEDIUMTYPE); ERRNO(ECANCELED);
  ERRNO(ENOKEY); ERRNO(EKEYEXPIRED); ERRNO(EKEYREVOKED); ERRNO(EKEYREJECTED);
  ERRNO(EOWNERDEAD); ERRNO(ENOTRECOVERABLE); ERRNO(ERFKILL); ERRNO(EHWPOISON);
  return 0;
}
