/**
 * Putting the vDSO into a program's address space.
 *
 * @module
 */

import { PAGE_BYTES, PROT } from "../../vmm/mod.ts";
import type { AddressSpace } from "../address_space.ts";
import type { UserMemory } from "../user_memory.ts";
import { vdsoImage } from "./image.ts";
import { VDSO_VA, VVAR, VVAR_LAYOUT, VVAR_VA } from "./layout.ts";

/**
 * Maps the vDSO and its page of data, which gives no time yet.
 *
 * @returns where its image is, for AT_SYSINFO_EHDR; `undefined` when memory does
 * not suffice: programs do without
 */
export function mapVdso(
  space: AddressSpace,
  user: UserMemory,
): number | undefined {
  if (space.map(VVAR_VA, PAGE_BYTES, PROT.read, "vvar") < 0) return undefined;
  const code = PROT.read | PROT.exec;
  if (space.map(VDSO_VA, PAGE_BYTES, code, "vdso") < 0) return undefined;
  const data = new DataView(new ArrayBuffer(PAGE_BYTES));
  data.setUint32(VVAR.sequence, 1, true);
  data.setUint32(VVAR.layout, VVAR_LAYOUT, true);
  data.setUint32(VVAR.asks, 1, true);
  user.load(VVAR_VA, new Uint8Array(data.buffer));
  user.load(VDSO_VA, vdsoImage());
  return VDSO_VA;
}
