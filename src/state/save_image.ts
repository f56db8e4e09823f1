/**
 * Saving an image to a file, safely.
 *
 * @module
 */

import { AtomicFile, type AtomicFileOptions } from "./atomic_file.ts";
import type { Component } from "./component.ts";
import {
  type ImageSummary,
  writeImage,
  type WriteOptions,
} from "./image_writer.ts";

/** How to save an image to a file. */
export interface SaveImageOptions extends WriteOptions, AtomicFileOptions {}

/**
 * Saves the state of `components` to the file `path`.
 *
 * On success the file is the new image. On failure, whatever fails, it is what
 * it was before, and nothing else is left in the folder.
 *
 * @throws {ImageError} IMAGE_COMPONENT when a component cannot be saved,
 * IMAGE_IO when the host cannot write; the signal's reason
 */
export async function saveImageFile(
  path: string,
  components: Iterable<Component>,
  options: SaveImageOptions,
): Promise<ImageSummary> {
  using file = new AtomicFile(path, options);
  const summary = await writeImage(components, file, options);
  // The last chance: from here on there is a new image.
  options.signal?.throwIfAborted();
  await file.commit();
  return summary;
}
