/*
 * vmm.h: the smallest VMM that runs machine code at CPL3, with the ioctls that
 * ScratchVM makes. The C programs in this folder are what it is measured against.
 *
 * Memory is one private anonymous mapping, 2 MiB aligned, with huge pages,
 * identity-mapped by 2 MiB pages that the guest may use freely.
 */
#ifndef BENCH_VMM_H
#define BENCH_VMM_H

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024ul * 1024)
#define BLOCK (2 * MIB)

/* Guest physical addresses in the first block. */
#define CODE 0x1000
#define SYSCALL_STUB 0x1800
#define PML4 0x2000
#define PDPT 0x3000
#define PAGE_DIRECTORIES 0x10000

/* Ports: something counted, the start of what is timed, its end. */
#define PORT_COUNT 0x10
#define PORT_START 0x11
#define PORT_END 0x12

struct vmm {
	int kvm, vm, vcpu;
	size_t bytes, run_bytes;
	uint8_t *reservation, *memory;
	struct kvm_run *run;
	struct kvm_segment user_code, user_data;
};

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline long check(const char *what, long result)
{
	if (result < 0)
		die(what);
	return result;
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Reserves the memory of a VM; whoever wants a file in it maps it afterwards. */
static inline void vmm_reserve(struct vmm *v, size_t bytes)
{
	v->bytes = bytes;
	v->reservation = mmap(0, bytes + BLOCK, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (v->reservation == MAP_FAILED)
		die("mmap");
	v->memory = (uint8_t *)(((uintptr_t)v->reservation + BLOCK - 1) & -BLOCK);
	madvise(v->memory, bytes, MADV_HUGEPAGE);
}

/* Makes a VM with that memory and one vCPU, in 64-bit user mode at CODE. */
static inline void vmm_create(struct vmm *v)
{
	struct kvm_userspace_memory_region region;
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid = { .head.nent = 256 };
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[3];
	} msrs = { .head.nmsrs = 3, .entries = {
		{ .index = 0xc0000081, .data = 0x1bull << 48 | 0x08ull << 32 },
		{ .index = 0xc0000082, .data = SYSCALL_STUB },
		{ .index = 0xc0000084, .data = 0x700 },
	} };
	struct kvm_sregs sregs;
	/* IOPL 3: on hardware `out` at CPL3 leaves the VM only with it. */
	struct kvm_regs regs = { .rip = CODE, .rsp = 0x8000, .rflags = 0x3002 };

	v->kvm = check("/dev/kvm", open("/dev/kvm", O_RDWR | O_CLOEXEC));
	v->run_bytes = check("KVM_GET_VCPU_MMAP_SIZE",
			     ioctl(v->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	v->vm = check("KVM_CREATE_VM", ioctl(v->kvm, KVM_CREATE_VM, 0));

	/* Page tables: present, writable, user; 2 MiB each. */
	*(uint64_t *)(v->memory + PML4) = PDPT | 7;
	for (size_t at = 0; at < v->bytes; at += BLOCK) {
		size_t table = PAGE_DIRECTORIES + at / (1024 * MIB) * 4096;
		uint64_t *entry = (uint64_t *)(v->memory + table);

		((uint64_t *)(v->memory + PDPT))[at / (1024 * MIB)] = table | 7;
		entry[at / BLOCK % 512] = at | 0x87;
	}

	region = (struct kvm_userspace_memory_region){
		.memory_size = v->bytes,
		.userspace_addr = (uintptr_t)v->memory,
	};
	check("KVM_SET_USER_MEMORY_REGION",
	      ioctl(v->vm, KVM_SET_USER_MEMORY_REGION, &region));
	v->vcpu = check("KVM_CREATE_VCPU", ioctl(v->vm, KVM_CREATE_VCPU, 0));
	v->run = mmap(0, v->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      v->vcpu, 0);
	if (v->run == MAP_FAILED)
		die("mmap of the vCPU");
	check("KVM_GET_SUPPORTED_CPUID",
	      ioctl(v->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid));
	check("KVM_SET_CPUID2", ioctl(v->vcpu, KVM_SET_CPUID2, &cpuid));

	check("KVM_GET_SREGS", ioctl(v->vcpu, KVM_GET_SREGS, &sregs));
	v->user_code = (struct kvm_segment){
		.limit = 0xffffffff, .selector = 0x2b, .type = 11,
		.present = 1, .dpl = 3, .s = 1, .l = 1, .g = 1,
	};
	v->user_data = v->user_code;
	v->user_data.selector = 0x23;
	v->user_data.type = 3;
	v->user_data.l = 0;
	v->user_data.db = 1;
	sregs.cs = v->user_code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = v->user_data;
	sregs.cr0 = 0x80050033;
	sregs.cr3 = PML4;
	sregs.cr4 = 0x620;
	sregs.efer = 0x501;
	check("KVM_SET_SREGS", ioctl(v->vcpu, KVM_SET_SREGS, &sregs));
	check("KVM_SET_MSRS", ioctl(v->vcpu, KVM_SET_MSRS, &msrs));
	check("KVM_SET_REGS", ioctl(v->vcpu, KVM_SET_REGS, &regs));
	v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

/* Puts machine code at a guest physical address. */
static inline void vmm_code(struct vmm *v, size_t gpa, const void *code,
			    size_t bytes)
{
	memcpy(v->memory + gpa, code, bytes);
}

/* Runs to the next `out`; returns its port. */
static inline int vmm_run(struct vmm *v)
{
	while (ioctl(v->vcpu, KVM_RUN, 0) < 0)
		if (errno != EINTR && errno != EAGAIN)
			die("KVM_RUN");
	if (v->run->exit_reason != KVM_EXIT_IO) {
		fprintf(stderr, "unexpected exit %u\n", v->run->exit_reason);
		exit(1);
	}
	return v->run->io.port;
}

static inline void vmm_destroy(struct vmm *v)
{
	munmap(v->run, v->run_bytes);
	close(v->vcpu);
	close(v->vm);
	close(v->kvm);
	munmap(v->reservation, v->bytes + BLOCK);
}

#endif
