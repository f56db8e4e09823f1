/**
 * A process that listens, and says where.
 *
 * @module
 */

import { TextLineStream } from "./text_lines.ts";

const CONFIG = new URL("../deno.json", import.meta.url).pathname;

/** A program of this project in a process that peers connect to. */
export class ListeningProcess implements AsyncDisposable {
  private constructor(
    /** Where it listens. */
    readonly url: string,
    readonly child: Deno.ChildProcess,
    readonly reading: Promise<void>,
  ) {}

  /**
   * Starts one, and waits until its standard error has said its URL; what else
   * it says is passed on.
   *
   * @param module path of what it runs
   * @throws {Error} when it ends before
   */
  static async start(
    module: string,
    args: readonly string[] = [],
  ): Promise<ListeningProcess> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--config", CONFIG, module, ...args],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const found = Promise.withResolvers<string>();
    const reading = (async () => {
      for await (const line of TextLineStream.of(child.stderr)) {
        const [url] = /tcp:\S+/.exec(line) ?? [];
        if (url) found.resolve(url);
        else console.error(line);
      }
      found.reject(new Error(`${module} ended before it listened`));
    })();
    return new ListeningProcess(await found.promise, child, reading);
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGTERM");
    await this.child.status;
    await this.reading;
  }
}
