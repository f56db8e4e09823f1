/**
 * Lines of text, as a process prints them.
 *
 * @module
 */

/** Splits text into lines, without their ends. */
export class TextLineStream extends TransformStream<string, string> {
  /** Makes one. */
  constructor() {
    let rest = "";
    super({
      transform(chunk, controller) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop()!;
        for (const line of lines) controller.enqueue(line);
      },
      flush(controller) {
        if (rest !== "") controller.enqueue(rest);
      },
    });
  }

  /** The lines of a stream of bytes. */
  static of(bytes: ReadableStream<BufferSource>): ReadableStream<string> {
    return bytes.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
  }
}
