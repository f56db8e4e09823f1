/**
 * A counter on two I/O ports: the smallest device whose state travels.
 *
 * `in` from the first port (8, 16 or 32 bits) counts one step and gives the
 * count; `out` to it sets the count. The second port gives the step.
 *
 * Options: `port` (default 0x500), `step` (default 1).
 *
 * @module
 */

import { defineDevice } from "../mod.ts";

/** What the counter is when the VM is saved. */
interface CounterStateV1 {
  readonly count: number;
}

export default defineDevice({
  kind: "counter",
  version: 1,
  contained: true,
  state: {
    "~standard": {
      vendor: "scratchvm",
      validate(value) {
        const { count } = value as Partial<CounterStateV1>;
        return typeof count === "number" && count >>> 0 === count
          ? { value: { count } }
          : { issues: [{ message: "count must be a number of 32 bits" }] };
      },
    },
  },
  config: (values) => ({
    port: values.number("port", { default: 0x500, max: 0xfffe }),
    step: values.number("step", { default: 1, max: 0xffff_ffff }),
  }),
  create({ config }, saved?: CounterStateV1) {
    let count = saved?.count ?? 0;
    return {
      ports: [
        {
          first: config.port,
          count: 1,
          read: () => count = (count + config.step) >>> 0,
          write: (_port, _sizeBytes, value) => void (count = value),
        },
        { first: config.port + 1, count: 1, read: () => config.step },
      ],
      dump: () => ({ count }),
    };
  },
});
