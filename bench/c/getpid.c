/*
 * getpid.c COUNT: nanoseconds for COUNT `syscall`s answered by the VMM with a
 * number: user RIP, RFLAGS and segments are put back through the shared page.
 */
#include "vmm.h"

int main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? atoi(argv[1]) : 10000;
	uint8_t code[] = {
		0xe6, PORT_START,		/* out %al, $PORT_START */
		0xbb, 0, 0, 0, 0,		/* mov $count, %ebx */
		0xb8, 39, 0, 0, 0,		/* 1: mov $SYS_getpid, %eax */
		0x0f, 0x05,			/* syscall */
		0xff, 0xcb,			/* dec %ebx */
		0x75, 0xf5,			/* jnz 1b */
		0xe6, PORT_END,			/* out %al, $PORT_END */
	};
	uint8_t stub[] = { 0xe6, PORT_COUNT, 0xf4 }; /* out; hlt */
	struct vmm v;
	uint64_t start = 0, calls = 0;

	memcpy(code + 3, &count, 4);
	vmm_reserve(&v, 2 * BLOCK);
	vmm_create(&v);
	vmm_code(&v, CODE, code, sizeof code);
	vmm_code(&v, SYSCALL_STUB, stub, sizeof stub);
	for (;;) {
		int port = vmm_run(&v);
		struct kvm_regs *regs = &v.run->s.regs.regs;
		struct kvm_sregs *sregs = &v.run->s.regs.sregs;

		if (port == PORT_START) {
			start = now_ns();
			continue;
		}
		if (port == PORT_END)
			break;
		if (regs->rax != 39)
			return 1;
		regs->rip = regs->rcx;
		regs->rflags = regs->r11;
		regs->rax = 1;
		v.run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		if (sregs->cs.dpl != 3) {
			sregs->cs = v.user_code;
			sregs->ss = v.user_data;
			v.run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
		}
		calls++;
	}
	uint64_t end = now_ns();

	if (calls != count)
		return 1;
	printf("%lu\n", end - start);
	return 0;
}
