/**
 * What of /proc, /sys and /dev the VM answers for itself.
 *
 * @module
 */

export { modeOf, type VirtualNode } from "./node.ts";
export { looked, openNode } from "./open.ts";
export { openAgain } from "./reopen.ts";
export { resolveVirtual, type Virtual } from "./resolve.ts";
