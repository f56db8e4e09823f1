/**
 * ScratchVM: run a Linux program in a KVM virtual machine without a guest
 * kernel, freeze it whole, and thaw it elsewhere.
 *
 * @module
 */

export * from "./src/linux/mod.ts";
