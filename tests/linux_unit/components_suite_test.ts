/**
 * The components that every VM has, in the suite that devices pass.
 *
 * @module
 */

import {
  Clock,
  clockState,
  FdTable,
  FilesError,
  FilesSaver,
  filesState,
  HostPaths,
  O,
  PendingSaver,
  pendingState,
  type PendingStateV3,
  PipeBuffer,
  PipeEnd,
  restoreFiles,
  ScriptConsole,
} from "../../src/devices/mod.ts";
import {
  devicesState,
  type DevicesStateV1,
} from "../../src/linux/devices_state.ts";
import { Process, processState } from "../../src/linux/process.ts";
import {
  type Component,
  decodeState,
  ImageError,
  type StateSchema,
} from "../../src/state/mod.ts";
import { testComponent } from "../../src/testing/mod.ts";
import { VmError } from "../../src/vmm/mod.ts";

function isRefusal(error: unknown): boolean {
  return error instanceof ImageError || error instanceof VmError ||
    error instanceof FilesError;
}

/** Tests a component whose state is one payload. */
function suite<S, C extends Component>(
  { kind, version, schema }: StateSchema<S>,
  construct: (state?: S) => C,
  mutate: (component: C) => void,
): void {
  const whole = { kind, version, schema };
  testComponent<C>({
    name: kind,
    kind,
    version,
    make: () => construct(),
    mutate,
    dump: (component) => component.dump(),
    restore: ([section]) => construct(decodeState(whole, section)),
    isRefusal,
  });
}

suite(clockState, (state) => {
  const clock = new Clock(state);
  clock.stop();
  return clock;
}, (clock) => {
  const from = clock.monotonicNs();
  clock.start();
  while (clock.monotonicNs() === from);
  clock.stop();
});

/** Calls that wait, and what dumps them. */
class Calls extends PendingSaver {
  readonly calls: PendingStateV3["calls"];

  constructor({ calls }: PendingStateV3 = { calls: [] }) {
    super(() => ({ calls }));
    this.calls = calls;
  }
}

suite(pendingState, (state) => new Calls(state), ({ calls }) => {
  calls.push({
    task: 1,
    call: {
      operation: "read",
      number: 0,
      arguments: [1n, 2n, 3n, 4n, 5n, 1n << 63n],
      doneBytes: 7,
      deadlineNs: -5,
      waitsFor: [{ descriptor: 0, events: 1 }],
    },
  });
  calls.push({
    task: 0,
    call: {
      ...calls[0].call,
      operation: "futex",
      number: 202,
      futex: { address: 0x4000, bitset: 0xffff_ffff, isWoken: false },
    },
  });
});

suite(
  processState,
  (state) => new Process(state ?? Process.initial("/bin/x", ["x"], "/", 0o22)),
  (process) => {
    process.folder.enterPath("/tmp");
    process.current.state.signalMask = 1n << 63n;
    process.limits.set(7, [5n, 10n]);
  },
);

/** Descriptors with the console they are of. */
interface Table {
  readonly fds: FdTable;
  readonly console: ScriptConsole;
}

testComponent<Table>({
  name: "fd-table",
  kind: filesState.kind,
  version: filesState.version,
  make: () => ({ fds: new FdTable(), console: new ScriptConsole() }),
  mutate({ fds, console }) {
    const pipe = new PipeBuffer(7, new Uint8Array([1, 2, 3]));
    fds.install(new PipeEnd(pipe, O.readOnly), false);
    fds.install(new PipeEnd(pipe, O.writeOnly), true);
    console.push("not read");
  },
  dump: ({ fds, console }) => new FilesSaver(fds, console).dump(),
  restore(sections) {
    const console = new ScriptConsole();
    using paths = new HostPaths({ read: [], write: [] });
    const parts = sections.map((section) => ({
      state: decodeState(filesState, section),
      data: section.data,
    }));
    const options = { paths, console, policy: "check" as const };
    return { fds: restoreFiles(parts, options), console };
  },
  isRefusal,
  dispose: ({ fds }) => fds.closeAll(),
});

/** The list of devices, as it is in an image. */
class List implements Component {
  readonly id = "devices";
  readonly kind: string = devicesState.kind;
  readonly version: number = devicesState.version;
  state: DevicesStateV1;

  constructor(state: DevicesStateV1 = { devices: [] }) {
    this.state = state;
  }

  dump() {
    return { answer: "payload", value: this.state } as const;
  }
}

suite(devicesState, (state) => new List(state), (list) => {
  list.state = {
    devices: [{
      id: "counter0",
      kind: "counter",
      version: 1,
      specifier: null,
      config: [["step", "2"]],
    }],
  };
});
