/**
 * Which device answers which port and which physical address.
 *
 * @module
 */

import type { Device, MmioClaim, PortClaim } from "./device.ts";
import { VmError } from "./errors.ts";
import {
  EXCEPTION_PORT,
  EXCEPTION_VECTORS,
  MMIO_END_GPA,
  MMIO_GPA,
  SYSCALL_PORT,
} from "./layout.ts";

/** A claim and where it came from. */
interface Owned<C> {
  readonly claim: C;
  readonly first: number;
  readonly end: number;
  readonly owner: string;
}

/** The ports and addresses of one VM. */
export class Bus {
  #ports: Owned<PortClaim>[] = [];
  #mmio: Owned<MmioClaim>[] = [];

  constructor() {
    const stubs = { claim: { first: 0, count: 0 }, owner: "the machine" };
    this.#ports.push(
      { ...stubs, first: SYSCALL_PORT, end: SYSCALL_PORT + 1 },
      {
        ...stubs,
        first: EXCEPTION_PORT,
        end: EXCEPTION_PORT + EXCEPTION_VECTORS,
      },
    );
  }

  /** @throws {VmError} naming both owners when ranges overlap */
  attach(device: Device): void {
    // All of its ranges or none: a device that is refused leaves nothing.
    const ports = [...this.#ports];
    const mmio = [...this.#mmio];
    for (const claim of device.ports ?? []) {
      add(ports, claim, claim.first, claim.count, 0, 0x1_0000, device.id);
    }
    for (const claim of device.mmio ?? []) {
      add(
        mmio,
        claim,
        claim.gpa,
        claim.lengthBytes,
        MMIO_GPA,
        MMIO_END_GPA,
        device.id,
      );
    }
    this.#ports = ports;
    this.#mmio = mmio;
  }

  /** The claim on `port`; the machine's own ports belong to nobody else. */
  port(port: number): PortClaim | undefined {
    const claim = find(this.#ports, port)?.claim;
    return claim && claim.count > 0 ? claim : undefined;
  }

  /** The claim on the address `gpa`. */
  mmio(gpa: number): MmioClaim | undefined {
    return find(this.#mmio, gpa)?.claim;
  }

  /** The id of the device that claims a port. */
  portOwner(port: number): string {
    return find(this.#ports, port)?.owner ?? "";
  }

  /** The id of the device that claims an address. */
  mmioOwner(gpa: number): string {
    return find(this.#mmio, gpa)?.owner ?? "";
  }
}

function find<C>(claims: Owned<C>[], at: number): Owned<C> | undefined {
  for (const owned of claims) {
    if (at >= owned.first && at < owned.end) return owned;
  }
  return undefined;
}

function add<C>(
  claims: Owned<C>[],
  claim: C,
  first: number,
  count: number,
  lowest: number,
  end: number,
  owner: string,
): void {
  const isWhole = Number.isSafeInteger(first) && Number.isSafeInteger(count);
  const range = `0x${first.toString(16)}+0x${count.toString(16)}`;
  if (!isWhole || count < 1 || first < lowest || first + count > end) {
    throw new VmError(
      "VM_DEVICE",
      `Cannot attach "${owner}": ${range} is not within 0x${
        lowest.toString(16)
      }..0x${end.toString(16)}, in whole numbers`,
    );
  }
  const taken = claims.find((o) => first < o.end && first + count > o.first);
  if (taken) {
    throw new VmError(
      "VM_DEVICE",
      `Cannot attach "${owner}": ${range} overlaps a range of ${
        taken.owner === "the machine" ? taken.owner : `"${taken.owner}"`
      }`,
    );
  }
  claims.push({ claim, first, end: first + count, owner });
}
