/**
 * The states a VM goes through.
 *
 * @module
 */

import { VmError } from "./errors.ts";

/** created → running ⇄ paused → stopped. */
export type VmState = "created" | "running" | "paused" | "stopped";

/** From which states each may be entered. */
const ENTERED_FROM: Record<VmState, readonly VmState[]> = {
  created: [],
  running: ["created", "paused"],
  paused: ["created", "running"],
  stopped: ["created", "running", "paused"],
};

/** Holds a VM's state and refuses wrong transitions. */
export class Lifecycle {
  #state: VmState = "created";

  /** The state now. */
  get state(): VmState {
    return this.#state;
  }

  /** @throws {VmError} naming both states when that is not a way to go */
  enter(next: VmState): void {
    if (!ENTERED_FROM[next].includes(this.#state)) {
      throw new VmError(
        "VM_STATE",
        `Cannot go from ${this.#state} to ${next}: only from ${
          ENTERED_FROM[next].join(" or ")
        }`,
      );
    }
    this.#state = next;
  }

  /** @throws {VmError} naming both states unless the VM is in one of `states` */
  require(action: string, ...states: VmState[]): void {
    if (!states.includes(this.#state)) {
      throw new VmError(
        "VM_STATE",
        `Cannot ${action} the VM: it is ${this.#state}, must be ${
          states.join(" or ")
        }`,
      );
    }
  }
}
