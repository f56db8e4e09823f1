/**
 * /dev/kvm itself.
 *
 * @module
 */

import { API_VERSION, KVM, KVM_CAP } from "./constants.ts";
import { getCpuid } from "./cpuid.ts";
import { ERRNO, errnoName } from "./errno.ts";
import { KvmError, unwrap, unwrapUninterrupted } from "./errors.ts";
import { MSR_LIST } from "./layout.ts";
import { errno, libc } from "./libc.ts";
import { KvmVm } from "./vm.ts";

const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const MAX_MSRS = 1024;

/**
 * The KVM system: what /dev/kvm answers before there is a VM.
 *
 * @example
 * ```ts ignore
 * import { Kvm } from "@scratchvm/scratchvm/kvm";
 *
 * using kvm = Kvm.open();
 * using vm = kvm.createVm();
 * using vcpu = vm.createVcpu(0);
 * console.log(vcpu.getRegs().rip);
 * ```
 */
export class Kvm {
  #fd: number;
  /** How many bytes of a vCPU's descriptor to map. */
  readonly vcpuMapBytes: number;

  private constructor(fd: number) {
    this.#fd = fd;
    this.vcpuMapBytes = unwrap(
      "KVM_GET_VCPU_MMAP_SIZE",
      libc.ioctl(fd, KVM.KVM_GET_VCPU_MMAP_SIZE, 0),
    );
  }

  /** Its descriptor; -1 once disposed. */
  get fd(): number {
    return this.#fd;
  }

  /**
   * Opens KVM.
   *
   * @param path where it is
   * @throws {KvmError} when it is not there, not permitted, or no KVM
   */
  static open(path = "/dev/kvm"): Kvm {
    const bytes = new TextEncoder().encode(`${path}\0`);
    const fd = libc.open(bytes, O_RDWR | O_CLOEXEC);
    if (fd < 0) throw cannotOpen(path, errno());
    const version = libc.ioctl(fd, KVM.KVM_GET_API_VERSION, 0);
    if (version !== API_VERSION) {
      const failed = version < 0 ? errno() : 0;
      libc.close(fd);
      throw new KvmError(
        "KVM_NO_DEVICE",
        version < 0
          ? `Cannot use ${path}: it is not KVM (${errnoName(failed)})`
          : `Cannot use ${path}: its API version is ${version}, must be ${API_VERSION}`,
        { ioctl: "KVM_GET_API_VERSION", errno: failed },
      );
    }
    try {
      return new Kvm(fd);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }

  /** What KVM answers for a capability of KVM_CAP; 0 when it lacks it. */
  checkExtension(capability: number): number {
    return unwrap(
      "KVM_CHECK_EXTENSION",
      libc.ioctl(this.fd, KVM.KVM_CHECK_EXTENSION, capability),
    );
  }

  /**
   * What KVM answers for a capability that is needed.
   *
   * @throws {KvmError} naming it when KVM lacks it
   */
  requireCapability(name: keyof typeof KVM_CAP): number {
    const answer = this.checkExtension(KVM_CAP[name]);
    if (answer === 0) {
      throw new KvmError(
        "KVM_NO_CAPABILITY",
        `Cannot use this KVM: it lacks ${name}`,
        { ioctl: "KVM_CHECK_EXTENSION", hint: "run a newer Linux on the host" },
      );
    }
    return answer;
  }

  /**
   * struct kvm_cpuid2: what CPUID may answer in a guest
   * (KVM_GET_SUPPORTED_CPUID).
   */
  supportedCpuid(): Uint8Array<ArrayBuffer> {
    return getCpuid(this.fd, "KVM_GET_SUPPORTED_CPUID");
  }

  /** The MSRs that hold a guest's state (KVM_GET_MSR_INDEX_LIST). */
  msrIndexList(): number[] {
    const bytes = new Uint8Array(MSR_LIST.indices + MAX_MSRS * 4);
    const view = new DataView(bytes.buffer);
    view.setUint32(MSR_LIST.nmsrs, MAX_MSRS, true);
    unwrap(
      "KVM_GET_MSR_INDEX_LIST",
      libc.ioctlBuffer(
        this.fd,
        KVM.KVM_GET_MSR_INDEX_LIST,
        bytes,
      ),
    );
    const count = view.getUint32(MSR_LIST.nmsrs, true);
    return Array.from(
      { length: count },
      (_, i) => view.getUint32(MSR_LIST.indices + i * 4, true),
    );
  }

  /** Makes a VM (KVM_CREATE_VM). */
  createVm(): KvmVm {
    const fd = unwrapUninterrupted(
      "KVM_CREATE_VM",
      () => libc.ioctl(this.fd, KVM.KVM_CREATE_VM, 0),
    );
    return new KvmVm(fd, this.vcpuMapBytes);
  }

  /** Closes the descriptor; VMs made before live on. */
  [Symbol.dispose](): void {
    if (this.#fd === -1) return;
    libc.close(this.#fd);
    // The number may soon be another file's: no ioctl must reach that.
    this.#fd = -1;
  }
}

function cannotOpen(path: string, failed: number): KvmError {
  const name = errnoName(failed);
  if (failed === ERRNO.EACCES || failed === ERRNO.EPERM) {
    return new KvmError(
      "KVM_NO_PERMISSION",
      `Cannot open ${path}: permission denied (${name})`,
      {
        ioctl: "open",
        errno: failed,
        hint: "add yourself to the group that owns it: usermod -aG kvm $USER",
      },
    );
  }
  return new KvmError("KVM_NO_DEVICE", `Cannot open ${path}: ${name}`, {
    ioctl: "open",
    errno: failed,
    hint:
      "load the kvm_intel or kvm_amd module; in a VM or container, let it have /dev/kvm",
  });
}
