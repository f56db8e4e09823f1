/**
 * A real image for what documents say of images.
 *
 * @module
 */

import counter from "../../plugins/counter.ts";
import { guest, TestVm } from "../support.ts";

/** Writes the image of a program that asks for it, with a pipe and a device. */
export async function saveImage(path: string): Promise<void> {
  const [program] = await guest("pipe_half");
  await using test = await TestVm.create({
    program,
    devices: [counter()],
    onSave: async (vm) => {
      await vm.save(path);
      return "stop";
    },
  });
  await test.run();
}
