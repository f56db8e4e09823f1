/**
 * `vm receive`: goes on with programs that other VMMs send.
 *
 * @module
 */

import {
  type FilesPolicy,
  listenForVms,
  type ReceiveOptions,
  type Receiver,
  TransportError,
  type Vm,
} from "../../mod.ts";
import {
  devicesOf,
  endOf,
  oneOf,
  OPTIONS,
  parse,
  type Parsed,
  sharedOptions,
  sizeOf,
} from "./options.ts";
import { report, STATUS, UsageError } from "./report.ts";
import { FILES } from "./restore.ts";
import { Saves, say, session } from "./session.ts";
import { Signals } from "./signals.ts";
import { showUsage } from "./usage.ts";

/** How long to wait before listening is tried again, ms. */
const RETRY_MS = 1000;

/**
 * Receives programs and runs each to its end, one after the other.
 *
 * @returns the exit status of the program, or of the last one that failed
 */
export async function receiveCommand(args: string[]): Promise<number> {
  const parsed = parse(args, OPTIONS.receive);
  const { options } = parsed;
  if (options.help) return showUsage();
  const [url, ...rest] = parsed.rest;
  if (url === undefined || rest.length > 0) {
    throw new UsageError("receive needs one URL, such as tcp://127.0.0.1:7000");
  }
  if (options.forever === true && options.count !== undefined) {
    throw new UsageError("--forever is without --count");
  }
  const count = options.forever === true ? Infinity : countOf(options.count);
  checkCertificate(url, options);
  const files = oneOf("files", options.files, FILES);
  const maxMemoryBytes = sizeOf(options.memory);
  const shared = sharedOptions(parsed);
  const verbose = options.verbose === true;
  using signals = new Signals();
  const interrupted = new AbortController();
  let status = STATUS.ok as number;
  const refuse = (error: unknown) => void report(error, verbose);
  await using receiver = await listenForVms(url, {
    ...shared.ends,
    onRefused: refuse,
  });
  say(`waiting for a program on ${receiver.name}`);
  for (let done = 0; done < count;) {
    const stop = (by: number) => () => {
      status = by;
      interrupted.abort();
    };
    signals.answer({
      SIGHUP: stop(129),
      SIGINT: stop(STATUS.interrupted),
      SIGQUIT: stop(131),
      SIGTERM: stop(143),
    });
    const saves = new Saves(shared, verbose);
    const vm = await next(receiver, refuse, {
      ...shared.ends,
      ...saves.commonOptions(),
      devices: await devicesOf(parsed),
      files: files as FilesPolicy | undefined,
      maxMemoryBytes,
      signal: interrupted.signal,
    });
    if (interrupted.signal.aborted) {
      if (vm) say("the program that had just arrived was ended");
      await vm?.[Symbol.asyncDispose]();
      return status;
    }
    if (!vm) continue;
    done++;
    await using received = vm;
    shared.trace?.print("RESTORE OPERATION");
    let ended: number;
    try {
      ended = await session(received, saves, signals);
    } catch (error) {
      // One program's failure is no other's.
      ended = report(error, verbose);
    }
    if (ended !== STATUS.ok) status = ended;
    if (signals.wasInterrupted) break;
  }
  return status;
}

/** The next VM; a peer that gives none, or fails, is told of and left. */
async function next(
  receiver: Receiver,
  refuse: (error: unknown) => void,
  options: ReceiveOptions,
): Promise<Vm | undefined> {
  try {
    return await receiver.receive(options);
  } catch (error) {
    if (options.signal?.aborted) return undefined;
    refuse(error);
    // Nobody can connect for now, such as for want of descriptors.
    if (error instanceof TransportError) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    return undefined;
  }
}

/** A TLS server has a certificate. @throws {UsageError} */
function checkCertificate(url: string, options: Parsed["options"]): void {
  if (endOf(url).scheme !== "tls") return;
  if (options["tls-cert"] && options["tls-key"]) return;
  throw new UsageError(
    `to listen on ${url} takes a certificate and its key`,
    "give --tls-cert and --tls-key",
  );
}

/** How many programs are to come. @throws {UsageError} */
function countOf(text: string | boolean | undefined): number {
  const count = Number(text ?? 1);
  if (Number.isInteger(count) && count > 0) return count;
  throw new UsageError(`--count is a number from 1 on, not ${text}`);
}
