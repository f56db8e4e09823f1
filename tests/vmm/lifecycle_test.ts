import { assert, assertEquals, assertThrows } from "@std/assert";
import { Lifecycle, VmError, type VmState } from "../../src/vmm/mod.ts";

const STATES: VmState[] = ["created", "running", "paused", "stopped"];

/** Each state's ways on, as the design has them. */
const WAYS: Record<VmState, VmState[]> = {
  created: ["running", "paused", "stopped"],
  running: ["paused", "stopped"],
  paused: ["running", "stopped"],
  stopped: [],
};

/** A shortest way into each state. */
const PATHS: Record<VmState, VmState[]> = {
  created: [],
  running: ["running"],
  paused: ["running", "paused"],
  stopped: ["stopped"],
};

function at(state: VmState): Lifecycle {
  const lifecycle = new Lifecycle();
  for (const step of PATHS[state]) lifecycle.enter(step);
  assertEquals(lifecycle.state, state);
  return lifecycle;
}

for (const from of STATES) {
  for (const to of STATES) {
    if (WAYS[from].includes(to)) {
      Deno.test(`lifecycle: a VM that is ${from} can become ${to}`, () => {
        const lifecycle = at(from);
        lifecycle.enter(to);
        assertEquals(lifecycle.state, to);
      });
    } else {
      Deno.test(`lifecycle: from ${from} to ${to} is refused naming both`, () => {
        const lifecycle = at(from);
        const error = assertThrows(() => lifecycle.enter(to), VmError);
        assertEquals(error.code, "VM_STATE");
        assert(error.message.includes(`from ${from} to ${to}`), error.message);
        assertEquals(lifecycle.state, from);
      });
    }
  }
}

Deno.test("lifecycle: an action in a wrong state names the state and the right ones", () => {
  for (const state of STATES) {
    const lifecycle = at(state);
    lifecycle.require("save", state);
    const others = STATES.filter((other) => other !== state);
    const error = assertThrows(
      () => lifecycle.require("save", ...others),
      VmError,
    );
    assertEquals(error.code, "VM_STATE");
    assertEquals(
      error.message,
      `Cannot save the VM: it is ${state}, must be ${others.join(" or ")}`,
    );
  }
});
