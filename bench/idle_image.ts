/**
 * How large the image of a VM is whose program has done nothing.
 *
 * @module
 */

import type { Benchmark, Context, Row } from "./benchmark.ts";
import { withWrittenVm } from "./written_vm.ts";

/** The size of an idle VM's image. */
export const idleImage: Benchmark = {
  name: "image",
  needsKvm: true,
  guests: ["bench_written"],
  async run(context: Context): Promise<Row[]> {
    const path = `${context.folder}/idle.img`;
    const rows: Row[] = [];
    await withWrittenVm(context, 0, async (vm) => {
      for (const compress of [false, true]) {
        const { totalBytes, dataBytes } = await vm.save(path, { compress });
        rows.push({
          title: `image of an idle VM${compress ? ", compressed" : ""}`,
          quantity: "size",
          samples: { ours: [totalBytes] },
          notes: [`${dataBytes} bytes of it are pages of memory and files`],
        });
      }
    });
    Deno.removeSync(path);
    return rows;
  },
};
